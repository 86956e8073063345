"""Tell what a training or a dub will take, before it is started."""

from __future__ import annotations

from typing import Any

import bpy

from ..s2l_blender_addon import dub_job, jobs, strips
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.snapshots import train_job
from ..s2l_core.jobs import EstimateJob
from .quick_operator import QuickOperator


class S2L_OT_estimate_training(QuickOperator, bpy.types.Operator):
    bl_idname = "s2l.estimate_training"
    bl_label = "Estimate Training"
    bl_description = "Tell the time, the memory and the room on disk that the training will take on this machine"
    bl_options = {"REGISTER"}
    _scene = ""

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return strips.obstacle(strips.footage(sequencer_scene(context)), "Select the movie strip of the speaker")

    def gather(self, context: bpy.types.Context) -> EstimateJob:
        scene = sequencer_scene(context)
        self._scene = scene.name
        name = scene.s2l.train.speaker_name.strip() or "Speaker"
        return EstimateJob(train_job(context, scene, strips.footage(scene), name, consent=False))

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        text = jobs.estimate_in_words(result)
        if scene := bpy.data.scenes.get(self._scene):
            scene.s2l.train.estimate = text
        return f"{text}."


class S2L_OT_estimate_dub(QuickOperator, bpy.types.Operator):
    bl_idname = "s2l.estimate_dub"
    bl_label = "Estimate Dub"
    bl_description = "Tell the time, the memory and the room on disk that the dub will take on this machine"
    bl_options = {"REGISTER"}
    _scene = ""

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return dub_job.disabled_reason(sequencer_scene(context))

    def gather(self, context: bpy.types.Context) -> EstimateJob:
        scene = sequencer_scene(context)
        self._scene = scene.name
        job, _ = dub_job.dub_job(context, scene, strips.footage(scene), strips.voices(scene))
        return EstimateJob(job)

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        text = jobs.estimate_in_words(result)
        if scene := bpy.data.scenes.get(self._scene):
            scene.s2l.dub.estimate = text
        return f"{text}."
