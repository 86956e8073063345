"""What all operators that add a job to the queue share."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.engine import running_job as jobs
from ..s2l_blender_addon.queue import job_queue
from ..s2l_blender_addon.queue.entries import Entry, Target
from ..s2l_blender_addon.queue.snapshots import snapshot, target_of
from ..s2l_core.errors import Speech2LipError
from ..s2l_core.jobs import Job


class QueueOperator:
    """Mix-in for an operator whose job waits in the queue: a button adds it, a script waits for its end.

    A subclass says why it cannot run now (``disabled_reason``), what to do (``gather``), what to call that
    (``subject``), and where the result goes, unless the scene is enough (``target``). It is not in Blender's "Repeat
    Last" (no ``REGISTER``), which would run it blocking. The undo step is that of the delivery.
    """

    bl_label: str  # Blender's, as are the next two
    report: Callable[[set[str], str], None]
    poll_message_set: ClassVar[Callable[[str], None]]

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        """Why the operator cannot run now, as a sentence without its period; empty where it can."""
        return ""

    @abstractmethod
    def gather(self, context: bpy.types.Context) -> Job:
        """The job that the context asks for, whole: nothing is looked up later.

        Raises:
            Speech2LipError: Something about it is wrong.
        """

    @abstractmethod
    def subject(self, context: bpy.types.Context) -> str:
        """What the job is about, after its verb, e.g. ``"Interview"``."""

    def target(self, context: bpy.types.Context) -> Target:
        """Where the result goes; asked after ``gather``."""
        return target_of(sequencer_scene(context))

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = cls.disabled_reason(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason

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
        try:
            if jobs.current() is not None:
                raise Speech2LipError("A job is running.", "Wait for it, or cancel it.")
            entry = self.entry(context)
            job_queue.run(entry, _Narrator())
        except Speech2LipError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        level = {"done": "INFO", "ready": "WARNING", "cancelled": "WARNING"}.get(entry.status, "ERROR")
        if entry.status == "done" and entry.changed_nothing:
            level = "WARNING"
        self.report({level}, entry.outcome)
        return {"FINISHED"} if entry.status in ("done", "ready") else {"CANCELLED"}

    def entry(self, context: bpy.types.Context) -> Entry:
        """The snapshot that waits in the queue."""
        job = self.gather(context)
        return snapshot(self.subject(context), job, self.target(context))


class _Narrator:
    """Prints progress to the terminal when it reaches another tenth of a phase."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, entry: Entry) -> None:
        progress = entry.client.progress if entry.client else None
        step = f"{progress.phase} {int(10 * jobs.fraction(progress))}" if progress else ""
        if step != self._shown:
            print(f"Speech2Lip: {jobs.describe(progress)}", file=sys.stderr, flush=True)
            self._shown = step
