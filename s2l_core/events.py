"""What a running job tells its caller, and how the caller stops it. Standard library only."""

from __future__ import annotations

import time
from collections.abc import Callable
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
        is_cancelled: Asked at every progress report, which a job makes several times a second.
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
        if self._is_cancelled():
            raise Cancelled("The job was cancelled.")
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._phase_start = phase, (now, done)
        started, first = self._phase_start
        eta = (now - started) * (total - done) / (done - first) if done > first else None
        self._listener(Progress(phase, done, total, eta, note))

    def preview(self, path: str) -> None:
        self._listener(Preview(path))

    def log(self, level: Level, text: str) -> None:
        self._listener(Log(level, text))
