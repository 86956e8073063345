"""Set up the engine, or copy the commands for that."""

from __future__ import annotations

import sys

import bpy

from ..s2l_blender_addon.engine import installation, running_job
from ..s2l_blender_addon.engine.setup import as_text, commands
from ..s2l_blender_addon.preferences import engine_environment, settings
from ..s2l_core.errors import Speech2LipError
from .base import BaseOperator


class S2L_OT_set_up_engine(BaseOperator, bpy.types.Operator):
    """Blocking when called by a script, in the background when called by a button."""

    bl_idname = "s2l.set_up_engine"
    bl_label = "Set Up Engine"
    bl_description = "Download the engine's packages, several gigabytes, to a folder that is removed with the extension"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        if installation.is_being_set_up():
            return "The engine is being set up"
        if running_job.current():
            return "Wait for the running job, or cancel it"
        return "" if bpy.app.online_access else "Allow online access in the preferences, under System"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        installation.start(context)
        installation.watch()
        return {"FINISHED"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        setup, shown = installation.start(context), ""
        try:
            while not installation.advance(patience=0.5):
                if setup.text != shown:
                    shown = setup.text
                    print(f"Speech2Lip: {shown}", file=sys.stderr, flush=True)
            if setup.error is not None:
                raise setup.error
        except Speech2LipError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        finally:
            setup.cancel()  # such as after an interrupt from the terminal
        self.report({"INFO"}, "The engine is ready.")
        return {"FINISHED"}


class S2L_OT_cancel_setup(bpy.types.Operator):
    bl_idname = "s2l.cancel_setup"
    bl_label = "Cancel Setup"
    bl_description = "Stop setting up the engine and keep an earlier one"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return installation.is_being_set_up()

    def execute(self, context: bpy.types.Context) -> set[str]:
        if setup := installation.setup():
            setup.cancel()
        return {"FINISHED"}


class S2L_OT_copy_command(bpy.types.Operator):
    bl_idname = "s2l.copy_command"
    bl_label = "Copy Command"
    bl_description = "Copy the commands that set up the engine to the clipboard, to run them in a terminal"
    bl_options = {"REGISTER"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        build = settings(context).torch_build
        context.window_manager.clipboard = as_text(
            commands(installation.base_python(context), engine_environment(), build)
        )
        self.report({"INFO"}, "Copied the commands to the clipboard.")
        return {"FINISHED"}


CLASSES = (S2L_OT_set_up_engine, S2L_OT_cancel_setup, S2L_OT_copy_command)
