"""Dub a movie strip with sound strips."""

from __future__ import annotations

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.queue.dub_job import disabled_reason, dub_job
from ..s2l_blender_addon.sequencer import strips
from ..s2l_core.jobs import DubJob
from .dub_operator import AskingDubOperator


class S2L_OT_dub_strip(AskingDubOperator, bpy.types.Operator):
    bl_idname = "s2l.dub_strip"
    bl_label = "Dub Strip"
    bl_description = "Dub the movie strip with the speech of the sound strip, in a new strip above it"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return disabled_reason(sequencer_scene(context))

    def gather(self, context: bpy.types.Context) -> DubJob:
        scene = sequencer_scene(context)
        movie = strips.footage(scene)
        job, self._placement = dub_job(context, scene, movie, strips.voices(scene, movie))
        return job
