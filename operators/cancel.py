"""Stop the running job."""

from __future__ import annotations

import bpy

from ..s2l_blender_addon.engine import running_job as jobs


class S2L_OT_cancel_job(bpy.types.Operator):
    bl_idname = "s2l.cancel_job"
    bl_label = "Cancel"
    bl_description = "Stop the running job; files that are already there stay as they are"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if jobs.current() is None:
            cls.poll_message_set("No job is running")
        return jobs.current() is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        if client := jobs.current():
            client.cancel()
        return {"FINISHED"}
