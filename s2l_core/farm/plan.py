"""The document of a plan: tasks that together do some jobs, on any machines. Standard library only.

A plan is a folder. Its file ``plan.json`` never changes; :mod:`s2l_core.farm.states` describes what the tasks add to
the folder. Paths in a plan are ``ROOT/relative``: the name of a root, of which each machine knows the folder, and the
path in it with forward slashes. Nothing in a plan is trusted.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from .. import json_text
from ..dataclass_reader import DataclassReader, shortened
from ..errors import BadPlan
from ..files import write_whole
from ..jobs import Device, DubJob, PoseJob, RenderJob, StillJob, TrainJob, to_document

SCHEMA_VERSION = 1
PLAN_FILE = "plan.json"

Kind = Literal["train", "look", "frames", "join", "whole"]
"""What a task does: train a speaker; look at a whole clip once; render some frames; join them to the result of a job;
or do a whole job that is not divided."""
PlannedJob = TrainJob | DubJob | StillJob | PoseJob | RenderJob
KINDS: dict[str, tuple[Kind, ...]] = {
    "train": ("train",),
    "dub": ("look", "frames", "join"),
    "still": ("look", "frames", "join"),
    "pose": ("look", "frames", "join"),
    "render": ("whole",),
}
"""Kinds of the tasks of each verb."""

MOST_TASKS = 200_000
_LARGEST_PLAN = 512 * 1024 * 1024  # bytes
_MOST_FRAMES, _LARGEST_FIGURE = 100_000_000, 1e15
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
_ROOT = re.compile(r"[A-Z][A-Z0-9_]{0,31}")
_DEVICE_NAME = re.compile(r"(CON|PRN|AUX|NUL|(COM|LPT)[0-9])", re.I)
_READER = DataclassReader(longest_text=4096, most_objects=MOST_TASKS)


@dataclass(frozen=True)
class Task:
    """A part of a job, which one machine does in one go.

    Attributes:
        name: Name in the plan: lower-case letters, digits, hyphens and underscores, such as ``"shot010-frames-0002"``.
        kind: What is to be done.
        job: Index of the job in the plan.
        first: Number of the first frame of the job's result that a ``frames`` task renders; otherwise 0.
        count: Number of frames that it renders at most, or that the job's result is expected to have.
        needs: Names of tasks that have to be done first. They stand earlier in the plan.
        inputs: Files that are read, as ``ROOT/relative``.
        outputs: Files or folders that are written beside the plan's folder, as ``ROOT/relative``.
        seconds: Estimated duration on the machine that made the plan, including the start of a process; 0 if unknown.
        memory_bytes: Estimated peak memory; 0 if unknown.
        preset: Preset of a training; otherwise empty.
        device: Device to compute on. The same plan gives the same bytes on the same kind of device.
    """

    name: str
    kind: Kind
    job: int
    first: int = 0
    count: int = 0
    needs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    seconds: float = 0.0
    memory_bytes: int = 0
    preset: str = ""
    device: Device = "auto"

    def __post_init__(self) -> None:
        if not is_task_name(self.name):
            raise BadPlan(f"{shortened(self.name)} is not the name of a task.")
        if not (0 <= self.first <= _MOST_FRAMES and 0 <= self.count <= _MOST_FRAMES):
            raise BadPlan(f"The task {self.name} has impossible frames: {self.count} from number {self.first}.")
        if not (0.0 <= self.seconds <= _LARGEST_FIGURE and 0 <= self.memory_bytes <= _LARGEST_FIGURE):
            raise BadPlan(f"The task {self.name} has impossible estimates.")
        for path in (*self.inputs, *self.outputs):
            split_path(path)


@dataclass(frozen=True)
class Plan:
    """Tasks that together do some jobs.

    Attributes:
        version: Version of Speech2Lip that made the plan. Only the same version runs it, since another one may give
            other bytes.
        chunk: Number of frames of a ``frames`` task, except the last one of a job.
        roots: Folder of each root on the machine that made the plan, by name.
        jobs: The jobs, in which all paths are ``ROOT/relative``.
        tasks: The tasks; each stands after those that it needs.
        schema: Version of this document.
    """

    version: str
    chunk: int
    roots: dict[str, str]
    jobs: tuple[PlannedJob, ...]
    tasks: tuple[Task, ...]
    schema: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if not 1 <= self.chunk <= _MOST_FRAMES:
            raise BadPlan(f"A plan cannot have chunks of {self.chunk} frames.")
        for root in self.roots:
            refuse_root_name(root)
        earlier: set[str] = set()
        for task in self.tasks:
            if not 0 <= task.job < len(self.jobs):
                raise BadPlan(f"The task {task.name} belongs to no job of the plan.")
            if task.kind not in KINDS[self.jobs[task.job].verb]:
                raise BadPlan(f"A {self.jobs[task.job].verb} has no task of the kind {task.kind!r}.")
            if missing := [name for name in task.needs if name not in earlier]:
                raise BadPlan(f"The task {task.name} needs {shortened(missing[0])}, which does not stand before it.")
            if task.name in earlier:
                raise BadPlan(f"The plan has two tasks with the name {task.name}.")
            for path in (*task.inputs, *task.outputs):
                if (root := split_path(path)[0]) not in self.roots:
                    raise BadPlan(f"The task {task.name} refers to the root {root}, which the plan does not have.")
            earlier.add(task.name)

    @cached_property
    def by_name(self) -> dict[str, Task]:
        """The tasks by name."""
        return {task.name: task for task in self.tasks}

    def task(self, name: str) -> Task:
        """The task of a name.

        Raises:
            BadPlan: There is no such task.
        """
        try:
            return self.by_name[name]
        except KeyError:
            raise BadPlan(f"The plan has no task {shortened(name)}.", "List the tasks with: s2l join PLAN.") from None

    def tasks_of(self, job: int) -> list[Task]:
        """The tasks of a job, in order."""
        return [task for task in self.tasks if task.job == job]


def is_task_name(name: str) -> bool:
    """Whether a text can be the name of a task, and so of a file on any system."""
    return _NAME.fullmatch(name) is not None and _DEVICE_NAME.fullmatch(name) is None


def refuse_root_name(name: str) -> None:
    """Raise an error for a text that cannot be the name of a root.

    Raises:
        BadPlan: See there.
    """
    if not _ROOT.fullmatch(name):
        raise BadPlan(f"{shortened(name)} is not the name of a root.", "Use capitals, digits and underscores: SHOW.")


def split_path(path: str) -> tuple[str, str]:
    """Root and relative path of a ``ROOT/relative``.

    Raises:
        BadPlan: The text is anything else, or leaves its root.
    """
    root, slash, relative = path.partition("/")
    parts = relative.split("/")
    is_plain = slash and relative and not any(part in ("", ".", "..") or "\\" in part for part in parts)
    if not is_plain or not _ROOT.fullmatch(root) or re.match(r"[A-Za-z]:", relative):
        raise BadPlan(f"{shortened(path)} is not a path inside a root.")
    return root, relative


def ready_tasks(plan: Plan, done: Iterable[str], started: Iterable[str] = ()) -> list[Task]:
    """Tasks whose needs are all done and which are neither done nor started, in the order of the plan."""
    finished = set(done)
    taken = finished.union(started)
    return [task for task in plan.tasks if task.name not in taken and finished.issuperset(task.needs)]


def critical_seconds(plan: Plan) -> dict[str, float]:
    """For each task, the estimated time from its beginning until the last of those that wait for it could end: the
    more, the more urgent it is.
    """
    after: dict[str, float] = {}
    urgency: dict[str, float] = {}
    for task in reversed(plan.tasks):
        urgency[task.name] = task.seconds + after.get(task.name, 0.0)
        for need in task.needs:
            after[need] = max(after.get(need, 0.0), urgency[task.name])
    return urgency


def to_json(plan: Plan) -> str:
    """JSON text of a plan; equal plans have equal texts."""
    document = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    document["jobs"] = [to_document(job) for job in plan.jobs]
    document["tasks"] = [_brief(task) for task in plan.tasks]
    document["roots"] = dict(sorted(plan.roots.items()))
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def from_json(text: str | bytes) -> Plan:
    """The plan in a JSON text.

    Raises:
        BadPlan: The text is not a plan, or is one of a newer version.
        BadJob: A job in it cannot be read.
    """
    try:
        values = json_text.parse(text)
    except ValueError:
        raise BadPlan("The plan is not valid JSON.") from None
    return from_values(values)


def from_values(values: Any) -> Plan:
    """As :func:`from_json`, from JSON values."""
    if not isinstance(values, dict):
        raise BadPlan("A plan must be a JSON object.")
    schema = values.get("schema")
    if type(schema) is not int or schema != SCHEMA_VERSION:
        raise BadPlan(
            f"The plan has schema {shortened(schema)}; this version reads {SCHEMA_VERSION}.", "Update Speech2Lip."
        )
    jobs = values.get("jobs")
    if isinstance(jobs, list):
        values = {**values, "jobs": [_without_schema(job) for job in jobs]}
    return cast(Plan, _READER.read(Plan, values, "plan"))


def read_plan(folder: str | Path) -> Plan:
    """The plan in a folder.

    Raises:
        BadPlan: The folder holds no plan, or as :func:`from_json`.
        BadJob: See :func:`from_json`.
    """
    path = Path(folder) / PLAN_FILE
    try:
        values = json_text.read(path, _LARGEST_PLAN)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadPlan(f"{folder} is not the folder of a plan: {PLAN_FILE} cannot be read ({reason}).") from None
    except ValueError:
        raise BadPlan(f"{path} is not valid JSON.") from None
    return from_values(values)


def write_plan(folder: str | Path, plan: Plan) -> None:
    """Write a plan into a folder that exists.

    Raises:
        CannotWrite, DiskFull: See :func:`s2l_core.files.write_whole`.
    """
    write_whole(str(Path(folder) / PLAN_FILE), to_json(plan).encode())


def _brief(task: Task) -> dict[str, Any]:
    """JSON values of a task, without those that are the default."""
    defaults = {field.name: field.default for field in dataclasses.fields(task)}
    values: Mapping[str, Any] = vars(task)
    return {name: values[name] for name, default in defaults.items() if values[name] != default}


def _without_schema(job: Any) -> Any:
    return {name: value for name, value in job.items() if name != "schema"} if isinstance(job, dict) else job
