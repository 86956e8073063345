"""Entries whose job other machines do: what its tasks say in the folder of the plan. Nothing there is trusted."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from ...s2l_core.errors import BadJob, Speech2LipError, WorkerLost
from ...s2l_core.farm.plan import Plan, split_path
from ...s2l_core.farm.states import State, read_result, read_state
from .entries import Entry, Submission, output_of
from .recorded_results import refuse_malformed


def submission_of(entry: Entry, folder: str, plan: Plan) -> Submission:
    """The tasks of a plan that do the job of an entry.

    Raises:
        BadJob: The plan does not have them.
    """
    output = Path(os.path.normpath(output_of(entry.job)))
    for number in range(len(plan.jobs)):
        tasks = plan.tasks_of(number)
        if tasks and any(_here(path, plan) == output for path in tasks[-1].outputs):
            return Submission(folder, tuple(task.name for task in tasks))
    raise BadJob(f"The plan in {folder} does not contain {entry.name}.")


def _here(path: str, plan: Plan) -> Path:
    root, relative = split_path(path)
    return Path(plan.roots[root], relative)


def look(entry: Entry) -> tuple[dict[str, Any] | None, str]:
    """The result of a submitted entry, None before there is one, and how far its tasks are, in a sentence."""
    assert entry.submission is not None
    folder, names = entry.submission.plan, entry.submission.tasks
    found = {name: read_state(folder, name) for name in names}
    if found[names[-1]].status != "done" or not Path(output_of(entry.job)).exists():
        return None, _progress(found)
    return _result(entry, folder, names[-1]), ""


def error_of(entry: Entry) -> Speech2LipError:
    """Why the tasks of an entry have left no result."""
    assert entry.submission is not None
    for name in entry.submission.tasks:
        state = read_state(entry.submission.plan, name)
        if state.status == "failed":
            return Speech2LipError(state.message, state.hint)
    return WorkerLost(f"{look(entry)[1]} The plan is in {entry.submission.plan}.")


def _result(entry: Entry, folder: str, name: str) -> dict[str, Any]:
    """What the verb returned; nothing if that cannot be read, since an output that exists is complete."""
    result = read_result(folder, name) or {}
    try:
        refuse_malformed(entry.job, result)
    except BadJob:
        return {}
    return result


def _progress(found: dict[str, State]) -> str:
    for name, state in found.items():
        if state.status == "failed":
            return f"{name} failed on {state.machine}: {state.message} {state.hint}".strip()
    count = Counter(state.status for state in found.values())
    machines = sorted({state.machine for state in found.values() if state.status == "running"})
    running = f", {count['running']} running on {', '.join(machines)}" if machines else ""
    return f"{count['done']} of {len(found)} tasks are done{running}."
