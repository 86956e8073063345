"""What the tasks of a plan add to its folder: their states and results, in files that are written whole.

::

    PLAN/plan.json              the plan, see s2l_core.farm.plan
    PLAN/states/TASK.json       what became of a task: running, done or failed with its sentence
    PLAN/results/TASK.json      the result of the verb of a task that ended a job
    PLAN/shared/                what tasks of one job share, see s2l_core.farm.run
    PLAN/logs/TASK.txt          what a process of s2l batch printed, named after its first task

A task without a state is waiting. Two machines may write the same file; the later one replaces the earlier one whole.
Nothing that is read is trusted. Standard library only.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from .. import json_text
from ..dataclass_reader import DataclassReader
from ..errors import BadJob, Speech2LipError
from ..files import TEMPORARY, refusal, remove_files, write_whole
from .plan import PLAN_FILE, Plan, Task, is_task_name

Status = Literal["waiting", "running", "done", "failed"]

STATES, RESULTS, SHARED, LOGS = "states", "results", "shared", "logs"
LOCK = ".batch.s2l-lock"
_SHARED_FILES = rf".*\.(safetensors|jpg)({TEMPORARY})?|lock"
_LARGEST_STATE, _LARGEST_RESULT = 100_000, 64 * 1024 * 1024  # bytes
_READER = DataclassReader(longest_text=10_000)


@dataclass(frozen=True)
class State:
    """What became of a task.

    Attributes:
        status: ``"waiting"`` if nobody has begun, ``"running"``, ``"done"`` or ``"failed"``.
        machine: Name of the machine.
        process: Number of the process on it.
        begun: Seconds since 1970 at which the task began.
        seconds: Duration, once it has ended.
        memory_bytes: Peak memory of the process, once it has ended; 0 if unknown.
        code: Code of the error of a failed task, see :mod:`s2l_core.errors`.
        message: What happened.
        hint: What to do about it.
    """

    status: Status
    machine: str = ""
    process: int = 0
    begun: float = 0.0
    seconds: float = 0.0
    memory_bytes: int = 0
    code: str = ""
    message: str = ""
    hint: str = ""


WAITING = State("waiting")


def begun_here() -> State:
    """The state of a task that this process begins now."""
    return State("running", socket.gethostname()[:200], os.getpid(), time.time())


def done(begun: State, memory_bytes: int = 0) -> State:
    """The state of a task that has ended well, from the one with which it began."""
    return dataclasses.replace(begun, status="done", seconds=time.time() - begun.begun, memory_bytes=memory_bytes)


def failed(begun: State, error: Speech2LipError, memory_bytes: int = 0) -> State:
    """The state of a task that has failed, from the one with which it began."""
    ended = dataclasses.replace(begun, seconds=time.time() - begun.begun, memory_bytes=memory_bytes)
    message, hint = (json_text.plain(text)[:4000] for text in (error.message, error.hint))
    return dataclasses.replace(ended, status="failed", code=error.code, message=message, hint=hint)


def make_folders(folder: str | Path) -> None:
    """Make the folder of a plan and those in it, if they are missing.

    Raises:
        CannotWrite, DiskFull: A folder cannot be made.
    """
    for name in (STATES, RESULTS, SHARED):
        make_folder(Path(folder) / name)


def make_folder(path: Path) -> None:
    """Make a folder and its parents, which another machine may do at the same time.

    Raises:
        CannotWrite, DiskFull: It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise refusal(path, error) from error


def read_state(folder: str | Path, name: str) -> State:
    """The state of a task. A file that is missing or damaged means that it is waiting."""
    try:
        values = json_text.read(Path(folder) / STATES / f"{name}.json", _LARGEST_STATE)
        return cast(State, _READER.read(State, values, "state"))
    except (OSError, ValueError, BadJob):
        return WAITING


def read_states(folder: str | Path, plan: Plan) -> dict[str, State]:
    """The states of all tasks by name, in the order of the plan. Only the files that are there are opened."""
    try:
        present = {entry.name.removesuffix(".json") for entry in os.scandir(Path(folder) / STATES)}
    except OSError:
        present = set()
    return {task.name: read_state(folder, task.name) if task.name in present else WAITING for task in plan.tasks}


def write_state(folder: str | Path, task: Task, state: State) -> None:
    """Write the state of a task. A failure does not replace the success of another machine.

    Raises:
        CannotWrite, DiskFull: See :func:`s2l_core.files.write_whole`.
    """
    if state.status != "done" and read_state(folder, task.name).status == "done":
        return
    content = json.dumps(json_text.plain(dataclasses.asdict(state)), indent=1).encode()
    write_whole(str(Path(folder) / STATES / f"{task.name}.json"), content, lasting=False)


def forget_state(folder: str | Path, task: Task) -> None:
    """Let a task wait again.

    Raises:
        CannotWrite: The file cannot be removed.
    """
    path = Path(folder) / STATES / f"{task.name}.json"
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise refusal(path, error) from error


def read_result(folder: str | Path, name: str) -> dict[str, Any] | None:
    """JSON values that a verb returned; None if there are none. They are not trusted: nothing in them is checked."""
    if not is_task_name(name):
        return None
    try:
        values = json_text.read(Path(folder) / RESULTS / f"{name}.json", _LARGEST_RESULT)
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def write_result(folder: str | Path, task: Task, result: Mapping[str, Any]) -> None:
    """Write the result of a verb.

    Raises:
        CannotWrite, DiskFull: See :func:`s2l_core.files.write_whole`.
    """
    path = Path(folder) / RESULTS / f"{task.name}.json"
    write_whole(str(path), json_text.to_json(dict(result)).encode(), lasting=False)


def remove_plan(folder: str | Path, plan: Plan) -> None:
    """Remove a plan, and what its tasks wrote into its folder. Other files remain, and links are not followed.

    Raises:
        CannotWrite: A file cannot be removed.
    """
    place = Path(folder)
    names = "|".join(re.escape(task.name) for task in plan.tasks)
    try:
        for inner, suffix in ((STATES, "json"), (RESULTS, "json"), (LOGS, "txt")):
            remove_files(place / inner, rf"({names})\.{suffix}({TEMPORARY})?")
        for kind in _folders_in(place / SHARED):
            for entry in _folders_in(kind):
                if re.fullmatch("[0-9a-f]{32}", entry.name):
                    remove_files(entry, _SHARED_FILES)
            remove_files(kind, "")
        remove_files(place / SHARED, "")
        remove_files(place, "|".join(map(re.escape, (PLAN_FILE, LOCK))))
    except OSError as error:
        raise refusal(place, error) from error


def _folders_in(folder: Path) -> list[Path]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
