"""Check whether the camera sees the head from a direction that the footage shows."""

from __future__ import annotations

import bpy

from ..s2l_blender_addon.head import cameras, trust
from ..s2l_blender_addon.head import scene as head_scene
from ..s2l_core.errors import Speech2LipError
from .base import BaseOperator


class S2L_OT_check_view(BaseOperator, bpy.types.Operator):
    bl_idname = "s2l.check_view"
    bl_label = "Check View"
    bl_description = "Report by how many degrees the scene's camera is outside of the directions that the footage shows"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        if head_scene.find(context) is None:
            return "Select a head"
        return "" if context.scene.camera else "The scene has no camera"

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        head: bpy.types.Object = head_scene.find(context)
        depsgraph = context.evaluated_depsgraph_get()
        worlds = [item.evaluated_get(depsgraph).matrix_world for item in (scene.camera, head)]
        try:
            degrees = trust.degrees_outside(cameras.camera_from_head(*worlds), head.s2l)
        except Speech2LipError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if degrees < trust.LEAST_DEGREES:
            head.s2l.warning = ""
            self.report({"INFO"}, f"The footage shows the head from the direction of {scene.camera.name}.")
        else:
            where = f"Frame {scene.frame_current}: {scene.camera.name} sees {head.name}"
            head.s2l.warning = f"{where} {degrees:.0f}° outside of what the footage shows"
            self.report({"WARNING"}, f"{head.s2l.warning}.")
        return {"FINISHED"}
