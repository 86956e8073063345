"""Let one picture speak with sound strips: that of an image strip, or the frame of a movie strip under the playhead."""

from __future__ import annotations

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.queue import still_job
from ..s2l_core.jobs import StillJob
from .dub_operator import AskingDubOperator


class S2L_OT_dub_still(AskingDubOperator, bpy.types.Operator):
    bl_idname = "s2l.dub_still"
    bl_label = "Dub Still"
    bl_description = (
        "Let the image strip, or the frame of the movie strip under the playhead, speak with the sound strip, in a new "
        "strip above it"
    )

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return still_job.disabled_reason(sequencer_scene(context))

    def gather(self, context: bpy.types.Context) -> StillJob:
        job, self._placement = still_job.job_of_scene(context, sequencer_scene(context))
        return job
