"""Dub every movie and image strip that is driven by sound strips."""

from __future__ import annotations

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.queue import job_queue
from ..s2l_blender_addon.queue.snapshots import dub_entry
from ..s2l_blender_addon.sequencer import strips
from ..s2l_core.errors import Speech2LipError
from .base import BaseOperator


class S2L_OT_dub_all(BaseOperator, bpy.types.Operator):
    bl_idname = "s2l.dub_all"
    bl_label = "Dub All"
    bl_description = "Dub every movie and image strip that is driven by sound strips, one after the other"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        has_pairs = bool(strips.pairs(sequencer_scene(context)))
        return "" if has_pairs else "Choose the strip that a sound strip drives, in the Dub panel"

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = sequencer_scene(context)
        added = 0
        for strip, sounds in strips.pairs(scene):
            try:
                job_queue.add(dub_entry(context, scene, strip, sounds))
                added += 1
            except Speech2LipError as error:
                self.report({"ERROR"}, str(error))
        self.report({"INFO"}, f"Added {added} {'dub' if added == 1 else 'dubs'} to the queue.")
        return {"FINISHED"} if added else {"CANCELLED"}
