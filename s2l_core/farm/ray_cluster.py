"""The tasks of a plan on the machines of a Ray cluster (https://www.ray.io), or on the cores of this one.

Ray is an optional package, which is imported when it is used. It decides which machine does a task, does it once more
if its process was killed, and keeps the tasks that need it waiting.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import EngineIncomplete, WorkerLost
from ..events import Report
from . import states
from .joining import outcome
from .plan import Task, read_plan
from .run import run_task

MOST_RETRIES = 3
"""How often a task is done again whose process was killed."""
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
        pending = _submit(ray, [task for task in plan.tasks if task.name not in done], folder, dict(roots or {}))
        try:
            _wait(ray, pending, len(plan.tasks), folder, report)
        except BaseException:
            for reference in pending:
                ray.cancel(reference, force=True)
            raise
    return outcome(folder, plan, roots)


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


def _submit(ray: Any, tasks: Sequence[Task], folder: str, roots: dict[str, str]) -> dict[Any, Task]:
    """Hand tasks to Ray, each with those that it needs; the tasks by what Ray returns for them."""
    do = ray.remote(max_calls=1, max_retries=MOST_RETRIES)(_do)  # a process for each task, whose end frees its memory
    largest = max((node["Resources"].get("memory", 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)
    references: dict[str, Any] = {}
    for task in tasks:
        needed = [references[name] for name in task.needs if name in references]
        resources = {"memory": min(task.memory_bytes, largest), "num_gpus": int(task.device == "cuda")}
        references[task.name] = do.options(name=task.name, **resources).remote(folder, task.name, roots, *needed)
    by_name = {task.name: task for task in tasks}
    return {reference: by_name[name] for name, reference in references.items()}


def _do(folder: str, name: str, roots: dict[str, str], *needed: str) -> str:
    """Do a task in a process of Ray."""
    run_task(folder, name, roots, Report())
    return name


def _wait(ray: Any, pending: dict[Any, Task], total: int, folder: str, report: Report) -> None:
    """Wait for tasks, and take those off the list that have ended."""
    while pending:
        report.progress("Run tasks", total - len(pending), total)
        ended, _ = ray.wait(list(pending), timeout=_SECONDS_BETWEEN_REPORTS)
        for reference in ended:
            task = pending.pop(reference)
            try:
                ray.get(reference)
            except ray.exceptions.RayTaskError:
                pass  # the task has written what failed, or waits for one that failed
            except ray.exceptions.RayError as error:
                _note_loss(folder, task, error)
    report.progress("Run tasks", total, total)


def _note_loss(folder: str, task: Task, error: Exception) -> None:
    """Write the state of a task whose processes were killed as often as Ray tried."""
    lost = WorkerLost(f"The process of the task {task.name} ended {MOST_RETRIES + 1} times ({type(error).__name__}).")
    states.write_state(folder, task, states.failed(states.read_state(folder, task.name), lost))
