"""Estimate the time, memory and disk space of a training, a dub or a still before it is started."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import bpy

from ..s2l_blender_addon import progress
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.queue import dubbing, still_job
from ..s2l_blender_addon.queue.snapshots import train_job
from ..s2l_blender_addon.sequencer import strips
from ..s2l_core.jobs import DubJob, EstimateJob, StillJob, TrainJob
from .quick_operator import QuickOperator


class EstimateOperator(QuickOperator):
    """Mix-in for an operator that asks the engine for an estimate.

    A subclass makes the job (``planned``), and names the group of the scene's properties that stores the estimate. The
    stored text includes the subject, since the settings may be changed after the estimate.
    """

    group: str
    _scene = ""
    _subject = ""

    @abstractmethod
    def planned(self, context: bpy.types.Context, scene: bpy.types.Scene) -> tuple[str, TrainJob | DubJob | StillJob]:
        """A description of the job, and the job.

        Raises:
            Speech2LipError: The settings, strips or files do not allow the job.
        """

    def gather(self, context: bpy.types.Context) -> EstimateJob:
        scene = sequencer_scene(context)
        self._subject, job = self.planned(context, scene)
        self._scene = scene.name
        return EstimateJob(job)

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        text = f"{self._subject}: {progress.describe_estimate(result)}"
        if scene := bpy.data.scenes.get(self._scene):
            getattr(scene.s2l, self.group).estimate = text
        return f"{text}."


class S2L_OT_estimate_training(EstimateOperator, bpy.types.Operator):
    bl_idname = "s2l.estimate_training"
    bl_label = "Estimate Training"
    bl_description = "Estimate the time, memory and disk space of the training on this machine"
    bl_options = {"REGISTER"}
    group = "train"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        scene = sequencer_scene(context)
        return strips.missing_voice_reason(strips.footage(scene), strips.missing_footage(scene))

    def planned(self, context: bpy.types.Context, scene: bpy.types.Scene) -> tuple[str, TrainJob]:
        movie = strips.footage(scene)
        job = train_job(context, scene, movie, scene.s2l.train.speaker_name.strip() or "Speaker", consent=False)
        return f"{movie.name if movie else ''}, {job.preset.title()}", job


class S2L_OT_estimate_dub(EstimateOperator, bpy.types.Operator):
    bl_idname = "s2l.estimate_dub"
    bl_label = "Estimate Dub"
    bl_description = "Estimate the time, memory and disk space of the dub on this machine"
    bl_options = {"REGISTER"}
    group = "dub"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return dubbing.disabled_reason(sequencer_scene(context))

    def planned(self, context: bpy.types.Context, scene: bpy.types.Scene) -> tuple[str, DubJob | StillJob]:
        job, placement = dubbing.job_of_scene(context, scene)
        return f"{placement.footage}, {placement.end - placement.first} frames", job


class S2L_OT_estimate_still(EstimateOperator, bpy.types.Operator):
    bl_idname = "s2l.estimate_still"
    bl_label = "Estimate Still"
    bl_description = "Estimate the time, memory and disk space on this machine for the picture that is to speak"
    bl_options = {"REGISTER"}
    group = "still"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return still_job.disabled_reason(sequencer_scene(context))

    def planned(self, context: bpy.types.Context, scene: bpy.types.Scene) -> tuple[str, StillJob]:
        job, placement = still_job.job_of_scene(context, scene)
        return f"{placement.footage}, {placement.end - placement.first} frames", job
