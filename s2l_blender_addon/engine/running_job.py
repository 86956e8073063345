"""The running job, of which there is one at most, and the outcome of the last one, as the panels show them."""

from __future__ import annotations

from dataclasses import dataclass

from ...s2l_core.jobs import Job
from .worker_client import WorkerClient


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job in sentences for the user; ``log`` is the end of the engine's log."""

    failed: bool
    text: str
    log: str


_current: WorkerClient | None = None
_outcome: Outcome | None = None


def current() -> WorkerClient | None:
    """The running job; None if there is none."""
    return _current


def outcome() -> Outcome | None:
    """The outcome of the last job; None while one is running."""
    return _outcome


def start(python: str, job: Job) -> WorkerClient:
    """Start a job in a new worker process.

    Raises:
        EngineIncomplete: The Python cannot be started.
    """
    global _current, _outcome
    assert _current is None, "one job at a time"
    _current, _outcome = WorkerClient(python, job), None
    return _current


def conclude(failed: bool, text: str) -> None:
    """Forget the job and store its outcome."""
    global _current, _outcome
    log = "\n".join(_current.log) if _current else ""
    _current, _outcome = None, Outcome(failed, text, log)


def release() -> None:
    """Forget the job without an outcome, which the queue stores itself."""
    global _current, _outcome
    _current, _outcome = None, None


def abandon() -> None:
    """Kill the running job, if there is one."""
    if _current is not None:
        _current.kill()
        conclude(True, "The job was stopped.")
