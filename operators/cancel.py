"""Stop the running job."""

from __future__ import annotations

import bpy

from ..s2l_blender_addon.engine import running_job
from .base import BaseOperator


class S2L_OT_cancel_job(BaseOperator, bpy.types.Operator):
    bl_idname = "s2l.cancel_job"
    bl_label = "Cancel"
    bl_description = "Stop the running job and keep existing files"
    bl_options = {"REGISTER"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return "" if running_job.current() else "No job is running"

    def execute(self, context: bpy.types.Context) -> set[str]:
        if client := running_job.current():
            client.cancel()
        return {"FINISHED"}
