"""The page of the add-on in Blender's preferences."""

from __future__ import annotations

import bpy

from ..operators import S2L_OT_check_engine, S2L_OT_copy_report
from ..operators.engine_setup import S2L_OT_cancel_setup, S2L_OT_copy_command, S2L_OT_set_up_engine
from ..s2l_blender_addon import progress
from ..s2l_blender_addon.engine import installation, running_job
from ..s2l_blender_addon.engine.setup import STEPS, EngineSetup
from ..s2l_blender_addon.paths import EXTENSION
from ..s2l_blender_addon.preferences import EngineSettings
from ..s2l_blender_addon.sentences import draw_lines

UNSIGNED = "Renders that show synthetic media will carry no mark that programs can read"


class S2L_AP_preferences(EngineSettings, bpy.types.AddonPreferences):
    bl_idname = EXTENSION

    def draw(self, context: bpy.types.Context) -> None:
        layout, width = self.layout, context.region.width
        layout.use_property_split = True
        if phrases := installation.missing(context):
            layout.label(text="Missing", icon="ERROR")
            for phrase in phrases:
                draw_lines(layout, phrase, width, icon="DOT")
        draw_setup(layout, installation.setup(), S2L_OT_set_up_engine.disabled_reason(context), width)
        layout.prop(self, "base_python", placeholder="Blender's own")
        layout.prop(self, "torch_build")
        layout.prop(self, "worker_python", placeholder="Found automatically")
        layout.prop(self, "device")
        layout.prop(self, "signing_key", placeholder="Made for this machine")
        layout.prop(self, "signing_certificate")
        layout.prop(self, "timestamp_server")
        layout.prop(self, "sign_renders")
        if not self.sign_renders:
            draw_lines(layout, UNSIGNED, width, icon="ERROR")
        row = layout.row()
        row.operator(S2L_OT_check_engine.bl_idname)
        row.operator(S2L_OT_copy_report.bl_idname)
        outcome = running_job.outcome()
        if client := running_job.current():
            layout.label(text=progress.describe(client.progress))
        elif outcome and outcome.failed and not self.engine_report:
            draw_lines(layout, outcome.text, width, icon="ERROR")
        draw_lines(layout, self.engine_report, width)


def draw_setup(layout: bpy.types.UILayout, setup: EngineSetup | None, reason: str, width: int) -> None:
    """The buttons that set up the engine, or the progress of the setup, and its error."""
    if setup and not setup.has_ended:
        layout.progress(factor=setup.step / len(STEPS), text=f"Step {setup.step + 1} of {len(STEPS)}: {setup.text}")
        layout.operator(S2L_OT_cancel_setup.bl_idname)
        return
    row = layout.row()
    row.operator(S2L_OT_set_up_engine.bl_idname)
    row.operator(S2L_OT_copy_command.bl_idname)
    if reason:
        draw_lines(layout, f"{reason}.", width, icon="INFO")
    if setup and setup.error:
        draw_lines(layout, str(setup.error), width, icon="ERROR")
