"""Where results go: into a folder that exists, under a name that is not taken."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import bpy

from ...s2l_core import regular_files
from ...s2l_core.errors import CannotWrite
from ..sequencer import strips
from .entries import record_beside

FOLDER_NAME = "speech2lip"
_LONGEST_STEM = 200
"""Bytes: with a number, an ending and that of its record, a name may have 255."""


def unused_path(folder: str, media_path: str, stem: str, suffix: str) -> str:
    """A path for a new file: ``stem.suffix``, or ``stem_001.suffix`` and so on where that is taken.

    Args:
        folder: The user's choice; empty means the folder ``speech2lip`` beside the .blend file, or beside the media
            where that is unsaved, or in the temporary folder where the media's folder cannot be written to.
        media_path: The media that the file is made from.
        stem: The name wanted.
        suffix: With its dot.

    Raises:
        CannotWrite: The folder cannot be made.
    """
    place = Path(bpy.path.abspath(folder)) if folder else _default_folder(media_path)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"The folder {place} cannot be made: {error.strerror}.") from error
    stem = (bpy.path.clean_name(stem) or "untitled").encode()[:_LONGEST_STEM].decode(errors="ignore")
    number, path = 0, place / f"{stem}{suffix}"
    while _is_taken(path):
        number += 1
        path = place / f"{stem}_{number:03}{suffix}"
    return str(path)


def _is_taken(path: Path) -> bool:
    """Whether something has that name, or a job that waits will write it, or its unfinished frames lie beside it."""
    return os.path.lexists(path) or record_beside(str(path)).exists() or os.path.lexists(f"{path}.partial")


def folders(scene: bpy.types.Scene) -> list[Path]:
    """Where results of a scene are, without those that are not there."""
    movie = strips.footage(scene)
    chosen = [Path(bpy.path.abspath(folder)) for folder in (scene.s2l.train.folder, scene.s2l.dub.folder) if folder]
    default = [_default_folder(strips.media_path(movie) if movie else "")] if movie or bpy.data.filepath else []
    return [folder for folder in dict.fromkeys(chosen + default) if regular_files.is_folder(folder)]


def _default_folder(media_path: str) -> Path:
    if bpy.data.filepath:
        return Path(bpy.data.filepath).parent / FOLDER_NAME
    beside_media = Path(media_path).parent
    return (beside_media if os.access(beside_media, os.W_OK) else Path(tempfile.gettempdir())) / FOLDER_NAME
