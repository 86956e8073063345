"""Records: the entries of the queue as JSON files beside their outputs, so that nothing is lost if Blender crashes.

Nothing in a record is trusted. In particular, the output path of a job follows from the path of its record, never from
the content, so that no record can make a job overwrite another file.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import secrets
import tomllib
import typing
from functools import cache
from pathlib import Path
from typing import Any

import bpy

from ...s2l_core import json_text, regular_files
from ...s2l_core.dataclass_reader import DataclassReader
from ...s2l_core.errors import BadJob
from ...s2l_core.jobs import CheckJob, DubJob, Job, PoseJob, StillJob, TrainJob, from_document
from .. import session
from ..paths import EXTENSION_FOLDER
from .entries import RECORD_SUFFIX, Entry, Failure, Status, Submission, Target, camera_path_beside, output_of
from .recorded_results import refuse_malformed

VERSION = 1
LARGEST = 32 * 1024 * 1024  # bytes; the animated settings of a dub of an hour take a few million
_MOST_OBJECTS = 100_000  # JSON objects and lists: small ones take a hundred times the memory of their text
_LONGEST_TEXT = 1_000_000  # characters: the log of a job that failed
_LONGEST_LINE = 2_000
_LATEST_FRAME = 2**31 - 1
_READER = DataclassReader(_LONGEST_TEXT)
_LARGEST_CAMERA_PATH = 64_000_000  # bytes
WRITTEN_FOR = "written_for"
"""Field of a camera path with the name of the movie that it was written for."""
_DEEPEST, _MOST_VALUES = 20, 200_000  # nesting depth, and values per level, without the job


def write(entry: Entry) -> None:
    """Write the record of an entry; if that fails, an earlier record stays as it was.

    Raises:
        OSError: It cannot be written.
    """
    document = {
        "record": VERSION,
        "versions": versions(),
        "session": session.token(),
        "status": entry.status,
        "name": entry.name,
        "added": entry.added,
        "estimate": entry.estimate,
        "outcome": entry.outcome,
        "target": _target_document(entry.target),
        "result": entry.result,
        "failure": entry.failure and dataclasses.asdict(entry.failure),
        "submission": entry.submission and dataclasses.asdict(entry.submission),
    }
    partial = entry.record_path.with_name(f".{secrets.token_hex(8)}.partial")
    texts = {name: json.dumps(value) for name, value in document.items()} | {"job": entry.job_text}
    lines = ",\n".join(f'"{name}": {text}' for name, text in texts.items())
    try:
        with partial.open("x", encoding="utf-8") as file:  # never through a symbolic link
            file.write(f"{{\n{lines}\n}}\n")
        partial.replace(entry.record_path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def forget(entry: Entry) -> None:
    """Remove the record of an entry, and the camera path that was written for it, unless other machines read it."""
    entry.record_path.unlink(missing_ok=True)
    if isinstance(entry.job, PoseJob) and entry.submission is None and _is_written_for(entry.job):
        Path(entry.job.camera_path).unlink(missing_ok=True)


def _is_written_for(job: PoseJob) -> bool:
    """Whether a camera path says that it was written for a job; any other file of that name is the user's."""
    try:
        path = json_text.read(job.camera_path, _LARGEST_CAMERA_PATH)
    except (OSError, ValueError):
        return False
    return isinstance(path, dict) and path.get(WRITTEN_FOR) == Path(job.output_path).name


def is_taken(entry: Entry) -> bool:
    """Whether another running Blender owns the entry now."""
    try:
        _, owner = read(entry.record_path)
    except BadJob:
        return False
    return owner != session.token() and session.is_alive(owner)


def read(path: Path) -> tuple[Entry, str]:
    """The entry of a record, and the session of the Blender that wrote it.

    Raises:
        BadJob: The file is not a valid record of a job for the queue.
    """
    try:
        content = regular_files.read(path, LARGEST)
        if content.count(b"{") + content.count(b"[") > _MOST_OBJECTS:
            raise ValueError
        document = json.loads(content)
        _refuse_invalid({name: value for name, value in dict(document).items() if name != "job"})
    except (OSError, TypeError, ValueError, RecursionError):
        raise BadJob(f"{path} cannot be read.") from None
    match document:
        case {
            "record": int() as version,
            "session": str(owner),
            "status": str(status),
            "name": str(name),
            "added": str(added),
            "estimate": str(estimate),
            "outcome": str(outcome),
            "target": dict(target),
            "job": job,
            "result": dict() | None as result,
            "failure": dict() | None as failure,
        } if (
            version == VERSION
            and status in typing.get_args(Status)
            and max(map(len, (name, added, estimate, outcome))) <= _LONGEST_LINE
        ):
            known_job = _with_output_beside(from_document(job), path)
            if result is not None:
                refuse_malformed(known_job, result)
            submission = document.get("submission")
            if status == "submitted" and submission is None:
                raise BadJob(f"{path} does not say where its job was submitted.")
            return Entry(
                name=name,
                job=known_job,
                target=_target(target),
                record_path=path,
                status=typing.cast(Status, status),
                outcome=outcome,
                result=result,
                failure=_READER.read(Failure, failure, "failure") if failure else None,
                submission=_READER.read(Submission, submission, "submission") if submission else None,
                estimate=estimate,
                added=added,
            ), owner
    raise BadJob(f"{path} is not a job record.")


def _refuse_invalid(document: dict[str, Any]) -> None:
    """Raise ValueError for values that Blender cannot show or store, too many values, and too deep nesting."""
    layer: list[Any] = [document]
    for _ in range(_DEEPEST):
        if len(layer) > _MOST_VALUES or not all(map(_is_valid, layer)):
            raise ValueError
        objects = [value for value in layer if isinstance(value, dict)]
        lists = [value for value in layer if isinstance(value, list)]
        layer = list(itertools.chain(*objects, *map(dict.values, objects), *lists))
    if layer:
        raise ValueError


def _is_valid(value: Any) -> bool:
    match value:
        case str():
            value.encode("utf-8", "surrogateescape")  # surrogates stand for bytes of file names; others raise
            return len(value) <= _LONGEST_TEXT and "\0" not in value
        case int() | float():
            return abs(value) < 2**63  # NaN is not
    return True


@cache
def versions() -> dict[str, str]:
    """The versions of the programs that make results here, by name."""
    manifest = tomllib.loads((EXTENSION_FOLDER / "blender_manifest.toml").read_text(encoding="utf-8"))
    return {"speech2lip": manifest["version"], "blender": bpy.app.version_string}


def _with_output_beside(job: Job, record_path: Path) -> Job:
    """The job with the output path that follows from the path of its record, and the camera path beside it."""
    output = str(record_path).removesuffix(RECORD_SUFFIX)
    match job:
        case TrainJob() if output.endswith(".s2l"):
            return dataclasses.replace(job, speaker_path=output)
        case DubJob() | StillJob() if Path(output).suffix == Path(output_of(job)).suffix:
            return dataclasses.replace(job, output_path=output)
        case PoseJob() if Path(output).suffix == Path(output_of(job)).suffix:
            return dataclasses.replace(job, output_path=output, camera_path=str(camera_path_beside(output)))
        case CheckJob():
            return job
    raise BadJob(f"{record_path} is not the record of a job that writes {output}.")


def _target_document(target: Target) -> dict[str, Any]:
    document = dataclasses.asdict(target)
    del document["scene_id"]  # meaningless in another run of Blender
    return document


def _target(document: dict[str, Any]) -> Target:
    target: Target = _READER.read(Target, document, "target")
    placement = target.placement
    if placement and max(abs(placement.first), abs(placement.end)) > _LATEST_FRAME:
        raise BadJob("The frames in a job record are out of range.")
    return dataclasses.replace(target, scene_id=0)
