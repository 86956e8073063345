"""Mute the tracked pose of a head, or unmute it."""

from __future__ import annotations

import bpy

from ..s2l_blender_addon.head import scene as head_scene
from .base import BaseOperator


class S2L_OT_toggle_tracked_pose(BaseOperator, bpy.types.Operator):
    bl_idname = "s2l.toggle_tracked_pose"
    bl_label = "Mute Tracked Pose"
    bl_description = "Mute the tracked pose, so that the head can be posed by hand, or unmute it"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        head = head_scene.find(context)
        if head is None:
            return "Select a head"
        if not head_scene.tracked_pose(head):
            return f"{head.name} has no tracked pose"
        if not head.animation_data.action.is_editable:
            return f"The action of {head.name} is linked: make it local first"
        return ""

    def execute(self, context: bpy.types.Context) -> set[str]:
        head = head_scene.find(context)
        mute = not head_scene.is_muted(head)
        for curve in head_scene.tracked_pose(head):
            curve.mute = mute
        self.report({"INFO"}, f"The head {'can be posed by hand' if mute else 'follows the footage'}.")
        return {"FINISHED"}
