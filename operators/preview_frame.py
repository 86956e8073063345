"""Dub the current frame only, to see it before a run is worth its time."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import bpy

from ..s2l_blender_addon import preview, strips
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.dub_job import disabled_reason, dub_job
from ..s2l_core.jobs import PreviewJob
from .quick_operator import QuickOperator

IMAGE_NAME = "Speech2Lip Preview"


class S2L_OT_preview_frame(QuickOperator, bpy.types.Operator):
    bl_idname = "s2l.preview_frame"
    bl_label = "Preview Frame"
    bl_description = "Dub the current frame only, and show it in the image editor and in the sidebar"
    bl_options = {"REGISTER"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return disabled_reason(sequencer_scene(context))

    def gather(self, context: bpy.types.Context) -> PreviewJob:
        scene = sequencer_scene(context)
        job, placement = dub_job(context, strips.footage(scene), strips.voices(scene))
        last = placement.end - placement.first - 1
        frame = min(max(scene.frame_current - placement.first, 0), last)
        self._frame = placement.first + frame
        path = tempfile.mktemp(prefix="s2l_preview_", suffix=".png", dir=bpy.app.tempdir)
        return PreviewJob(job, frame, path)

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        path = result["output_path"]
        preview.show(path)
        show_image(context, path)
        return f"Frame {self._frame} as it would be dubbed."


def show_image(context: bpy.types.Context, path: str) -> None:
    """Put a picture into the image that every image editor then shows, unless the user shows something there."""
    image = bpy.data.images.get(IMAGE_NAME)
    if image is None:
        image = bpy.data.images.load(path)
        image.name = IMAGE_NAME
    image.filepath = path
    image.reload()
    image.pack()
    Path(path).unlink(missing_ok=True)
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR" and area.spaces.active.image in (None, image):
                area.spaces.active.image = image
                area.tag_redraw()
