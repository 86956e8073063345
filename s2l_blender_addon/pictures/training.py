"""The preview picture of a running training, as an icon that panels can draw.

It is loaded when a timer calls :func:`show`, never while a panel is drawn.
"""

from __future__ import annotations

import stat
from pathlib import Path

import bpy.utils.previews

_NAME = "preview"

_icons: bpy.utils.previews.ImagePreviewCollection
_shown: tuple[str, int] | None = None


def register() -> None:
    global _icons
    _icons = bpy.utils.previews.new()


def unregister() -> None:
    clear()
    bpy.utils.previews.remove(_icons)


def show(path: str) -> None:
    """Load a picture if its file exists and has changed; otherwise the last one is kept."""
    global _shown
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(status.st_mode):
        return
    version = (path, status.st_mtime_ns)
    if version != _shown:
        clear()
        _icons.load(_NAME, path, "IMAGE", True)
        _shown = version


def clear() -> None:
    """Forget the picture."""
    global _shown
    _icons.clear()
    _shown = None


def icon() -> bpy.types.ImagePreview | None:
    """The icon of the picture; None if there is none."""
    return _icons.get(_NAME)
