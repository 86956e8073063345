"""The speakers that a scene knows: what is in their files, and their pictures."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import thumbnails
from .preferences import EXTENSION


def picture_path(speaker_path: str) -> str:
    """Where the picture of a speaker file lies: among the extension's own files."""
    folder = bpy.utils.extension_path_user(EXTENSION, path="thumbnails", create=True)
    return str(Path(folder) / f"{hashlib.sha256(speaker_path.encode()).hexdigest()[:32]}.png")


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
        f"{datetime.fromtimestamp(Path(path).stat().st_mtime):%d %B %Y}" if Path(path).is_file() else "",
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
