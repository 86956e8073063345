"""What a plan loses when its processes are killed at random moments, and when a disk is full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.farming.processes import descendants, digest_of, plan_shots, shots, start, undivided
from s2l_core.farm.plan import Plan
from s2l_core.farm.states import read_states

SHOTS, LINE_SECONDS = 2, 5.4
"""Shots of a plan: with 135 frames each, two tasks render a shot."""
_LIMIT_SECONDS = 1800.0
_SMALL_DISK_BYTES, _LARGE_DISK_BYTES = 60_000, 64_000_000


@dataclass(frozen=True)
class Loss:
    """What one fault cost.

    Attributes:
        fault: What happened.
        at: Tasks that were done when it happened.
        tasks: Tasks of the plan.
        starts: Number of times that ``s2l batch`` was started until the plan was done.
        repeated: Tasks that were done before the fault and were done again afterwards.
        is_same: Whether the results have the bytes of the undivided jobs, and nothing else is left beside them.
    """

    fault: str
    at: int
    tasks: int
    starts: int
    repeated: int
    is_same: bool


def losses(speaker: Path, count: int, seed: int = 0) -> Iterator[Loss]:
    """Kill workers, head nodes and ``s2l batch`` itself at random moments, and fill a disk once.

    Args:
        speaker: The rendered speaker.
        count: Number of kills of each kind.
        seed: Determines the moments.
    """
    moments = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = undivided(shots(speaker, Path(folder), SHOTS, LINE_SECONDS), Path(folder)).digest
    for _ in range(count):
        for name, options, victims in KILLS:
            yield _loss(name, speaker, options, victims, moments, whole)
    with tempfile.TemporaryDirectory() as folder, _small_disk(Path(folder) / "small") as grow:
        if grow is not None:
            yield _loss_of_full_disk(speaker, Path(folder), grow, whole)


Victims = Callable[[int, Plan, Path], list[int]]
"""Processes to kill: of a process of ``s2l batch``, for a plan and its folder."""


def _loss(name: str, speaker: Path, options: list[str], victims: Victims, moments: random.Random, whole: str) -> Loss:
    """Kill the victims when a random share of the tasks is done and a random time has passed since."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        path, plan = plan_shots(shots(speaker, place, SHOTS, LINE_SECONDS), place)
        wanted, pause = moments.randrange(len(plan.tasks) - 1), moments.uniform(0.0, 3.0)
        with _batch(path, options, place) as process:
            _wait_until(lambda: _done(path, plan) >= wanted or process.poll() is not None)
            time.sleep(pause)
            _wait_until(lambda: bool(victims(process.pid, plan, path)) or process.poll() is not None)
            before = _finished(path, plan)
            for victim in victims(process.pid, plan, path):
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            status = process.wait(_LIMIT_SECONDS)
        starts = 1
        while status != 0 and starts < 4:
            with _batch(path, options, place) as process:
                status = process.wait(_LIMIT_SECONDS)
            starts += 1
        return _outcome(f"{name} killed", path, plan, before, starts, status, whole)


def _loss_of_full_disk(speaker: Path, folder: Path, grow: Callable[[], None], whole: str) -> Loss:
    """The disk of one shot has too little space: the others go on, and this one when there is space."""
    jobs = shots(speaker, folder, SHOTS, LINE_SECONDS)
    jobs[1] = replace(jobs[1], output_path=str(folder / "small" / Path(jobs[1].output_path).name))
    path, plan = plan_shots(jobs, folder)
    with _batch(path, ["--workers", "2"], folder) as process:
        status = process.wait(_LIMIT_SECONDS)
    before = _finished(path, plan)
    grow()
    with _batch(path, ["--workers", "2"], folder) as process:
        again = process.wait(_LIMIT_SECONDS)
    fault = "disk of one shot full" if status else "disk of one shot was large enough"
    return _outcome(fault, path, plan, before, 2, again, whole)


def _outcome(
    fault: str, path: Path, plan: Plan, before: dict[str, float], starts: int, status: int, whole: str
) -> Loss:
    after = _finished(path, plan)
    repeated = sum(after.get(name) != begun for name, begun in before.items())
    left = list(path.parent.rglob("*.partial"))
    is_same = status == 0 and not left and digest_of(path.parent) == whole
    return Loss(fault, len(before), len(plan.tasks), starts, repeated, is_same)


@contextmanager
def _batch(path: Path, options: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``s2l batch``; whatever it has started ends with the context."""
    process = start(["batch", str(path), *options], folder)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def _finished(path: Path, plan: Plan) -> dict[str, float]:
    """Moments at which the tasks began that are done, by name."""
    return {name: state.begun for name, state in read_states(path, plan).items() if state.status == "done"}


def _done(path: Path, plan: Plan) -> int:
    return len(_finished(path, plan))


def _tasks_of_ray(batch: int, plan: Plan, path: Path) -> list[int]:
    """One process that does a task."""
    return [state.process for state in read_states(path, plan).values() if state.status == "running"][:1]


def _head_of_ray(batch: int, plan: Plan, path: Path) -> list[int]:
    """The server of a cluster's state, and the process that starts the others on the machine."""
    names = ("gcs_server", "raylet")
    return [each for each in descendants(batch) if Path(_word(each)).name in names]


def _workers_of_batch(batch: int, plan: Plan, path: Path) -> list[int]:
    return descendants(batch)[:1]


def _batch_itself(batch: int, plan: Plan, path: Path) -> list[int]:
    return [batch]


def _word(process: int) -> str:
    """The program of a process."""
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    return ""


KILLS: tuple[tuple[str, list[str], Victims], ...] = (
    ("worker of Ray", ["--ray", "--workers", "2"], _tasks_of_ray),
    ("head node of Ray", ["--ray", "--workers", "2"], _head_of_ray),
    ("worker of s2l batch", ["--workers", "2"], _workers_of_batch),
    ("s2l batch itself", ["--workers", "2"], _batch_itself),
)


@contextmanager
def _small_disk(folder: Path) -> Iterator[Callable[[], None] | None]:
    """A folder with hardly any space, and a function that gives it more; None where this user may not mount."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={_SMALL_DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        yield None
        return
    larger = ["mount", "-o", f"remount,size={_LARGE_DISK_BYTES}", str(folder)]
    try:
        yield lambda: subprocess.run(larger, check=True) and None
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
