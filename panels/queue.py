"""The queue and the job that runs outside of it, as shown in every sidebar with buttons for jobs."""

from __future__ import annotations

import bpy

from ..operators import S2L_OT_cancel_job, S2L_OT_cancel_submit, S2L_OT_copy_report
from ..operators.queue_entries import (
    EntryOperator,
    S2L_OT_cancel_entry,
    S2L_OT_clear_finished,
    S2L_OT_copy_error,
    S2L_OT_insert_entry,
    S2L_OT_move_entry_down,
    S2L_OT_move_entry_up,
    S2L_OT_remove_entry,
    S2L_OT_resume_entry,
    S2L_OT_retry_entry,
)
from ..s2l_blender_addon import progress
from ..s2l_blender_addon.engine import running_job
from ..s2l_blender_addon.engine.worker_client import WorkerClient
from ..s2l_blender_addon.pictures import training as training_picture
from ..s2l_blender_addon.queue import job_queue
from ..s2l_blender_addon.queue.entries import Entry, Status
from ..s2l_blender_addon.sentences import draw_lines

PREVIEW_SCALE = 8.0
_ICONS: dict[Status, str] = {
    "waiting": "TIME",
    "running": "PLAY",
    "planning": "SORTTIME",
    "submitted": "NETWORK_DRIVE",
    "ready": "IMPORT",
    "done": "CHECKMARK",
    "failed": "ERROR",
    "cancelled": "CANCEL",
    "interrupted": "PAUSE",
}
_BUTTONS: tuple[tuple[type[EntryOperator], str], ...] = (
    (S2L_OT_move_entry_up, "TRIA_UP"),
    (S2L_OT_move_entry_down, "TRIA_DOWN"),
    (S2L_OT_insert_entry, "IMPORT"),
    (S2L_OT_retry_entry, "FILE_REFRESH"),
    (S2L_OT_resume_entry, "PLAY"),
    (S2L_OT_copy_error, "COPYDOWN"),
    (S2L_OT_cancel_entry, "X"),
    (S2L_OT_remove_entry, "X"),
)
_EXPLAINED = ("submitted", "ready", "failed", "interrupted")  # the other statuses need no explanation


class QueuePanel:
    bl_label = "Queue"
    bl_order = 0
    layout: bpy.types.UILayout  # Blender's

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(job_queue.entries()) or running_job.current() is not None or running_job.outcome() is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout, width = self.layout, context.region.width
        _draw_immediate(layout, width)
        _draw_planning(layout)
        for entry in job_queue.entries():
            _draw_entry(layout.column(align=True), entry, width)
        if any(entry.has_ended for entry in job_queue.entries()):
            layout.operator(S2L_OT_clear_finished.bl_idname)


def _draw_planning(layout: bpy.types.UILayout) -> None:
    """How far the jobs are planned that were submitted last."""
    if request := job_queue.submitting():
        row = layout.row(align=True)
        text = progress.describe(request.progress) if request.progress else "Planning"
        row.progress(factor=progress.fraction(request.progress), text=text)
        row.operator(S2L_OT_cancel_submit.bl_idname, text="", icon="X")


def _draw_entry(layout: bpy.types.UILayout, entry: Entry, width: int) -> None:
    row = layout.row(align=True)
    is_unchanged = entry.status == "done" and entry.changed_nothing
    row.label(text=entry.name, icon="ERROR" if is_unchanged else _ICONS[entry.status])
    shown = [(operator, icon) for operator, icon in _BUTTONS if entry.status in operator.statuses]
    if entry.status == "waiting":
        shown = [(operator, icon) for operator, icon in shown if operator is not S2L_OT_cancel_entry]
    for operator, icon in shown:
        row.operator(operator.bl_idname, text="", icon=icon, emboss=False).entry = entry.identifier
    if entry.client is not None:
        _draw_progress(layout, entry.client)
    elif entry.status == "waiting" and entry.estimate:
        layout.label(text=entry.estimate, icon="BLANK1")
    elif entry.status in _EXPLAINED or (entry.status == "done" and (entry.is_partial or entry.has_warnings)):
        draw_lines(layout, entry.outcome, width)


def _draw_progress(layout: bpy.types.UILayout, client: WorkerClient) -> None:
    layout.progress(factor=progress.fraction(client.progress), text=progress.describe(client.progress))
    if note := progress.note(client.progress):
        layout.label(text=note)
    if picture := training_picture.icon():
        layout.template_icon(icon_value=picture.icon_id, scale=PREVIEW_SCALE)


def _draw_immediate(layout: bpy.types.UILayout, width: int) -> None:
    """The job that was started at once instead of being added to the queue, or its outcome."""
    client, outcome = running_job.current(), running_job.outcome()
    if client is not None and job_queue.running() is None:
        _draw_progress(layout, client)
        layout.operator(S2L_OT_cancel_job.bl_idname, icon="CANCEL")
    elif outcome:
        draw_lines(layout, outcome.text, width, "ERROR" if outcome.failed else "CHECKMARK")
        if outcome.failed:
            layout.operator(S2L_OT_copy_report.bl_idname, icon="COPYDOWN")
