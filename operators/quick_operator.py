"""Operators whose job takes seconds: it runs in the warm worker, and the user waits for its end."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import bpy

from ..s2l_blender_addon import progress
from ..s2l_blender_addon.engine import warm_worker
from ..s2l_blender_addon.engine.worker_client import Request
from ..s2l_blender_addon.preferences import find_worker_python
from ..s2l_core.errors import Cancelled, Speech2LipError
from .base import JobOperator

POLL_SECONDS = 0.05


class QuickOperator(JobOperator):
    """Mix-in for an operator whose job takes seconds: blocking when called by a script, with its progress in the status
    bar when called by a button. Escape cancels it.
    """

    _request: Request
    _timer: bpy.types.Timer | None = None

    @abstractmethod
    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        """Show the result, and describe it in a sentence for the user.

        Raises:
            Speech2LipError: The result cannot be shown.
        """

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not self._start(context):
            return {"CANCELLED"}
        while not self._request.poll(POLL_SECONDS):
            pass
        return self._end(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self._start(context):
            return {"CANCELLED"}
        manager = context.window_manager
        self._timer = manager.event_timer_add(POLL_SECONDS, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC":
            self._request.cancel()
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        context.workspace.status_text_set(f"{progress.describe(self._request.progress)}   Esc: Cancel")
        if not self._request.poll():
            return {"PASS_THROUGH"}
        self._clean_up(context)
        return self._end(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Called when Blender ends the operator: another file is opened, the window is closed, Blender quits."""
        self._clean_up(context)
        self._request.cancel()

    def _start(self, context: bpy.types.Context) -> bool:
        try:
            worker = warm_worker.current(find_worker_python(context))
            self._request = worker.ask(self.gather(context))
        except Speech2LipError as error:
            self.report({"ERROR"}, str(error))
            return False
        return True

    def _end(self, context: bpy.types.Context) -> set[str]:
        try:
            if self._request.error is not None:
                raise self._request.error
            text = self.finish(context, self._request.result or {})
        except Speech2LipError as error:
            self.report({"WARNING" if isinstance(error, Cancelled) else "ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, text)
        return {"FINISHED"}

    def _clean_up(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            context.workspace.status_text_set(None)
            self._timer = None
