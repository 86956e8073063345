"""Reads the progress that the engine reports, and puts it and the estimates of jobs into words."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from ..s2l_core.events import Progress

_LARGEST_NUMBER = 1e15  # larger ones overflow when they are divided or put into words


def read_progress(values: Any) -> Progress | None:
    """The progress that the engine has reported as JSON values; None if it is not valid."""
    match values:
        case {
            "phase": str(phase),
            "done": int() | float() as done,
            "total": int() | float() as total,
            "eta_seconds": int() | float() | None as eta,
            "note": str(note),
        } if max(abs(done), abs(total), abs(eta or 0)) < _LARGEST_NUMBER:
            return Progress(phase, done, total, eta, note)
    return None


class Milestones:
    """Calls a function with the progress of a job each time that another tenth of a phase is done.

    Args:
        announce: Called with the progress.
    """

    def __init__(self, announce: Callable[[Progress], None]) -> None:
        self._announce = announce
        self._last = ("", 0)

    def __call__(self, progress: Progress | None) -> None:
        """Announce the progress if it has reached another tenth; None is ignored."""
        if progress is None:
            return
        milestone = progress.phase, int(10 * fraction(progress))
        if milestone != self._last:
            self._announce(progress)
            self._last = milestone


def print_line(progress: Progress) -> None:
    """Print progress to stderr."""
    print(f"Speech2Lip: {describe(progress)}", file=sys.stderr, flush=True)


def describe(progress: Progress | None) -> str:
    """Progress in a line, e.g. ``"Training 42%, 3 min left"``."""
    if progress is None:
        return "Starting"
    share = f"{_sentence_case(progress.phase)} {fraction(progress):.0%}"
    return share if progress.eta_seconds is None else f"{share}, {duration(progress.eta_seconds)} left"


def note(progress: Progress | None) -> str:
    """The quality reached so far, e.g. ``"Held-out 29.3 dB"``; empty if it is not known."""
    return _sentence_case(progress.note) if progress else ""


def fraction(progress: Progress | None) -> float:
    """The finished part of the phase, from 0 to 1."""
    return min(max(progress.done / progress.total, 0.0), 1.0) if progress and progress.total > 0 else 0.0


def duration(seconds: float) -> str:
    """A time in words, e.g. ``"3 min"``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def describe_estimate(result: dict[str, Any]) -> str:
    """The result of the verb ``estimate``, e.g. ``"about 6 min, 1.2 GB of memory, 40 MB on disk"``."""
    memory, disk = (_size(float(result[f"{name}_bytes"])) for name in ("memory", "disk"))
    return f"about {duration(result['seconds'])}, {memory} of memory, {disk} on disk"


def _sentence_case(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{math.ceil(count / 1e6)} MB"
