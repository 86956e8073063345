"""What a running job tells its caller, and how the caller stops it. Standard library only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from .errors import Cancelled

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` units of ``phase`` are ready.

    Attributes:
        eta_seconds: Time left; None until a rate can be told.
        note: How good the work is so far, if that is known.
    """

    phase: str
    done: float
    total: float
    eta_seconds: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Preview:
    """A picture of the work so far was written to ``path``."""

    path: str


@dataclass(frozen=True)
class Log:
    level: Level
    text: str


Event = Progress | Preview | Log


class Report:
    """Passed into every job: the job tells its progress, the caller may cancel.

    Args:
        listener: Called in the job's thread with each event.
        is_cancelled: Asked at every progress report and :func:`checkpoint`, which a job makes several times a second.
    """

    def __init__(
        self,
        listener: Callable[[Event], None] = lambda event: None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._listener = listener
        self._is_cancelled = is_cancelled
        self._phase = ""
        self._phase_start = (0.0, 0.0)

    def progress(self, phase: str, done: float, total: float, note: str = "") -> None:
        """Report that ``done`` of ``total`` units of ``phase`` are ready.

        Raises:
            Cancelled: The caller asked the job to stop.
        """
        self.refuse_cancelled()
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._phase_start = phase, (now, done)
        started, first = self._phase_start
        eta = (now - started) * (total - done) / (done - first) if done > first else None
        self._listener(Progress(phase, done, total, eta, note))

    def refuse_cancelled(self) -> None:
        """Raise where the caller asked the job to stop.

        Raises:
            Cancelled: The caller did.
        """
        if self._is_cancelled():
            raise Cancelled("The job was cancelled.")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make this the report that :func:`checkpoint` asks, for as long as a job runs."""
        token = _running.set(self)
        try:
            yield
        finally:
            _running.reset(token)

    def preview(self, path: str) -> None:
        self._listener(Preview(path))

    def log(self, level: Level, text: str) -> None:
        self._listener(Log(level, text))


_running: ContextVar[Report | None] = ContextVar("running", default=None)


def checkpoint() -> None:
    """Stop here where the job that runs was cancelled; for what takes long and has no progress of its own to report.

    Raises:
        Cancelled: The caller asked the job to stop.
    """
    report = _running.get()
    if report is not None:
        report.refuse_cancelled()
