"""Doing one task of a plan, on any machine that reads and writes the plan's folder and its roots.

What the tasks of a job share is in the plan's folder as well: landmarks, head tracks and what was seen in whole clips,
cached by content (:mod:`s2l_core.cache`). Rendered chunks are beside the result, as those of an undivided job are
(:mod:`s2l_core.media.chunks`). Every file is whole or absent, and two machines that do the same task write the same
bytes, so that a task may be killed, repeated, or done twice at the same time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..cache import shared_in
from ..errors import BadPlan, Cancelled, Speech2LipError, TasksUnfinished
from ..events import Report
from ..execution import known_errors, run_job
from ..files import state_of
from ..jobs import DubJob, Encoding, PoseJob, StillJob
from ..media.chunks import is_joined, reserved_result
from ..verbs import dub, pose, still
from ..verbs.divided import Rendered, finish, open_chunks, render
from ..version import VERSION
from . import states
from .plan import Plan, Task, read_plan
from .roots import from_root, map_paths, outputs_of

DividedJob = DubJob | StillJob | PoseJob
_Opened = dub.OpenDub | still.OpenStill | pose.OpenPose


def run_task(
    folder: str, name: str, roots: Mapping[str, str] | None = None, report: Report | None = None
) -> dict[str, Any]:
    """Do a task, unless it is done.

    Args:
        folder: The folder of the plan.
        name: The task.
        roots: Folders of roots on this machine; others are where they were when the plan was made.
        report: Receives the progress of the task.

    Returns:
        JSON values: the name of the task, whether it was ``"already_done"``, and the ``"result"`` of the verb for
        tasks that end a job.

    Raises:
        BadPlan, BadJob: The plan cannot be read, or has no such task.
        TasksUnfinished: Tasks that it needs are not done.
        Cancelled: The caller cancelled it; the task waits again.
        Speech2LipError: It failed, which its state says, too.
    """
    report = report or Report()
    plan = read_plan(folder)
    task = plan.task(name)
    if plan.version != VERSION:
        raise BadPlan(f"The plan was made by version {plan.version[:40]}; this is {VERSION}.")
    roots = {**plan.roots, **(roots or {})}
    if _is_done(folder, plan, task, roots):
        return {"task": name, "already_done": True, "result": states.read_result(folder, name)}
    if waiting := [each for each in task.needs if states.read_state(folder, each).status != "done"]:
        raise TasksUnfinished(f"The task {name} needs {waiting[0]}, which is not done.")
    states.make_folders(folder)
    begun = states.begun_here()
    states.write_state(folder, task, begun)
    try:
        with known_errors(name, report), report.running(), shared_in(Path(folder) / states.SHARED):
            _do(folder, plan, task, roots, report)
            states.write_state(folder, task, states.done(begun, _peak_bytes()))
    except Cancelled:
        if states.read_state(folder, name) == begun:
            states.forget_state(folder, task)
        raise
    except Speech2LipError as error:
        states.write_state(folder, task, states.failed(begun, error, _peak_bytes()))
        raise
    return {"task": name, "already_done": False, "result": states.read_result(folder, name)}


def run_named(
    folder: str, names: Iterable[str], roots: Mapping[str, str] | None = None, report: Report | None = None
) -> dict[str, Any]:
    """Do tasks one after the other, as :func:`run_task` does. One that fails keeps no other from its turn.

    Returns:
        JSON values: the numbers of tasks that are ``"done"`` and ``"unfinished"``.
    """
    report, done, failed = report or Report(), 0, 0
    for name in names:
        try:
            run_task(folder, name, roots, report)
            done += 1
        except Cancelled:
            raise
        except Speech2LipError as error:
            if states.read_state(folder, name).status != "failed":  # the plan itself cannot be used
                raise
            report.log("error", f"{name} failed: {error}")
            failed += 1
    return {"done": done, "unfinished": failed}


def _is_done(folder: str, plan: Plan, task: Task, roots: Mapping[str, str]) -> bool:
    """Whether a task is done and what it wrote is still there. Chunks are removed when they are joined."""
    if states.read_state(folder, task.name).status != "done":
        return False
    return all(Path(from_root(path, roots)).exists() for path in task.outputs)


def _do(folder: str, plan: Plan, task: Task, roots: Mapping[str, str], report: Report) -> None:
    """Do a task, and write the result of the verb if that ends the job."""
    job = map_paths(plan.jobs[task.job], lambda path: from_root(path, roots))
    (output,) = outputs_of(job)
    _make_parent(output)
    if not isinstance(job, DividedJob):
        states.write_result(folder, task, run_job(job, report))
        return
    if task.kind == "join" and is_joined(output) and states.read_result(folder, task.name) is not None:
        return  # the process was killed in between
    encoding, read = _encoding(job), _files_read(job)
    with reserved_result(output, encoding, *read, is_shared=task.kind == "frames"):
        opened = _open_once(folder, job, report)
        if task.kind == "join":
            _finish(folder, task, opened, report)
            return
        chunks = open_chunks(opened, is_shared=task.kind == "frames")
        if task.kind == "frames":
            render(opened, chunks, _frames_of(plan, task, opened.form.count), report)


def _frames_of(plan: Plan, task: Task, count: int) -> range:
    """Frames of a ``frames`` task. The number of frames was estimated; the last task takes what is left."""
    last = max(each.first for each in plan.tasks_of(task.job) if each.kind == "frames")
    return range(task.first, count if task.first == last else min(count, task.first + task.count))


def _finish(folder: str, task: Task, opened: _Opened, report: Report) -> None:
    """Join the chunks of a job, after rendering those that are missing or damaged. The result of the verb is written
    first, so that nothing is missing when the output is there; and again when it is known how the output is signed.
    """

    def write(rendered: Rendered) -> None:
        states.write_result(folder, task, dict(opened.result(rendered)))

    write(finish(opened, report, write))


_opened: dict[tuple[Any, ...], _Opened] = {}


def _open_once(folder: str, job: DividedJob, report: Report) -> _Opened:
    """A job whose clip was looked at. It stays open for the next task of the same job in this process."""
    key = (folder, job, *(state_of(path) for path in _files_read(job)))
    if key not in _opened:
        _opened.clear()
        opened = _open(job, report)
        opened.look(report)
        _opened[key] = opened
    return _opened[key]


def _open(job: DividedJob, report: Report) -> _Opened:
    if isinstance(job, DubJob):
        return dub.OpenDub(job, report)
    return still.OpenStill(job, report) if isinstance(job, StillJob) else pose.OpenPose(job, report)


def _files_read(job: DividedJob) -> tuple[str, ...]:
    if isinstance(job, DubJob):
        return dub.files_read(job)
    return still.files_read(job) if isinstance(job, StillJob) else pose.files_read(job)


def _encoding(job: DividedJob) -> Encoding:
    return Encoding() if isinstance(job, PoseJob) else job.encoding


def _make_parent(path: str) -> None:
    """Make the folder of a result, which another machine may do at the same time."""
    states.make_folder(Path(path).parent)


def _peak_bytes() -> int:
    """Peak memory of this process so far; 0 if the system does not tell."""
    if sys.platform == "win32":
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else 1024 * most)
