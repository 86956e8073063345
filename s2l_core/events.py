"""Events that a running job sends to its caller, and cancellation by the caller. Standard library only."""

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
    """Progress of a phase of the job.

    Attributes:
        phase: Name of the phase.
        done: Number of units that are done.
        total: Number of units of the phase.
        eta_seconds: Estimated time that the phase still takes; None until it can be estimated.
        note: Quality of the work so far, if it is known.
    """

    phase: str
    done: float
    total: float
    eta_seconds: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Preview:
    """A picture of the intermediate result was written to ``path``."""

    path: str


@dataclass(frozen=True)
class Log:
    """A message for the log."""

    level: Level
    text: str


Event = Progress | Preview | Log


class Report:
    """The connection between a job and its caller: the job reports progress, and the caller can cancel.

    Args:
        listener: Called with each event, in the thread of the job.
        is_cancelled: Returns whether to cancel. Called at every progress report and :func:`checkpoint`, several times a
            second.
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
        """Report progress, see :class:`Progress`.

        Raises:
            Cancelled: The caller cancelled the job.
        """
        self.refuse_cancelled()
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._phase_start = phase, (now, done)
        started, first = self._phase_start
        eta = (now - started) * (total - done) / (done - first) if done > first else None
        self._listener(Progress(phase, done, total, eta, note))

    def refuse_cancelled(self) -> None:
        """Raise an error if the caller cancelled the job.

        Raises:
            Cancelled: The caller cancelled the job.
        """
        if self._is_cancelled():
            raise Cancelled("The job was cancelled.")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Use this report in :func:`checkpoint` within the context."""
        token = _running.set(self)
        try:
            yield
        finally:
            _running.reset(token)

    def preview(self, path: str) -> None:
        """Report a picture of the intermediate result."""
        self._listener(Preview(path))

    def log(self, level: Level, text: str) -> None:
        """Report a message for the log."""
        self._listener(Log(level, text))


_running: ContextVar[Report | None] = ContextVar("running", default=None)


def checkpoint() -> None:
    """Raise an error if the running job was cancelled. For long computations that report no progress.

    Raises:
        Cancelled: The caller cancelled the job.
    """
    report = _running.get()
    if report is not None:
        report.refuse_cancelled()


def tell(level: Level, text: str) -> None:
    """Report a message for the log of the running job, if there is one."""
    report = _running.get()
    if report is not None:
        report.log(level, text)
