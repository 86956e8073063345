"""Operators whose job starts at once, in a worker process of its own."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Any

import bpy

from ..s2l_blender_addon import compat, progress, screen
from ..s2l_blender_addon.engine import running_job
from ..s2l_blender_addon.engine.worker_client import WorkerClient
from ..s2l_blender_addon.pictures import training as training_picture
from ..s2l_blender_addon.preferences import find_worker_python
from ..s2l_core.errors import Cancelled, Speech2LipError
from .base import JobOperator

POLL_SECONDS = 0.1


class ImmediateOperator(JobOperator):
    """Mix-in for an operator that starts its job at once: blocking when called by a script, modal when called by a
    button.

    It is not in Blender's "Repeat Last" (no ``REGISTER``), which would run it blocking.
    """

    _client: WorkerClient
    _timer: bpy.types.Timer | None = None

    @abstractmethod
    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        """Put the result into the file, and describe it in a sentence for the user.

        Raises:
            Speech2LipError: The result cannot be put into the file.
        """

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if running_job.current():
            cls.poll_message_set("Wait for the running job, or cancel it")
            return False
        return super().poll(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not self._start(context):
            return {"CANCELLED"}
        show = progress.Milestones(progress.print_line)
        try:
            while not self._client.poll():
                show(self._client.progress)
                time.sleep(POLL_SECONDS)
        except BaseException:  # such as an interrupt from the terminal
            running_job.abandon()
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
        if running_job.current() is not self._client:
            self._remove_timer(context)
            return {"CANCELLED"}
        has_ended = self._client.poll()
        if self._client.preview_path:
            training_picture.show(self._client.preview_path)
        if not has_ended or compat.is_sequencer_busy():
            return {"PASS_THROUGH"}
        self._remove_timer(context)
        return self._end(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Called when Blender ends the operator: another file is opened, the window is closed, Blender quits."""
        self._remove_timer(context)
        if running_job.current() is self._client:
            running_job.abandon()

    def _start(self, context: bpy.types.Context) -> bool:
        training_picture.clear()
        try:
            self._client = running_job.start(find_worker_python(context), self.gather(context))
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
            running_job.conclude(True, "The result could not be used.")
            raise
        else:
            self._conclude("INFO", text)
            return {"FINISHED"}
        return {"CANCELLED"}

    def _conclude(self, level: str, text: str) -> None:
        running_job.conclude(level != "INFO", text)
        self.report({level}, text)

    def _remove_timer(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
