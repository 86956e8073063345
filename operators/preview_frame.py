"""Make only the current frame of a dub or a still, to judge it before the whole one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.pictures import frame as frame_picture
from ..s2l_blender_addon.queue import dubbing, still_job
from ..s2l_blender_addon.sequencer.strips import Placement
from ..s2l_core.jobs import DubJob, PreviewJob, StillJob
from .quick_operator import QuickOperator


class PreviewOperator(QuickOperator):
    """Mix-in for an operator that shows the frame of a result that will lie under the playhead, or the nearest one."""

    _frame = 0

    @abstractmethod
    def planned(self, context: bpy.types.Context, scene: bpy.types.Scene) -> tuple[DubJob | StillJob, Placement]:
        """The job of the whole result, and its place.

        Raises:
            Speech2LipError: The settings, strips or files do not allow the job.
        """

    def gather(self, context: bpy.types.Context) -> PreviewJob:
        scene = sequencer_scene(context)
        job, placement = self.planned(context, scene)
        self._frame = min(max(scene.frame_current, placement.first), placement.end - 1)
        return PreviewJob(job, self._frame - placement.first, frame_picture.path())

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        frame_picture.show(context)
        if reason := result.get("reason"):
            return f"Frame {self._frame} keeps its own mouth: {reason}."
        return f"Showing frame {self._frame} as it will be dubbed."


class S2L_OT_preview_frame(PreviewOperator, bpy.types.Operator):
    bl_idname = "s2l.preview_frame"
    bl_label = "Preview Frame"
    bl_description = "Dub only the current frame and show it here and in the image editor"
    bl_options = {"REGISTER"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return dubbing.disabled_reason(sequencer_scene(context))

    def planned(self, context: bpy.types.Context, scene: bpy.types.Scene) -> tuple[DubJob | StillJob, Placement]:
        return dubbing.job_of_scene(context, scene)


class S2L_OT_preview_still(PreviewOperator, bpy.types.Operator):
    bl_idname = "s2l.preview_still"
    bl_label = "Preview Still"
    bl_description = "Show how the picture will speak at the playhead, here and in the image editor"
    bl_options = {"REGISTER"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return still_job.disabled_reason(sequencer_scene(context))

    def planned(self, context: bpy.types.Context, scene: bpy.types.Scene) -> tuple[DubJob | StillJob, Placement]:
        return still_job.job_of_scene(context, scene)
