"""The tasks of a plan on the machines of a Ray cluster (https://www.ray.io), or on the cores of this one.

Ray is an optional package, which is imported when it is used. It decides which machine does a task, does it once more
if its process was killed, and keeps the tasks that need it waiting.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import EngineIncomplete, WorkerLost
from ..events import Report
from . import states
from .joining import outcome
from .plan import Task, read_plan
from .run import run_named

MOST_RETRIES = 3
"""How often a task is done again whose process was killed."""
JOBS_PER_CORE = 4
"""Number of jobs for each core from which on one process does all tasks of a job. A process takes seconds to start and
to open the files of a job. With fewer jobs, some cores would have nothing to do for long while others end their last.
"""
_SECONDS_BETWEEN_REPORTS = 0.5
_OBJECT_STORE_BYTES = 80 * 2**20
"""Memory for what Ray passes between tasks, which is nothing but their names; this is Ray's minimum."""


def run_on_ray(
    folder: str,
    address: str = "",
    workers: int | None = None,
    roots: Mapping[str, str] | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Do all tasks of a plan that are not done. A task that fails keeps no other from its turn except those that need
    it.

    Args:
        folder: The folder of the plan, which all machines reach under this path.
        address: Address of a cluster, ``"auto"`` for the one that runs on this machine, or empty to start one that
            ends with this function.
        workers: Number of tasks at a time on a cluster that is started; None means one for each core.
        roots: Folders of roots, on all machines; others are where they were when the plan was made.
        report: Receives the progress in tasks.

    Returns:
        What became of the plan, see :func:`s2l_core.farm.joining.join_plan`.

    Raises:
        EngineIncomplete: Ray is not installed.
        WorkerLost: The cluster cannot be reached, or has ended.
        BadPlan, BadJob: The plan cannot be read.
        Cancelled: The caller cancelled it. Tasks that run are killed, and the plan goes on when it is started again.
    """
    report, plan = report or Report(), read_plan(folder)
    done = {name for name, state in states.read_states(folder, plan).items() if state.status == "done"}
    with _cluster(address, workers) as ray:
        groups = together([task for task in plan.tasks if task.name not in done], ray.cluster_resources().get("CPU", 1))
        pending = _submit(ray, groups, folder, dict(roots or {}))
        try:
            _wait(ray, pending, len(plan.tasks), folder, report)
        except BaseException:
            for reference in pending:
                ray.cancel(reference, force=True)
            raise
    return outcome(folder, plan, roots)


def together(tasks: Sequence[Task], cores: float) -> list[list[Task]]:
    """Tasks in groups, each of which one process does: those of a job if there are at least :data:`JOBS_PER_CORE` jobs
    for each core, and otherwise each task by itself.

    Args:
        tasks: Tasks in the order of a plan.
        cores: Number of cores of all machines.
    """
    jobs = [list(of_job) for _, of_job in itertools.groupby(tasks, lambda task: task.job)]
    return jobs if len(jobs) >= JOBS_PER_CORE * cores else [[task] for task in tasks]


@contextmanager
def _cluster(address: str, workers: int | None) -> Iterator[Any]:
    """The module of Ray, connected to a cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # otherwise Ray tells its makers that it was used
    os.environ.setdefault("RAY_TQDM_PATCH_PRINT", "0")  # otherwise Ray replaces print for the rest of the process
    try:
        import ray
    except ImportError:
        raise EngineIncomplete("Ray is not installed.", "Install it with: python -m pip install ray") from None
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    own: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    try:
        ray.init(**(quiet | ({"address": address} if address else own)))
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise WorkerLost(f"The Ray cluster {address or 'of this machine'} cannot be reached: {error}.") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _submit(ray: Any, groups: Sequence[list[Task]], folder: str, roots: dict[str, str]) -> dict[Any, list[Task]]:
    """Hand groups of tasks to Ray, each with those that it needs; the groups by what Ray returns for them."""
    do = ray.remote(max_calls=1, max_retries=MOST_RETRIES)(_do)  # a process for each group, whose end frees its memory
    largest = max((node["Resources"].get("memory", 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)
    references: dict[str, Any] = {}
    pending: dict[Any, list[Task]] = {}
    for group in groups:
        names = [task.name for task in group]
        needed = {references[name] for task in group for name in task.needs if name in references}
        memory = min(max(task.memory_bytes for task in group), largest)
        resources = {"memory": memory, "num_gpus": int(any(task.device == "cuda" for task in group))}
        reference = do.options(name=names[0], **resources).remote(folder, names, roots, *needed)
        references |= dict.fromkeys(names, reference)
        pending[reference] = group
    return pending


def _do(folder: str, names: list[str], roots: dict[str, str], *needed: None) -> None:
    """Do tasks in a process of Ray."""
    run_named(folder, names, roots, Report())


def _wait(ray: Any, pending: dict[Any, list[Task]], total: int, folder: str, report: Report) -> None:
    """Wait for groups of tasks, and take those off the list that have ended."""
    while pending:
        report.progress("Run tasks", total - sum(map(len, pending.values())), total)
        ended, _ = ray.wait(list(pending), timeout=_SECONDS_BETWEEN_REPORTS)
        for reference in ended:
            group = pending.pop(reference)
            try:
                ray.get(reference)
            except ray.exceptions.RayTaskError:
                pass  # a task that others need has failed, and has written why
            except ray.exceptions.RayError as error:
                _note_loss(folder, group, error)
    report.progress("Run tasks", total, total)


def _note_loss(folder: str, group: Sequence[Task], error: Exception) -> None:
    """Write the state of the task whose processes were killed as often as Ray tried: the first that has not ended."""
    left = (task for task in group if states.read_state(folder, task.name).status not in ("done", "failed"))
    if (task := next(left, None)) is not None:
        lost = f"The process of the task {task.name} ended {MOST_RETRIES + 1} times ({type(error).__name__})."
        states.write_state(folder, task, states.failed(states.read_state(folder, task.name), WorkerLost(lost)))
