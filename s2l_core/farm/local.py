"""Doing a plan on this machine: several processes at a time, as many as cores and memory allow."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CannotWrite, Speech2LipError, WorkerLost
from ..events import Report
from ..files import refusal
from ..locks import Taken, locked
from . import states
from .joining import outcome
from .plan import Plan, Task, critical_seconds, read_plan, ready_tasks

ATTEMPTS = 3
"""Number of times that a task is begun whose process ends without a word, as if killed or out of memory."""
_TICK_SECONDS = 0.1
_GRACE_SECONDS = 10.0
"""Time in which a cancelled process may end by itself."""
_LEFT_FREE = 0.1
"""Share of the memory that is not planned for."""
_LOGS, _LOCK = "logs", ".batch.s2l-lock"


def run_here(
    folder: str, workers: int | None = None, roots: Mapping[str, str] | None = None, report: Report | None = None
) -> dict[str, Any]:
    """Do all tasks of a plan that are not done, in processes of their own.

    A task that fails, or whose process is lost three times, keeps no other from its turn except those that need it.
    Tasks that failed before are tried again. What a process prints is in ``PLAN/logs/TASK.txt``.

    Args:
        folder: The folder of the plan.
        workers: Number of processes at a time; None means one for each core. Fewer run if the tasks' estimates say
            that the memory does not suffice for more.
        roots: As for :func:`s2l_core.farm.run.run_task`.
        report: Receives the progress: estimated seconds of the tasks that are done.

    Returns:
        What became of the plan, see :func:`s2l_core.farm.joining.join_plan`.

    Raises:
        BadPlan, BadJob: The plan cannot be read.
        CannotWrite: Another process does this plan on this machine.
        Cancelled: The caller cancelled it. Processes are ended, and the plan goes on when it is started again.
    """
    report, plan = report or Report(), read_plan(folder)
    states.make_folders(folder)
    with _alone(folder), _Workers(folder, plan, workers or os.cpu_count() or 1, roots or {}) as running:
        while running.start() or running.busy:
            running.tell(report)
            time.sleep(_TICK_SECONDS)
            running.collect(report)
        running.tell(report)
    return outcome(folder, plan, roots)


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Hold the plan for this process."""
    path = Path(folder) / _LOCK
    with ExitStack() as held:
        try:
            held.enter_context(locked(path))
        except Taken:
            raise CannotWrite(f"The plan in {folder} is being run already.", "Wait until it has ended.") from None
        except OSError as error:
            raise refusal(path, error) from error
        yield


@dataclass
class _Running:
    """A task in a process of its own."""

    task: Task
    process: subprocess.Popen[bytes]
    begun: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        """Estimated seconds of the task that have passed, of which it keeps a tenth until it ends."""
        return min(time.monotonic() - self.begun, 0.9 * self.task.seconds)


class _Workers:
    """The processes that do a plan. They are ended with the context."""

    def __init__(self, folder: str, plan: Plan, workers: int, roots: Mapping[str, str]) -> None:
        self._folder, self._plan, self._workers, self._roots = folder, plan, workers, roots
        self._memory = (1 - _LEFT_FREE) * memory_here()
        self._urgency = critical_seconds(plan)
        self._done = {name for name, state in states.read_states(folder, plan).items() if state.status == "done"}
        self._attempts: dict[str, int] = {}
        self._failed: set[str] = set()
        self._running: dict[str, _Running] = {}
        states.make_folder(Path(folder) / _LOGS)

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *error: object) -> None:
        for each in self._running.values():
            each.process.terminate()
        deadline = time.monotonic() + _GRACE_SECONDS
        for each in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                each.process.wait(max(0.0, deadline - time.monotonic()))
            each.process.kill()
            each.process.wait()

    @property
    def busy(self) -> bool:
        """Whether a process is running."""
        return bool(self._running)

    def start(self) -> bool:
        """Begin those tasks for which there are a core and enough memory, the most urgent first. Returns whether there
        were any.
        """
        ready = ready_tasks(self._plan, self._done, {*self._running, *self._failed})
        begun = False
        for task in sorted(ready, key=lambda each: -self._urgency[each.name]):
            if len(self._running) >= self._workers:
                break
            used = sum(each.task.memory_bytes for each in self._running.values())
            if self._running and used + task.memory_bytes > self._memory:
                continue
            self._running[task.name] = _Running(task, self._begin(task))
            begun = True
        return begun

    def _begin(self, task: Task) -> subprocess.Popen[bytes]:
        states.forget_state(self._folder, task)
        threads = str(max(1, (os.cpu_count() or 1) // self._workers))
        roots = [word for name, path in self._roots.items() for word in ("--root", f"{name}={path}")]
        command = [sys.executable, "-m", f"{__package__.partition('.')[0]}.cli", "run", self._folder, task.name, *roots]
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": _import_path()}
        with (Path(self._folder) / _LOGS / f"{task.name}.txt").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def collect(self, report: Report) -> None:
        """See which processes have ended."""
        for name, each in list(self._running.items()):
            if each.process.poll() is None:
                continue
            del self._running[name]
            state = states.read_state(self._folder, name)
            if state.status == "done":
                self._done.add(name)
            elif state.status == "failed":
                self._failed.add(name)
                report.log("error", f"{name} failed: {state.message} {state.hint}".strip())
            else:
                self._lose(each, state, report)

    def _lose(self, lost: _Running, state: states.State, report: Report) -> None:
        """A process ended without a word: begin its task again, or give up."""
        name = lost.task.name
        self._attempts[name] = self._attempts.get(name, 0) + 1
        error = WorkerLost(f"The process of {name} ended unexpectedly with status {lost.process.returncode}.")
        report.log("warning", str(error.message))
        if self._attempts[name] < ATTEMPTS:
            return
        self._failed.add(name)
        with suppress(Speech2LipError):
            states.write_state(self._folder, lost.task, states.failed(state, error))

    def tell(self, report: Report) -> None:
        """Report the progress."""
        total = sum(task.seconds for task in self._plan.tasks)
        done = sum(task.seconds for task in self._plan.tasks if task.name in self._done)
        done += sum(each.spent for each in self._running.values())
        note = f"{len(self._done)} of {len(self._plan.tasks)} tasks, {len(self._running)} running"
        note += f", {len(self._failed)} failed" if self._failed else ""
        report.progress("Run tasks", done, max(total, 1.0), note)


def memory_here() -> int:
    """Bytes of memory that are free for other programs, or a guess of 8 GB if the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return 1024 * int(lines.get("MemAvailable", "x").split()[0])
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 8_000_000_000


def _import_path() -> str:
    """``PYTHONPATH`` with which a child process imports the same package."""
    own = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH", "")]))
