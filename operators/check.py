"""Assess footage before a training."""

from __future__ import annotations

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.queue.snapshots import check_job
from ..s2l_blender_addon.sequencer import strips
from ..s2l_core.jobs import CheckJob
from .queue_operator import QueueOperator


class S2L_OT_check_footage(QueueOperator, bpy.types.Operator):
    bl_idname = "s2l.check_footage"
    bl_label = "Check Footage"
    bl_description = "Assess how suitable the movie strip is for training, and suggest improvements"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        scene = sequencer_scene(context)
        return strips.missing_voice_reason(strips.footage(scene), strips.missing_footage(scene))

    def gather(self, context: bpy.types.Context) -> CheckJob:
        scene = sequencer_scene(context)
        return check_job(context, scene, strips.footage(scene))

    def subject(self, context: bpy.types.Context) -> str:
        footage = strips.footage(sequencer_scene(context))
        return footage.name if footage else ""
