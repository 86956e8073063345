"""What all operators that run a job share."""

from __future__ import annotations

import sys
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import bpy

from ..s2l_blender_addon import compat, screen
from ..s2l_blender_addon.engine import running_job as jobs
from ..s2l_blender_addon.engine.worker_client import WorkerClient
from ..s2l_blender_addon.pictures import training as preview
from ..s2l_blender_addon.preferences import find_worker_python
from ..s2l_core.errors import Cancelled, Speech2LipError
from ..s2l_core.jobs import Job

POLL_SECONDS = 0.1


class JobOperator:
    """Mix-in that runs a job: blocking when called by a script, modal when called by a button.

    A subclass says why it cannot run now (``disabled_reason``), what to do (``gather``) and what to make of the result
    (``finish``). While the job runs Blender stays usable and anything may vanish, so a subclass keeps names and
    numbers from ``gather`` to ``finish``, never references. It is not in Blender's "Repeat Last" (no ``REGISTER``),
    which would run it blocking.
    """

    report: Callable[[set[str], str], None]  # Blender's, as is the next
    poll_message_set: ClassVar[Callable[[str], None]]
    _client: WorkerClient
    _timer: bpy.types.Timer | None = None

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        """Why the operator cannot run now, as a sentence without its period; empty where it can."""
        return ""

    @abstractmethod
    def gather(self, context: bpy.types.Context) -> Job:
        """The job that the context asks for.

        Raises:
            Speech2LipError: Something about it is wrong.
        """

    @abstractmethod
    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        """Put the result into the file, and tell the user about it in a sentence.

        Raises:
            Speech2LipError: There is no place for it.
        """

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = "Wait for the running job, or cancel it" if jobs.current() else cls.disabled_reason(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not self._start(context):
            return {"CANCELLED"}
        shown = ""
        try:
            while not self._client.poll():
                shown = _narrate(self._client, shown)
                time.sleep(POLL_SECONDS)
        except BaseException:  # such as an interrupt from the terminal
            jobs.abandon()
            raise
        return self._end(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self._start(context):
            return {"CANCELLED"}
        manager = context.window_manager
        self._timer = manager.event_timer_add(POLL_SECONDS, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        screen.redraw(context.window_manager)
        if jobs.current() is not self._client:
            self._remove_timer(context)
            return {"CANCELLED"}
        has_ended = self._client.poll()
        if self._client.preview_path:
            preview.show(self._client.preview_path)
        if not has_ended or compat.is_sequencer_busy():
            return {"PASS_THROUGH"}
        self._remove_timer(context)
        return self._end(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: another file is opened, the window closes, Blender quits."""
        self._remove_timer(context)
        if jobs.current() is self._client:
            jobs.abandon()

    def _start(self, context: bpy.types.Context) -> bool:
        preview.clear()
        try:
            self._client = jobs.start(find_worker_python(context), self.gather(context))
        except Speech2LipError as error:
            self._conclude("ERROR", str(error))
            return False
        return True

    def _end(self, context: bpy.types.Context) -> set[str]:
        try:
            if self._client.error is not None:
                raise self._client.error
            text = self.finish(context, self._client.result or {})
        except Cancelled as error:
            self._conclude("WARNING", error.message)
        except Speech2LipError as error:
            self._conclude("ERROR", str(error))
        except BaseException:
            jobs.conclude(True, "The result could not be used.")
            raise
        else:
            self._conclude("INFO", text)
            return {"FINISHED"}
        return {"CANCELLED"}

    def _conclude(self, level: str, text: str) -> None:
        jobs.conclude(level != "INFO", text)
        self.report({level}, text)

    def _remove_timer(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None


def _narrate(client: WorkerClient, shown: str) -> str:
    """Print progress to the terminal when it reaches another tenth of a phase; returns what is shown now."""
    progress = client.progress
    step = f"{progress.phase} {int(10 * jobs.fraction(progress))}" if progress else ""
    if step != shown:
        print(f"Speech2Lip: {jobs.describe(progress)}", file=sys.stderr, flush=True)
    return step
