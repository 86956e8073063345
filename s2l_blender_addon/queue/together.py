"""Does the jobs of several entries on this machine by one plan, as many of its tasks at a time as fit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from ...s2l_core.errors import Speech2LipError
from ...s2l_core.events import Progress
from ...s2l_core.farm.plan import PlannedJob, read_plan
from ...s2l_core.farm.roots import from_root, map_paths
from ...s2l_core.farm.states import read_state, remove_plan
from ...s2l_core.jobs import DubJob, StillJob, TrainJob
from ..engine import planner
from . import job_queue, submissions
from .entries import Entry, output_of

CHUNK = 512
"""Frames of a task. A machine by itself gains nothing from smaller ones."""
_POLL_SECONDS = 0.1

Show = Callable[[Progress | None], None]


def run(python: str, entries: Sequence[Entry], folder: str, show: Show) -> dict[str, float]:
    """Do the jobs of entries by a plan, if there are several that can be planned.

    Afterwards an entry has its result, which is not inserted yet, or has failed. One that waits as before could not be
    planned together with the others. A plan of which an earlier run has done a part goes on.

    Args:
        python: The Python that runs the engine.
        entries: The entries.
        folder: The folder of a new plan. It is removed when everything is done.
        show: Called several times a second with the progress.

    Returns:
        For each entry that was planned, by its identifier: the duration of its tasks in seconds, added up.

    Raises:
        EngineIncomplete: The Python cannot be started.
    """
    plans = {plan: its for plan, its in _by_plan(entries).items() if _is_plan_of(plan, its)}
    going_on = {entry.identifier for its in plans.values() for entry in its}
    new = [entry for entry in entries if _can_be_planned(entry) and entry.identifier not in going_on]
    if len(new) > 1 and _plan(python, new, folder):
        plans[folder] = new
    seconds: dict[str, float] = {}
    for plan, its in plans.items():
        _run(python, plan, its, show)
        seconds |= {entry.identifier: _seconds(entry) for entry in its}
        _clean_up(plan, its)
    return seconds


def _by_plan(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Entries that an earlier run has planned, by the folder of their plan."""
    plans: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.submission is not None:
            plans.setdefault(entry.submission.plan, []).append(entry)
    return plans


def _is_plan_of(folder: str, entries: Sequence[Entry]) -> bool:
    """Whether a plan does the jobs of some entries and nothing else. The record of an entry, which names the folder, is
    not trusted: another plan could write anywhere.
    """
    try:
        plan = read_plan(folder)
        planned = {map_paths(job, lambda path: from_root(path, plan.roots)) for job in plan.jobs}
    except Speech2LipError:
        return False
    return planned == {map_paths(cast(PlannedJob, entry.job), _normal) for entry in entries}


def _normal(path: str) -> str:
    return os.path.normpath(Path(path).absolute())


def _seconds(entry: Entry) -> float:
    assert entry.submission is not None
    return sum(read_state(entry.submission.plan, name).seconds for name in entry.submission.tasks)


def _can_be_planned(entry: Entry) -> bool:
    return isinstance(entry.job, TrainJob | DubJob | StillJob) and not Path(output_of(entry.job)).exists()


def _plan(python: str, entries: Sequence[Entry], folder: str) -> bool:
    """Plan the jobs of entries. If that fails, they stay as they are, and each tells its own error when it is run."""
    try:
        plan = planner.Planning(python, [entry.job for entry in entries], folder, "", CHUNK).plan()
        found = [submissions.submission_of(entry, folder, plan) for entry in entries]
    except Speech2LipError as error:
        print(f"Speech2Lip: the jobs run one after the other. {error}", flush=True)
        return False
    for entry, submission in zip(entries, found, strict=True):
        entry.submission = submission
    return True


def _run(python: str, plan: str, entries: Sequence[Entry], show: Show) -> None:
    time.sleep(max(0.0, max(entry.earliest for entry in entries) - time.monotonic()))
    for entry in entries:
        job_queue.begin(entry)
    command = planner.run_here(python, plan)
    try:
        while not command.poll():
            show(command.progress)
            time.sleep(_POLL_SECONDS)
    except BaseException:  # such as an interrupt from the terminal
        command.cancel()
        while not command.poll():
            time.sleep(_POLL_SECONDS)
        for entry in entries:
            job_queue.interrupt(entry)
        raise
    for entry in entries:
        entry.result, _ = submissions.look(entry)
        if entry.result is None:
            job_queue.fail(entry, command.error or submissions.error_of(entry))


def _clean_up(plan: str, entries: Sequence[Entry]) -> None:
    """Remove a plan of which everything is done."""
    with suppress(Speech2LipError):
        found = read_plan(plan)
        if all(entry.result is not None for entry in entries) and len(found.jobs) == len(entries):
            remove_plan(plan, found)
