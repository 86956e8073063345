"""The list of speakers in a scene: facts about their files, and their pictures."""

from __future__ import annotations

import contextlib
import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ..s2l_core import consent_ledger, regular_files
from ..s2l_core.consent_record import today
from ..s2l_core.errors import Speech2LipError
from ..s2l_core.jobs import DescribeJob
from .engine import warm_worker
from .paths import EXTENSION
from .pictures import thumbnails
from .preferences import find_worker_python

_LOOK_SECONDS = 0.25
_NO_CONSENT = "Consent was not recorded"


def picture_path(speaker_path: str) -> str:
    """The path of the picture of a speaker file, in the extension's user folder; empty if that is not writable."""
    folder = bpy.utils.extension_path_user(EXTENSION, path="thumbnails", create=True)
    if not folder or not os.access(folder, os.W_OK):
        return ""
    digest = hashlib.sha256(speaker_path.encode(errors="surrogatepass")).hexdigest()
    return str(Path(folder) / f"{digest[:32]}.png")


def remember(scene: bpy.types.Scene, path: str, facts: dict[str, Any]) -> None:
    """Add a speaker to the scene's list, or update its entry, and select it.

    Args:
        scene: The scene with the list.
        path: The ``.s2l`` file.
        facts: The result of the verb ``describe`` for that file.
    """
    known = [speaker.path for speaker in scene.s2l.speakers]
    if path not in known:
        scene.s2l.speakers.add()
        known.append(path)
    scene.s2l.speaker_index = known.index(path)
    speaker = scene.s2l.speakers[scene.s2l.speaker_index]
    speaker.path, speaker.name = path, str(facts.get("name", Path(path).stem))
    speaker.facts = "\n".join(_lines(path, facts))
    speaker.quality = str(facts.get("quality", ""))
    speaker.consent, speaker.has_ended = _consent(facts)
    speaker.consent_hash = str(facts.get("consent_hash", ""))
    thumbnails.load(picture_path(path))


def refresh(scene: bpy.types.Scene, path: str) -> None:
    """Ask the warm worker to describe a speaker file, and update the speaker's entry and picture when it answers."""
    if bpy.app.background:
        return  # there is no interface, and timers do not run
    name = scene.name
    with contextlib.suppress(Speech2LipError):  # the entry then keeps the facts that it has
        worker = warm_worker.current(find_worker_python(bpy.context))
        request = worker.ask(DescribeJob(path, picture_path(path)))

        def finish() -> float | None:
            if not request.poll():
                return _LOOK_SECONDS
            if request.error is None and (found := bpy.data.scenes.get(name)):
                remember(found, path, request.result or {})
            return None

        bpy.app.timers.register(finish, first_interval=_LOOK_SECONDS)


def chosen(scene: bpy.types.Scene) -> bpy.types.PropertyGroup | None:
    """The selected speaker of the list; None if the list is empty."""
    speakers, index = scene.s2l.speakers, scene.s2l.speaker_index
    return speakers[index] if 0 <= index < len(speakers) else None


def lacks_consent(scene: bpy.types.Scene, path: str) -> bool:
    """Whether a speaker file of the list is known to state no consent, or one that has ended."""
    entry = next((entry for entry in scene.s2l.speakers if entry.path == path), None)
    return entry is not None and (entry.has_ended or entry.consent == _NO_CONSENT)


def forget(scene: bpy.types.Scene) -> None:
    """Remove the selected speaker from the list; the file stays."""
    scene.s2l.speakers.remove(scene.s2l.speaker_index)
    scene.s2l.speaker_index = max(0, min(scene.s2l.speaker_index, len(scene.s2l.speakers) - 1))


def revoke(scene: bpy.types.Scene, speaker: bpy.types.PropertyGroup, reason: str) -> str:
    """Revoke the consent of a speaker in the ledger beside the speaker file, and update the list.

    Returns:
        The day on which it was revoked.

    Raises:
        Speech2LipError: As :func:`consent_ledger.revoke`.
    """
    entry = consent_ledger.revoke(consent_ledger.ledger_beside(speaker.path), speaker.consent_hash, reason)
    day = entry.revoked[:10]
    for other in scene.s2l.speakers:
        if other.consent_hash == entry.hash and Path(other.path).parent == Path(speaker.path).parent:
            other.consent, other.has_ended = f"Consent was revoked on {day}", True
    return day


def _consent(facts: dict[str, Any]) -> tuple[str, bool]:
    """The state of a speaker's consent as a sentence without its period, and whether it has ended."""
    until, revoked = str(facts.get("consent_until", "")), str(facts.get("consent_revoked", ""))
    if revoked:
        return f"Consent was revoked on {revoked[:10]}", True
    if until and until < today().isoformat():
        return f"Consent ended on {until}", True
    if not facts.get("consent"):
        return _NO_CONSENT, False
    return f"The speaker has agreed until {until}" if until else "The speaker has agreed", False


def _lines(path: str, facts: dict[str, Any]) -> list[str]:
    lines = [
        f"Trained on {facts['trained_seconds']:.0f} s of footage" if "trained_seconds" in facts else "",
        f"Held-out mouths: {facts['mouth_psnr']:.1f} dB" if facts.get("mouth_psnr") else "",
        f"Preset {facts['preset']}, on {str(facts['device']).upper()}" if facts.get("device") else "",
        f"{datetime.fromtimestamp(Path(path).stat().st_mtime):%d %B %Y}" if regular_files.is_file(path) else "",
    ]
    return [line for line in lines if line]


@persistent
def _load_pictures(_: object) -> None:
    for scene in bpy.data.scenes:
        for speaker in scene.s2l.speakers:
            thumbnails.load(picture_path(speaker.path))


def register() -> None:
    bpy.app.handlers.load_post.append(_load_pictures)


def unregister() -> None:
    bpy.app.handlers.load_post.remove(_load_pictures)
