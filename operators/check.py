"""Judge footage before training on it."""

from __future__ import annotations

from typing import Any

import bpy

from ..s2l_blender_addon import strips
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.preferences import settings
from ..s2l_core.jobs import CheckJob
from .job_operator import JobOperator


class S2L_OT_check_footage(JobOperator, bpy.types.Operator):
    bl_idname = "s2l.check_footage"
    bl_label = "Check Footage"
    bl_description = "Judge how well the movie strip suits training, and say what would make it better"
    bl_options = {"UNDO"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return strips.obstacle(strips.footage(sequencer_scene(context)), "Select the movie strip of the speaker")

    def gather(self, context: bpy.types.Context) -> CheckJob:
        scene = sequencer_scene(context)
        playback = strips.playback(scene, strips.footage(scene))
        self._scene, self._footage = scene.name, playback.path
        return CheckJob(footage=playback.media(playback.first), device=settings(context).device)

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        if scene := bpy.data.scenes.get(self._scene):
            check = scene.s2l.check
            check.footage, check.verdict, check.advice = self._footage, result["verdict"], "\n".join(result["advice"])
        return f"The footage is {result['verdict']}."
