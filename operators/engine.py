"""Check the engine, and copy a report about it for a bug report."""

from __future__ import annotations

import platform
from typing import Any

import bpy

from ..s2l_blender_addon.engine import installation, running_job
from ..s2l_blender_addon.preferences import settings
from ..s2l_blender_addon.queue import job_queue
from ..s2l_core.jobs import InfoJob
from .immediate_operator import ImmediateOperator
from .queue_entries import error_text


class S2L_OT_check_engine(ImmediateOperator, bpy.types.Operator):
    bl_idname = "s2l.check_engine"
    bl_label = "Check Engine"
    bl_description = "Start the engine with the worker Python and show its versions and devices"

    def gather(self, context: bpy.types.Context) -> InfoJob:
        settings(context).engine_report = ""
        return InfoJob(device=settings(context).device)

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        settings(context).engine_report = installation.report(result)
        return "The engine works."


class S2L_OT_copy_report(bpy.types.Operator):
    bl_idname = "s2l.copy_report"
    bl_label = "Copy Report"
    bl_description = "Copy the versions, the outcome of the last job and the end of its log to the clipboard"
    bl_options = {"REGISTER"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.clipboard = report_text(context)
        self.report({"INFO"}, "Copied the report to the clipboard.")
        return {"FINISHED"}


def report_text(context: bpy.types.Context) -> str:
    """The text for a bug report: versions, platform, the last job, the setup, and failed entries of the queue."""
    parts = [f"Blender: {bpy.app.version_string}\nPlatform: {platform.platform()}"]
    parts.append(settings(context).engine_report or "The engine has not been checked.")
    if outcome := running_job.outcome():
        parts.append(f"Last job: {outcome.text}\n{outcome.log}".strip())
    if (setup := installation.setup()) and setup.error:
        parts.append(f"Setup: {setup.error}\n" + "\n".join(setup.log))
    parts += filter(None, map(error_text, job_queue.entries()))
    return "\n\n".join(parts)
