"""The job that is running, one at a time, and how the last one ended: what the panels show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ...s2l_core.events import Progress
from ...s2l_core.jobs import Job
from .worker_client import WorkerClient


@dataclass(frozen=True)
class Outcome:
    """How a job ended, in sentences for the user; ``log`` is the end of the engine's log."""

    failed: bool
    text: str
    log: str


_current: WorkerClient | None = None
_outcome: Outcome | None = None


def current() -> WorkerClient | None:
    """The running job."""
    return _current


def outcome() -> Outcome | None:
    """How the last job ended; None while one is running."""
    return _outcome


def start(python: str, job: Job) -> WorkerClient:
    """Run a job in a new worker process.

    Raises:
        EngineIncomplete: The Python cannot be started.
    """
    global _current, _outcome
    assert _current is None, "one job at a time"
    _current, _outcome = WorkerClient(python, job), None
    return _current


def conclude(failed: bool, text: str) -> None:
    """Forget the job and keep its outcome."""
    global _current, _outcome
    log = "\n".join(_current.log) if _current else ""
    _current, _outcome = None, Outcome(failed, text, log)


def release() -> None:
    """Forget the job and how it ended: someone else keeps that."""
    global _current, _outcome
    _current, _outcome = None, None


def abandon() -> None:
    """Kill the running job, if there is one: Blender is leaving it behind."""
    if _current is not None:
        _current.kill()
        conclude(True, "The job was stopped.")


def describe(progress: Progress | None) -> str:
    """Progress in a line, e.g. ``"Training 42 %, 3 min left"``."""
    if progress is None:
        return "Starting"
    share = f"{_sentence_case(progress.phase)} {fraction(progress):.0%}".replace("%", " %")
    return share if progress.eta_seconds is None else f"{share}, {duration(progress.eta_seconds)} left"


def note(progress: Progress | None) -> str:
    """How good the work is so far, e.g. ``"Held-out 29.3 dB"``; empty where that is not known."""
    return _sentence_case(progress.note) if progress else ""


def fraction(progress: Progress | None) -> float:
    """The part of the phase that is done, from 0 to 1."""
    return min(max(progress.done / progress.total, 0.0), 1.0) if progress and progress.total > 0 else 0.0


def _sentence_case(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def duration(seconds: float) -> str:
    """Seconds in words, e.g. ``"3 min"``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def estimate_in_words(result: dict[str, Any]) -> str:
    """What the engine's verb ``estimate`` has told, e.g. ``"about 6 min, 1.2 GB of memory, 40 MB on disk"``."""
    memory, disk = (_size(float(result[f"{name}_bytes"])) for name in ("memory", "disk"))
    return f"about {duration(result['seconds'])}, {memory} of memory, {disk} on disk"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{math.ceil(count / 1e6)} MB"
