"""Plans from jobs: which tasks there are, and which wait for which. The same jobs give the same plan, byte for byte."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from .. import regular_files
from ..errors import BadPlan, FileMissing
from ..events import Report
from ..jobs import DubJob, PoseJob, RenderJob, StillJob, TrainJob, refuse_without_consent
from ..verbs.divided import CHUNK
from ..version import VERSION
from .costs import Cost, cost_of
from .plan import Kind, Plan, PlannedJob, Task
from .roots import common_root, inputs_of, map_paths, outputs_of, to_root

_LONGEST_NAME = 48
_FINAL: dict[str, Kind] = {"train": "train", "render": "whole"}


@dataclass(frozen=True)
class _Entry:
    """A job with its place in the plan: its name, the task after which its result is there, and its size."""

    job: PlannedJob
    name: str
    final: str
    cost: Cost


def make_plan(
    jobs: Sequence[PlannedJob],
    chunk: int = CHUNK,
    roots: Mapping[str, str] | None = None,
    report: Report | None = None,
) -> Plan:
    """Plan jobs. A job that reads what another one writes waits for it, whatever their order.

    Args:
        jobs: The jobs, with paths of this machine.
        chunk: Number of frames of a task, rounded up to whole chunks of 128 frames as they are encoded. More frames
            mean fewer tasks, of which each spends less of its time on opening files, and more loss in an interruption.
        roots: Folders by name; None means one, the deepest folder that contains all files.
        report: Receives the progress: jobs whose files have been opened.

    Raises:
        BadPlan: A file is in no root, two jobs write the same file, or jobs wait for each other.
        Cancelled: The caller cancelled it.
        ConsentMissing: A training or a still does not state that the person agreed.
        FileMissing: There is no such file, and no job writes it.
        Speech2LipError: A file cannot be used.
    """
    if not jobs:
        raise BadPlan("There is no job to plan.", "Name files with jobs as JSON.")
    roots = roots or common_root(jobs)
    for job in jobs:
        if isinstance(job, TrainJob | StillJob):
            refuse_without_consent(job)
    chunk = max(1, -(-chunk // CHUNK)) * CHUNK
    entries: dict[str, _Entry] = {}
    names: set[str] = set()
    report = report or Report()
    for place, job in enumerate(_in_order(jobs)):
        report.progress("Plan jobs", place, len(jobs))
        (output,) = outputs_of(job)
        name = _unused(_plain(output), names)
        clips = {path: entries[path].cost.clip for path in inputs_of(job) if path in entries}
        _refuse_missing(job, clips)
        entries[output] = _Entry(job, name, f"{name}-{_FINAL.get(job.verb, 'join')}", cost_of(job, clips))
    report.progress("Plan jobs", len(jobs), len(jobs))
    rooted = {output: _Rooted.of(entry, roots) for output, entry in entries.items()}
    tasks = itertools.chain.from_iterable(
        _tasks(number, rooted[output], entry, entries, chunk) for number, (output, entry) in enumerate(entries.items())
    )
    return Plan(VERSION, chunk, dict(roots), tuple(each.job for each in rooted.values()), tuple(tasks))


@dataclass(frozen=True)
class _Rooted:
    """A job with paths in roots, and these paths."""

    job: PlannedJob
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, entry: _Entry, roots: Mapping[str, str]) -> _Rooted:
        job = map_paths(entry.job, lambda path: to_root(path, roots))
        return cls(job, tuple(inputs_of(job)), tuple(outputs_of(job)))


def _tasks(number: int, rooted: _Rooted, entry: _Entry, entries: Mapping[str, _Entry], chunk: int) -> Iterator[Task]:
    """The tasks of a job."""
    job, name, cost = entry.job, entry.name, entry.cost
    before = tuple(dict.fromkeys(entries[path].final for path in inputs_of(job) if path in entries))
    inputs, outputs, memory = rooted.inputs, rooted.outputs, cost.memory_bytes
    device, preset = job.device, job.preset if isinstance(job, TrainJob) else ""
    if job.verb in _FINAL:
        kind, frames = _FINAL[job.verb], cost.clip.frames if job.verb == "render" else 0
        yield Task(entry.final, kind, number, 0, frames, before, inputs, outputs, cost.whole, memory, preset, device)
        return
    look, parts = f"{name}-look", []
    yield Task(look, "look", number, 0, 0, before, inputs, (), cost.look, memory, "", device)
    for place, first in enumerate(range(0, cost.clip.frames, chunk), start=1):
        count = min(chunk, cost.clip.frames - first)
        parts.append(f"{name}-frames-{place:04}")
        yield Task(parts[-1], "frames", number, first, count, (look,), inputs, (), cost.part(count), memory, "", device)
    frames = cost.clip.frames
    yield Task(entry.final, "join", number, 0, frames, tuple(parts), inputs, outputs, cost.join, memory, "", device)


def _in_order(jobs: Sequence[PlannedJob]) -> list[PlannedJob]:
    """The jobs, each after those whose results it reads, and otherwise in their own order."""
    writers: dict[str, PlannedJob] = {}
    for job in jobs:
        for path in outputs_of(job):
            if path in writers:
                raise BadPlan(f"Two jobs write {path}.", "Give each job its own output.")
            writers[path] = job
    placed: dict[str, PlannedJob] = {}
    waiting = list(jobs)
    while waiting:
        ready = [job for job in waiting if all(path in placed for path in inputs_of(job) if path in writers)]
        if not ready:
            raise BadPlan(f"The job that writes {outputs_of(waiting[0])[0]} waits for its own result.")
        placed.update({path: job for job in ready for path in outputs_of(job)})
        waiting = [job for job in waiting if outputs_of(job)[0] not in placed]
    return list(placed.values())


def _refuse_missing(job: PlannedJob, made: Mapping[str, object]) -> None:
    """Raise FileMissing for a speaker file or a camera path that is not there and is made by no job. Footage, pictures
    and sounds are opened for their length.
    """
    named = [job.speaker_path] if isinstance(job, DubJob | StillJob | PoseJob | RenderJob) else []
    named += [job.camera_path] if isinstance(job, PoseJob) else []
    for path in filter(None, named):
        if path not in made and not regular_files.is_file(path):
            raise FileMissing(f"There is no file {path}, and no job of the plan writes it.")


def _plain(path: str) -> str:
    """A name that any file system takes, from the name of a result."""
    stem = PurePosixPath(path.replace("\\", "/")).stem.lower()
    return re.sub(r"[^a-z0-9]+", "-", stem)[:_LONGEST_NAME].strip("-") or "job"


def _unused(name: str, names: set[str]) -> str:
    """The name, with a number if it is taken; adds it to those that are."""
    numbered = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
    free = next(each for each in numbered if each not in names)
    names.add(free)
    return free
