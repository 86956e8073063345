"""The previewed frame, as an image and as an icon."""

from __future__ import annotations

from pathlib import Path

import bpy

from . import thumbnails

IMAGE_NAME = "Speech2Lip Preview"


def path() -> str:
    """The path of the picture, which the engine writes and Blender removes when it quits."""
    return str(Path(bpy.app.tempdir) / "s2l_preview.png")


def show(context: bpy.types.Context) -> None:
    """Load the picture, and show it in the image editors that show no other image."""
    thumbnails.load(path())
    image = bpy.data.images.get(IMAGE_NAME)
    if image is None:
        image = bpy.data.images.load(path())
        image.name = IMAGE_NAME
    elif image.packed_file is not None:
        image.unpack(method="REMOVE")
        image.filepath = path()
    image.reload()
    image.pack()  # the file is temporary
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR" and area.spaces.active.image in (None, image):
                area.spaces.active.image = image
                area.tag_redraw()


def icon() -> int:
    """The icon's identifier in Blender; 0 before the first preview."""
    return thumbnails.icon(path())
