"""Settings of a session of Blender."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Settings of a session.

    Attributes:
        blend: The .blend file. An existing one is opened and its jobs are resumed.
        footage: The speaker's video.
        voice: The words to say.
        verb: ``"train"`` or ``"dub"``.
        folder: Folder of the results.
        speaker: Speaker file for dubs.
        seconds: Length of the footage and the voice that are used.
        cancel_after: Seconds after which the job is cancelled; None does not cancel it.
        worker_grace: Seconds within which a worker ends after its Blender; None uses the default.
    """

    blend: str
    footage: str
    voice: str
    verb: str
    folder: str
    speaker: str = ""
    seconds: float = 20.0
    cancel_after: float | None = None
    worker_grace: float | None = None
