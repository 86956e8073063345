"""Doing a plan on this machine: several processes at a time, as many as cores and memory allow."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
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


def run_here(
    folder: str, workers: int | None = None, roots: Mapping[str, str] | None = None, report: Report | None = None
) -> dict[str, Any]:
    """Do all tasks of a plan that are not done, in processes of their own.

    A task that fails, or whose process is lost three times, keeps no other from its turn except those that need it.
    Tasks that failed before are tried again. What a process prints is in ``PLAN/logs/TASK.txt``, with its first task.

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
    path = Path(folder) / states.LOCK
    with ExitStack() as held:
        try:
            held.enter_context(locked(path))
        except Taken:
            raise CannotWrite(f"The plan in {folder} is being run already.", "Wait until it has ended.") from None
        except OSError as error:
            raise refusal(path, error) from error
        yield


class _Worker:
    """A process that does one task after the other, and keeps the files of a job open for the next of its tasks.

    Attributes:
        task: The task that it does.
        last: The one before.
        is_open: Whether it can be given another one.
    """

    def __init__(self, folder: str, first: Task, roots: Mapping[str, str], threads: int) -> None:
        rooted = [word for name, path in roots.items() for word in ("--root", f"{name}={path}")]
        command = [sys.executable, "-P", "-m", f"{__package__.partition('.')[0]}.cli", "run", folder, "-", *rooted]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": _import_path()}
        with (Path(folder) / states.LOGS / f"{first.name}.txt").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
        self.task: Task | None = None
        self.last: Task | None = None
        self.is_open = True
        self._begun = 0.0

    def begin(self, task: Task) -> None:
        """Begin a task. If the process has ended meanwhile, :attr:`status` says so."""
        self.task, self._begun = task, time.monotonic()
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.write(f"{task.name}\n".encode())
            self._process.stdin.flush()

    def end(self) -> None:
        """The task has ended. What a training or a render has allocated is freed with the process."""
        self.last, self.task = self.task, None
        if self.last is not None and self.last.kind in ("train", "whole"):
            self.stop()

    @property
    def status(self) -> int | None:
        """Exit status of the process; None while it runs."""
        return self._process.poll()

    @property
    def spent(self) -> float:
        """Estimated seconds of the task that have passed, of which it keeps a tenth until it ends."""
        return min(time.monotonic() - self._begun, 0.9 * self.task.seconds) if self.task else 0.0

    def stop(self) -> None:
        """Let the process end once it has nothing to do."""
        self.is_open = False
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.close()

    def terminate(self) -> None:
        """Cancel the task."""
        self._process.terminate()

    def kill(self, deadline: float) -> None:
        """Wait until a moment of the monotonic clock for the process to end, then kill it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        self._process.kill()
        self._process.wait()


class _Workers:
    """The processes that do a plan. They are ended with the context."""

    def __init__(self, folder: str, plan: Plan, most: int, roots: Mapping[str, str]) -> None:
        self._folder, self._plan, self._most, self._roots = folder, plan, most, roots
        self._memory = (1 - _LEFT_FREE) * memory_here()
        self._urgency = critical_seconds(plan)
        self._done = {name for name, state in states.read_states(folder, plan).items() if state.status == "done"}
        self._attempts: dict[str, int] = {}
        self._failed: set[str] = set()
        self._workers: list[_Worker] = []
        states.make_folder(Path(folder) / states.LOGS)

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *error: object) -> None:
        for each in self._workers:
            each.terminate() if each.task else each.stop()
        deadline = time.monotonic() + _GRACE_SECONDS
        for each in self._workers:
            each.kill(deadline)

    @property
    def busy(self) -> list[_Worker]:
        """Those that do a task."""
        return [each for each in self._workers if each.task]

    def start(self) -> bool:
        """Begin those tasks for which there are a process and enough memory. Returns whether there were any."""
        begun = False
        while (task := self._next()) is not None:
            states.forget_state(self._folder, task)
            self._worker_for(task).begin(task)
            begun = True
        return begun

    def _next(self) -> Task | None:
        """The task to begin now: one whose files an idle process has open, or else the most urgent one of a job that no
        other process has open, or else the most urgent one.
        """
        running = [each.task for each in self.busy if each.task]
        if len(running) >= self._most:
            return None
        names = {task.name for task in running}
        used = sum(task.memory_bytes for task in running)
        ready = ready_tasks(self._plan, self._done, names | self._failed)
        fitting = [task for task in ready if not running or used + task.memory_bytes <= self._memory]
        idle = {each.last.job for each in self._workers if each.is_open and each.last and not each.task}
        taken = {task.job for task in running}
        return min(
            fitting, key=lambda task: (task.job not in idle, task.job in taken, -self._urgency[task.name]), default=None
        )

    def _worker_for(self, task: Task) -> _Worker:
        """An idle process, if possible one that has the files of the task open; or a new one."""
        idle = [each for each in self._workers if each.is_open and not each.task]
        if same := [each for each in idle if each.last and each.last.job == task.job]:
            return same[0]
        if idle and sum(each.is_open for each in self._workers) >= self._most:
            return idle[0]
        worker = _Worker(self._folder, task, self._roots, max(1, (os.cpu_count() or 1) // self._most))
        self._workers.append(worker)
        return worker

    def collect(self, report: Report) -> None:
        """See which tasks have ended, and which processes."""
        for worker in self._workers:
            task = worker.task
            if task is None:
                continue
            ended, state = worker.status, states.read_state(self._folder, task.name)
            if state.status == "done":
                self._done.add(task.name)
                worker.end()
            elif state.status == "failed":
                self._failed.add(task.name)
                report.log("error", f"{task.name} failed: {state.message} {state.hint}".strip())
                worker.end()
            elif ended is not None:
                worker.end()
                self._lose(task, ended, state, report)
        self._workers = [each for each in self._workers if each.task or each.status is None]

    def _lose(self, task: Task, status: int, state: states.State, report: Report) -> None:
        """A process ended without a word: begin its task again, or give up."""
        self._attempts[task.name] = self._attempts.get(task.name, 0) + 1
        error = WorkerLost(f"The process of {task.name} ended unexpectedly with status {status}.")
        report.log("warning", error.message)
        if self._attempts[task.name] < ATTEMPTS:
            return
        self._failed.add(task.name)
        with suppress(Speech2LipError):
            states.write_state(self._folder, task, states.failed(state, error))

    def tell(self, report: Report) -> None:
        """Report the progress."""
        total = sum(task.seconds for task in self._plan.tasks)
        done = sum(task.seconds for task in self._plan.tasks if task.name in self._done)
        done += sum(each.spent for each in self.busy)
        note = f"{len(self._done)} of {len(self._plan.tasks)} tasks, {len(self.busy)} running"
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
