"""Dub only the current frame, to judge it before a whole dub."""

from __future__ import annotations

from typing import Any

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.pictures import frame as frame_picture
from ..s2l_blender_addon.queue import dubbing
from ..s2l_core.jobs import PreviewJob
from .quick_operator import QuickOperator


class S2L_OT_preview_frame(QuickOperator, bpy.types.Operator):
    bl_idname = "s2l.preview_frame"
    bl_label = "Preview Frame"
    bl_description = "Dub only the current frame and show it here and in the image editor"
    bl_options = {"REGISTER"}
    _frame = 0

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return dubbing.disabled_reason(sequencer_scene(context))

    def gather(self, context: bpy.types.Context) -> PreviewJob:
        scene = sequencer_scene(context)
        job, placement = dubbing.job_of_scene(context, scene)
        self._frame = min(max(scene.frame_current, placement.first), placement.end - 1)
        return PreviewJob(job, self._frame - placement.first, frame_picture.path())

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        frame_picture.show(context)
        if reason := result.get("reason"):
            return f"Frame {self._frame} keeps its own mouth: {reason}."
        return f"Showing frame {self._frame} as it will be dubbed."
