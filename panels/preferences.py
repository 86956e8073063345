"""The page of the add-on in Blender's preferences."""

from __future__ import annotations

import bpy

from ..operators import S2L_OT_check_engine, S2L_OT_copy_report
from ..s2l_blender_addon import jobs
from ..s2l_blender_addon.preferences import EXTENSION, EngineSettings
from .sentences import draw_lines


class S2L_AP_preferences(EngineSettings, bpy.types.AddonPreferences):
    bl_idname = EXTENSION

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "worker_python", placeholder="Found by itself")
        layout.prop(self, "device")
        row = layout.row()
        row.operator(S2L_OT_check_engine.bl_idname)
        row.operator(S2L_OT_copy_report.bl_idname)
        outcome = jobs.outcome()
        if client := jobs.current():
            layout.label(text=jobs.describe(client.progress))
        elif outcome and outcome.failed and not self.engine_report:
            draw_lines(layout, outcome.text, context.region.width, icon="ERROR")
        draw_lines(layout, self.engine_report, context.region.width)
