"""The operators on entries of the queue, each of which is a button in the entry's row."""

# Blender declares properties as annotations.
# mypy: disable-error-code="valid-type"

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import bpy

from ..s2l_blender_addon.queue import job_queue
from ..s2l_blender_addon.queue.entries import Entry, Status
from .base import BaseOperator


class EntryOperator:
    """Mix-in for an operator on the entry whose identifier is given in ``entry``.

    Attributes:
        statuses: The statuses in which an entry has this button.
    """

    bl_options = {"INTERNAL"}  # not found by Menu Search, since it needs an entry
    bl_idname: ClassVar[str]  # Blender's, as is the next
    report: Callable[[set[str], str], None]
    entry: bpy.props.StringProperty(
        name="Entry", description="Identifier of the entry of the queue", options={"HIDDEN", "SKIP_SAVE"}
    )
    statuses: ClassVar[tuple[Status, ...]]

    def execute(self, context: bpy.types.Context) -> set[str]:
        entry = job_queue.find(self.entry)
        if entry is None or entry.status not in self.statuses:
            return {"CANCELLED"}
        self.change(context, entry)
        return {"FINISHED"}

    @abstractmethod
    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        """Perform the action on the entry."""


class S2L_OT_move_entry_up(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.move_entry_up"
    bl_label = "Move Up"
    bl_description = "Run this job before the one above it"
    statuses = ("waiting",)

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.move(entry, -1)


class S2L_OT_move_entry_down(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.move_entry_down"
    bl_label = "Move Down"
    bl_description = "Run this job after the one below it"
    statuses = ("waiting",)

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.move(entry, 1)


class S2L_OT_cancel_entry(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.cancel_entry"
    bl_label = "Cancel"
    bl_description = "Stop this job and keep its progress, from which Resume continues"
    statuses = ("waiting", "running")

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.cancel(entry)


class S2L_OT_retry_entry(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.retry_entry"
    bl_label = "Retry"
    bl_description = "Add this job to the end of the queue again"
    statuses = ("failed",)

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.requeue(entry)


class S2L_OT_resume_entry(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.resume_entry"
    bl_label = "Resume"
    bl_description = "Add this job to the end of the queue, to continue where it stopped"
    statuses = ("cancelled", "interrupted")

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.requeue(entry)


class S2L_OT_insert_entry(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.insert_entry"
    bl_label = "Insert"
    bl_description = "Insert the result into the .blend file that it was made for"
    statuses = ("ready",)

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.insert(entry)
        is_well = entry.status == "done" and not entry.changed_nothing
        self.report({"INFO" if is_well else "WARNING"}, entry.outcome)


class S2L_OT_remove_entry(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.remove_entry"
    bl_label = "Remove"
    bl_description = "Remove this job from the queue and keep its files"
    statuses = ("waiting", "submitted", "ready", "done", "failed", "cancelled", "interrupted")

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.remove(entry)


class S2L_OT_copy_error(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.copy_error"
    bl_label = "Copy Error"
    bl_description = "Copy the error and the end of the engine's log to the clipboard"
    statuses = ("failed",)

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        context.window_manager.clipboard = error_text(entry)
        self.report({"INFO"}, "Copied the error to the clipboard.")


class S2L_OT_clear_finished(BaseOperator, bpy.types.Operator):
    bl_idname = "s2l.clear_finished"
    bl_label = "Clear Finished"
    bl_description = "Remove all jobs that have ended from the queue and keep their files"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        has_ended = any(entry.has_ended for entry in job_queue.entries())
        return "" if has_ended else "No job in the queue has ended"

    def execute(self, context: bpy.types.Context) -> set[str]:
        job_queue.clear_finished()
        return {"FINISHED"}


def error_text(entry: Entry) -> str:
    """The error of a failed entry with its code and log; empty for other entries."""
    if entry.failure is None:
        return ""
    return f"{entry.name}: {entry.failure}\nCode: {entry.failure.code}\n{entry.failure.log}".rstrip()


CLASSES = (
    S2L_OT_move_entry_up,
    S2L_OT_move_entry_down,
    S2L_OT_cancel_entry,
    S2L_OT_retry_entry,
    S2L_OT_resume_entry,
    S2L_OT_insert_entry,
    S2L_OT_remove_entry,
    S2L_OT_copy_error,
    S2L_OT_clear_finished,
)
