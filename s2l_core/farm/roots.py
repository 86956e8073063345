"""Paths of jobs, as every machine can read them: ``ROOT/relative`` in a plan, and a path of the machine in a run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, TypeVar, cast

from ..errors import BadPlan
from ..jobs import Media, Sound, TrainJob
from .plan import PlannedJob, refuse_root_name, split_path

PROJECT = "PROJECT"
"""Name of the root where none is named: the deepest folder that contains all files."""
_PATHS = {"path", "speaker_path", "output_path", "camera_path", "speech_network"}
_NAMED_SPEECH = ("log-mel",)

T = TypeVar("T")


def read_roots(words: Iterable[str]) -> dict[str, str]:
    """Folders of roots by name, from words such as ``SHOW=/mnt/show``.

    Raises:
        BadPlan: A word is anything else.
    """
    roots = {}
    for word in words:
        name, equals, folder = word.partition("=")
        refuse_root_name(name)
        if not equals or not folder:
            raise BadPlan(f"{word!r} does not say where a root is.", "Write it like SHOW=/mnt/show.")
        roots[name] = _absolute(folder)
    return roots


def common_root(jobs: Iterable[PlannedJob]) -> dict[str, str]:
    """The root of jobs for which none is named.

    Raises:
        BadPlan: The files of the jobs have no folder in common.
    """
    folders = [str(PurePath(_absolute(path)).parent) for job in jobs for path in (*inputs_of(job), *outputs_of(job))]
    try:
        return {PROJECT: os.path.commonpath(folders)}
    except ValueError:
        raise BadPlan(
            "The files of the jobs are on different drives.", "Name a root for each: --root SHOW=PATH."
        ) from None


def to_root(path: str, roots: Mapping[str, str]) -> str:
    """A path of this machine as ``ROOT/relative``, in the deepest root that contains it.

    Raises:
        BadPlan: No root contains it, or its name cannot be used on every machine.
    """
    found = PurePath(_absolute(path))
    inside = {name: PurePath(folder) for name, folder in roots.items() if found.is_relative_to(folder)}
    if not inside:
        raise BadPlan(f"{path} is in none of the roots {', '.join(roots)}.", "Name another one: --root NAME=PATH.")
    name = max(sorted(inside), key=lambda each: len(inside[each].parts))
    rooted = f"{name}/{found.relative_to(inside[name]).as_posix()}"
    split_path(rooted)
    return rooted


def from_root(path: str, roots: Mapping[str, str]) -> str:
    """A ``ROOT/relative`` as a path of this machine.

    Raises:
        BadPlan: It is not inside a root, or this machine has no folder for its root.
    """
    root, relative = split_path(path)
    if root not in roots:
        raise BadPlan(f"This machine has no folder for the root {root}.", f"Name it: --root {root}=PATH.")
    return str(Path(roots[root], *relative.split("/")))


def map_paths(job: T, convert: Callable[[str], str]) -> T:
    """A job, or a part of one, in which each path is converted."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(cast(Any, job)):
        value = getattr(job, field.name)
        if _is_path(field.name, value):
            changes[field.name] = convert(value)
        elif field.name == "speech" and value not in _NAMED_SPEECH:
            folder, mark, layer = value.rpartition("#") if "#" in value else (value, "", "")
            changes[field.name] = f"{convert(folder)}{mark}{layer}"
        elif dataclasses.is_dataclass(value):
            changes[field.name] = map_paths(value, convert)
        elif isinstance(value, tuple) and value and isinstance(value[0], Media | Sound):
            changes[field.name] = tuple(map_paths(item, convert) for item in value)
    return cast(T, dataclasses.replace(cast(Any, job), **changes))


def inputs_of(job: PlannedJob) -> list[str]:
    """Paths that a job reads, without repetition."""
    outputs = outputs_of(job)
    return [path for path in _paths_of(job) if path not in outputs]


def outputs_of(job: PlannedJob) -> list[str]:
    """Paths that a job writes."""
    return [job.speaker_path if isinstance(job, TrainJob) else job.output_path]


def _paths_of(job: PlannedJob) -> list[str]:
    paths: list[str] = []

    def keep(path: str) -> str:
        paths.append(path)
        return path

    map_paths(job, keep)
    return list(dict.fromkeys(paths))


def _is_path(name: str, value: Any) -> bool:
    """Whether a field with that name and value is a path."""
    if not isinstance(value, str) or not value:
        return False
    return name in _PATHS or (name == "landmarks" and value.lower().endswith(".task"))


def _absolute(path: str) -> str:
    return os.path.normpath(Path(path).absolute())
