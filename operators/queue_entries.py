"""What can be done with an entry of the queue, one button each in its row."""

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
    """Mix-in for an operator on the entry that its property names.

    Attributes:
        statuses: Of entries that it is for.
    """

    bl_options = {"INTERNAL"}  # without its entry it is nothing to search for
    bl_idname: ClassVar[str]  # Blender's, as is the next
    report: Callable[[set[str], str], None]
    entry: bpy.props.StringProperty(name="Entry", description="The entry of the queue", options={"HIDDEN", "SKIP_SAVE"})
    statuses: ClassVar[tuple[Status, ...]]

    def execute(self, context: bpy.types.Context) -> set[str]:
        entry = job_queue.find(self.entry)
        if entry is None or entry.status not in self.statuses:
            return {"CANCELLED"}
        self.change(context, entry)
        return {"FINISHED"}

    @abstractmethod
    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        """Do it."""


class S2L_OT_move_entry_up(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.move_entry_up"
    bl_label = "Move Up"
    bl_description = "Let this job run before the one that waits above it"
    statuses = ("waiting",)

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.move(entry, -1)


class S2L_OT_move_entry_down(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.move_entry_down"
    bl_label = "Move Down"
    bl_description = "Let this job run after the one that waits below it"
    statuses = ("waiting",)

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.move(entry, 1)


class S2L_OT_cancel_entry(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.cancel_entry"
    bl_label = "Cancel"
    bl_description = "Stop this job; what it has done so far is kept, and Resume goes on from there"
    statuses = ("waiting", "running")

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.cancel(entry)


class S2L_OT_retry_entry(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.retry_entry"
    bl_label = "Retry"
    bl_description = "Put this job at the end of the queue once more"
    statuses = ("failed",)

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.requeue(entry)


class S2L_OT_resume_entry(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.resume_entry"
    bl_label = "Resume"
    bl_description = "Put this job at the end of the queue; it goes on where it was stopped"
    statuses = ("cancelled", "interrupted")

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.requeue(entry)


class S2L_OT_insert_entry(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.insert_entry"
    bl_label = "Insert"
    bl_description = "Put the result into the file that it was made for"
    statuses = ("ready",)

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.insert(entry)
        is_well = entry.status == "done" and not entry.changed_nothing
        self.report({"INFO" if is_well else "WARNING"}, entry.outcome)


class S2L_OT_remove_entry(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.remove_entry"
    bl_label = "Remove"
    bl_description = "Take this job out of the queue; files that are there stay as they are"
    statuses = ("waiting", "ready", "done", "failed", "cancelled", "interrupted")

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        job_queue.remove(entry)


class S2L_OT_copy_error(EntryOperator, bpy.types.Operator):
    bl_idname = "s2l.copy_error"
    bl_label = "Copy Error"
    bl_description = "Copy what went wrong, with the end of the engine's log, to the clipboard"
    statuses = ("failed",)

    def change(self, context: bpy.types.Context, entry: Entry) -> None:
        context.window_manager.clipboard = error_text(entry)
        self.report({"INFO"}, "The error is on the clipboard.")


class S2L_OT_clear_finished(BaseOperator, bpy.types.Operator):
    bl_idname = "s2l.clear_finished"
    bl_label = "Clear Finished"
    bl_description = "Take all jobs that have ended out of the queue; files stay as they are"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        has_ended = any(entry.has_ended for entry in job_queue.entries())
        return "" if has_ended else "No job in the queue has ended"

    def execute(self, context: bpy.types.Context) -> set[str]:
        job_queue.clear_finished()
        return {"FINISHED"}


def error_text(entry: Entry) -> str:
    """All that is known of how an entry failed."""
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
