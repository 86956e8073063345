"""Operators whose job is added to the queue."""

from __future__ import annotations

from abc import abstractmethod

import bpy

from ..s2l_blender_addon import progress
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.engine import running_job
from ..s2l_blender_addon.queue import job_queue
from ..s2l_blender_addon.queue.entries import Entry, Target
from ..s2l_blender_addon.queue.snapshots import snapshot, target_of
from ..s2l_core.errors import Speech2LipError
from .base import JobOperator

_LEVELS = {"done": "INFO", "ready": "WARNING", "cancelled": "WARNING"}  # of the report, by the status of the entry


class QueueOperator(JobOperator):
    """Mix-in for an operator that adds a job to the queue. A button returns at once, a script waits until the job ends.

    It is not in Blender's "Repeat Last" (no ``REGISTER``), which would run it blocking. The undo step is made when the
    result is delivered.
    """

    @abstractmethod
    def subject(self, context: bpy.types.Context) -> str:
        """The object of the job's verb, e.g. ``"Interview"`` for the entry "Dub Interview"."""

    def target(self, context: bpy.types.Context) -> Target:
        """The place of the result; called after ``gather``."""
        return target_of(sequencer_scene(context))

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self.enqueue(context)

    def enqueue(self, context: bpy.types.Context) -> set[str]:
        """Add the job and return at once."""
        try:
            entry = self.entry(context)
            job_queue.add(entry)
        except Speech2LipError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"{entry.name} is in the queue.")
        return {"FINISHED"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        show = progress.Milestones(progress.print_line)
        try:
            if running_job.current() is not None:
                raise Speech2LipError("A job is running.", "Wait until it ends, or cancel it.")
            entry = self.entry(context)
            job_queue.run(entry, lambda entry: show(entry.progress))
        except Speech2LipError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        level = _LEVELS.get(entry.status, "ERROR")
        if entry.status == "done" and entry.changed_nothing:
            level = "WARNING"
        self.report({level}, entry.outcome)
        return {"FINISHED"} if entry.status in ("done", "ready") else {"CANCELLED"}

    def entry(self, context: bpy.types.Context) -> Entry:
        """A new entry of the queue for the present context."""
        job = self.gather(context)
        return snapshot(self.subject(context), job, self.target(context))
