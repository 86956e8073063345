"""The running job, or how the last one ended: what every sidebar with buttons for jobs shows."""

from __future__ import annotations

import bpy

from ..operators import S2L_OT_cancel_job, S2L_OT_copy_report
from ..s2l_blender_addon import jobs, preview
from .sentences import draw_lines

PREVIEW_SCALE = 8.0


class JobPanel:
    bl_label = "Job"
    bl_order = 0
    layout: bpy.types.UILayout  # Blender's

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return jobs.current() is not None or jobs.outcome() is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        if client := jobs.current():
            layout.progress(factor=jobs.fraction(client.progress), text=jobs.describe(client.progress))
            if note := jobs.note(client.progress):
                layout.label(text=note)
            if picture := preview.icon():
                layout.template_icon(icon_value=picture.icon_id, scale=PREVIEW_SCALE)
            layout.operator(S2L_OT_cancel_job.bl_idname, icon="CANCEL")
        elif outcome := jobs.outcome():
            icon = "ERROR" if outcome.failed else "CHECKMARK"
            draw_lines(layout, outcome.text, context.region.width, icon)
            if outcome.failed:
                layout.operator(S2L_OT_copy_report.bl_idname, icon="COPYDOWN")
