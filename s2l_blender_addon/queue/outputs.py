"""The paths of results: in a folder that is created if necessary, under a name that is not in use."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import bpy

from ...s2l_core import regular_files
from ...s2l_core.errors import CannotWrite
from ..sequencer import strips
from .entries import camera_path_beside, record_beside

FOLDER_NAME = "speech2lip"
_LONGEST_STEM = 200
"""In bytes: with a number, the suffix and that of the record, a file name may have 255."""


def unused_path(folder: str, media_path: str, stem: str, suffix: str) -> str:
    """A path for a new file: ``stem.suffix``, or ``stem_001.suffix`` and so on if that is in use.

    Args:
        folder: The folder that the user has chosen; empty for the folder ``speech2lip`` beside the .blend file, or
            beside the media if the .blend file is unsaved, or in the temporary folder if the media's is not writable.
        media_path: The media that the file is made from.
        stem: The preferred name.
        suffix: The suffix with its dot.

    Raises:
        CannotWrite: The folder cannot be created.
    """
    place = Path(bpy.path.abspath(folder)) if folder else _default_folder(media_path)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"The folder {place} cannot be created: {error.strerror}.") from error
    stem = (bpy.path.clean_name(stem) or "untitled").encode()[:_LONGEST_STEM].decode(errors="ignore")
    number, path = 0, place / f"{stem}{suffix}"
    while _is_taken(path):
        number += 1
        path = place / f"{stem}_{number:03}{suffix}"
    return str(path)


def _is_taken(path: Path) -> bool:
    """Whether the file, what a job that writes it has beside it, or a folder with its unfinished frames exists."""
    beside = record_beside(str(path)), camera_path_beside(str(path)), f"{path}.partial"
    return any(os.path.lexists(each) for each in (path, *beside))


def folders(scene: bpy.types.Scene) -> list[Path]:
    """The existing folders among those in which the results of a scene are written."""
    movie = strips.picture_or_footage(scene)
    chosen = [Path(bpy.path.abspath(folder)) for folder in (scene.s2l.train.folder, scene.s2l.dub.folder) if folder]
    default = [_default_folder(strips.media_path(movie) if movie else "")] if movie or bpy.data.filepath else []
    return [folder for folder in dict.fromkeys(chosen + default) if regular_files.is_folder(folder)]


def _default_folder(media_path: str) -> Path:
    if bpy.data.filepath:
        return Path(bpy.data.filepath).parent / FOLDER_NAME
    beside_media = Path(media_path).parent
    return (beside_media if os.access(beside_media, os.W_OK) else Path(tempfile.gettempdir())) / FOLDER_NAME
