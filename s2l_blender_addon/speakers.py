"""The speakers that a scene knows: what is in their files, and their pictures."""

from __future__ import annotations

import contextlib
import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ..s2l_core import regular_files
from ..s2l_core.errors import Speech2LipError
from ..s2l_core.jobs import DescribeJob
from .engine import warm_worker
from .paths import EXTENSION
from .pictures import thumbnails
from .preferences import find_worker_python

_LOOK_SECONDS = 0.25


def picture_path(speaker_path: str) -> str:
    """Where the picture of a speaker file lies, among the extension's own files; empty where nothing can be written."""
    folder = bpy.utils.extension_path_user(EXTENSION, path="thumbnails", create=True)
    if not folder or not os.access(folder, os.W_OK):
        return ""
    digest = hashlib.sha256(speaker_path.encode(errors="surrogatepass")).hexdigest()
    return str(Path(folder) / f"{digest[:32]}.png")


def remember(scene: bpy.types.Scene, path: str, facts: dict[str, Any]) -> None:
    """Put a speaker into the scene's list, or bring its entry up to date, and make it the chosen one.

    Args:
        scene: Which has the list.
        path: The ``.s2l`` file.
        facts: What the verb ``describe`` tells of it.
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
    thumbnails.load(picture_path(path))


def look_into(scene: bpy.types.Scene, path: str) -> None:
    """Bring a speaker's entry up to date by what its file says, with its picture, once the warm engine has told."""
    if bpy.app.background:
        return  # nobody looks, and no timer would run
    name = scene.name
    with contextlib.suppress(Speech2LipError):  # its entry tells less then
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
    """The speaker that is selected in the list."""
    speakers, index = scene.s2l.speakers, scene.s2l.speaker_index
    return speakers[index] if 0 <= index < len(speakers) else None


def forget(scene: bpy.types.Scene) -> None:
    """Take the chosen speaker out of the list; its file stays."""
    scene.s2l.speakers.remove(scene.s2l.speaker_index)
    scene.s2l.speaker_index = max(0, min(scene.s2l.speaker_index, len(scene.s2l.speakers) - 1))


def _lines(path: str, facts: dict[str, Any]) -> list[str]:
    lines = [
        f"Learnt from {facts['trained_seconds']:.0f} s of footage" if "trained_seconds" in facts else "",
        f"Held-out mouths: {facts['mouth_psnr']:.1f} dB" if facts.get("mouth_psnr") else "",
        f"Preset {facts['preset']}, on {str(facts['device']).upper()}" if facts.get("device") else "",
        f"{datetime.fromtimestamp(Path(path).stat().st_mtime):%d %B %Y}" if regular_files.is_file(path) else "",
        "The speaker agreed" if facts.get("consent") else "Consent was not recorded",
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
