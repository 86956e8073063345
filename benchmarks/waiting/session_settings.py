"""What a session of Blender is told to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What to do.

    Attributes:
        blend: The file of the edit; an existing one is opened and its jobs resumed.
        footage: The speaker's video.
        voice: The words to say.
        verb: ``"train"`` or ``"dub"``.
        folder: Where results go.
        speaker: To dub with.
        seconds: Of the footage and of the voice that are used.
        cancel_after: Seconds after which the job is cancelled; none without.
        worker_grace: Seconds in which a worker ends after its Blender, where it is not the usual one.
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
