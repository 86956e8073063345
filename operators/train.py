"""Learn a speaker from a movie strip."""

from __future__ import annotations

import bpy

from ..s2l_blender_addon import strips
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.outputs import unused_path
from ..s2l_blender_addon.preferences import settings
from ..s2l_core.jobs import TrainJob
from .queue_operator import QueueOperator


class S2L_OT_train_speaker(QueueOperator, bpy.types.Operator):
    bl_idname = "s2l.train_speaker"
    bl_label = "Train Speaker"
    bl_description = "Learn the lips of the speaker in the movie strip, and write them to a speaker file"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        scene = sequencer_scene(context)
        if not scene.s2l.train.speaker_name.strip():
            return "Name the speaker"
        return strips.obstacle(strips.footage(scene), "Select the movie strip of the speaker")

    def gather(self, context: bpy.types.Context) -> TrainJob:
        scene = sequencer_scene(context)
        train, footage = scene.s2l.train, strips.visible_media(scene, strips.footage(scene))
        return TrainJob(
            footage=footage,
            speaker_path=unused_path(train.folder, footage.path, train.speaker_name.strip(), ".s2l"),
            name=train.speaker_name.strip(),
            preset=train.preset,
            device=settings(context).device,
        )

    def subject(self, context: bpy.types.Context) -> str:
        return str(sequencer_scene(context).s2l.train.speaker_name.strip())
