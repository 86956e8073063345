"""Ending a plan: joining everything that is complete, and saying what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import Cancelled, Speech2LipError
from ..events import Report
from . import states
from .plan import Plan, read_plan
from .roots import from_root
from .run import run_task
from .states import State


def join_plan(folder: str, roots: Mapping[str, str] | None = None, report: Report | None = None) -> dict[str, Any]:
    """Join the jobs of a plan whose frames are all rendered. Those that were joined before stay as they are.

    Args:
        folder: The folder of the plan.
        roots: As for :func:`s2l_core.farm.run.run_task`.
        report: Receives the progress.

    Returns:
        JSON values: the paths of all ``"outputs"`` that are complete, the number of ``"unfinished"`` tasks, and a
        sentence for each of them.

    Raises:
        BadPlan, BadJob: The plan cannot be read.
        Cancelled: The caller cancelled it.
    """
    report, plan = report or Report(), read_plan(folder)
    for task in plan.tasks:
        if task.kind == "join" and all(states.read_state(folder, need).status == "done" for need in task.needs):
            try:
                run_task(folder, task.name, roots, report)
            except Cancelled:
                raise
            except Speech2LipError as error:
                report.log("error", f"{task.name}: {error}")
    return outcome(folder, plan, roots)


def outcome(folder: str, plan: Plan, roots: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What became of a plan, see :func:`join_plan`."""
    found = states.read_states(folder, plan)
    folders = {**plan.roots, **(roots or {})}
    complete = [task for task in plan.tasks if task.outputs and found[task.name].status == "done"]
    unfinished = list(_sentences(plan, found))
    return {
        "outputs": [from_root(path, folders) for task in complete for path in task.outputs],
        "done": len(plan.tasks) - len(unfinished),
        "unfinished": len(unfinished),
        "tasks": unfinished,
    }


def _sentences(plan: Plan, found: Mapping[str, State]) -> Iterator[str]:
    for task in plan.tasks:
        state = found[task.name]
        if state.status == "failed":
            yield f"{task.name} failed: {state.message} {state.hint}".strip()
        elif state.status == "running":
            yield f"{task.name} is running on {state.machine}, process {state.process}, or was interrupted there."
        elif state.status == "waiting":
            blocking = next((need for need in task.needs if found[need].status != "done"), "")
            yield f"{task.name} waits for {blocking}." if blocking else f"{task.name} waits for a machine."
