"""Label everything synthetic in the scene with a visible note."""

from __future__ import annotations

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.sequencer import visible_label
from ..s2l_core.errors import Speech2LipError
from .base import BaseOperator


class S2L_OT_add_label(BaseOperator, bpy.types.Operator):
    bl_idname = "s2l.add_label"
    bl_label = "Add Label"
    bl_description = "Add a visible note over everything synthetic in the scene, and replace earlier labels"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        scene = sequencer_scene(context)
        if visible_label.synthetic_frames(scene) or visible_label.labels(scene):
            return ""
        return "Nothing in this scene is synthetic: dub a strip first"

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = sequencer_scene(context)
        settings = scene.s2l.label
        seconds = None if settings.is_throughout else settings.seconds
        try:
            count = visible_label.relabel(scene, settings.language, settings.position, seconds)
        except Speech2LipError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        added = f"Labelled {count} synthetic part{'s' if count > 1 else ''}." if count else ""
        self.report({"INFO"}, added or "Removed the labels: nothing is synthetic any more.")
        return {"FINISHED"}
