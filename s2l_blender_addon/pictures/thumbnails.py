"""Pictures of speakers and faces as icons. They are loaded in advance, never while a panel is drawn."""

from __future__ import annotations

import bpy.utils.previews

from ...s2l_core import regular_files

_LARGEST = 64 * 1024 * 1024  # bytes

_icons: bpy.utils.previews.ImagePreviewCollection


def register() -> None:
    global _icons
    _icons = bpy.utils.previews.new()


def unregister() -> None:
    bpy.utils.previews.remove(_icons)


def load(path: str) -> None:
    """Load or reload the picture in a file, so that it can be drawn; a missing file is ignored."""
    if path in _icons:
        del _icons[path]
    if regular_files.is_file(path) and regular_files.size(path) <= _LARGEST:
        _icons.load(path, path, "IMAGE", True)


def icon(path: str) -> int:
    """The identifier in Blender of the icon of a file; 0 if it has not been loaded."""
    picture = _icons.get(path)
    return int(picture.icon_id) if picture else 0
