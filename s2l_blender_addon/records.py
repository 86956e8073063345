"""Records: the entries of the queue as JSON files beside their outputs, so that nothing is lost with Blender.

Nothing in a record is trusted. Above all the file that its job writes is told by where the record lies, never by what
it says, so that no record can make a job write over something else.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import bpy

from ..s2l_core.errors import BadJob
from ..s2l_core.jobs import CheckJob, DubJob, Job, TrainJob, from_document
from . import session
from .entries import RECORD_SUFFIX, Entry, Failure, Status, Target, output_of
from .strips import Placement

VERSION = 1
_LARGEST = 64 * 1024 * 1024  # bytes; a job of hours has a few million


def write(entry: Entry) -> None:
    """Keep an entry; a failure leaves the record as it was before.

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
    }
    partial = entry.record_path.with_name(f"{entry.record_path.name}.partial")
    texts = {name: json.dumps(value) for name, value in document.items()} | {"job": entry.job_text}
    lines = ",\n".join(f'"{name}": {text}' for name, text in texts.items())
    partial.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    partial.replace(entry.record_path)


def forget(entry: Entry) -> None:
    """Remove the record of an entry."""
    entry.record_path.unlink(missing_ok=True)


def is_taken(entry: Entry) -> bool:
    """Whether another Blender, which lives, has made the entry its own."""
    try:
        _, owner = read(entry.record_path)
    except BadJob:
        return False
    return owner != session.token() and session.is_alive(owner)


def unfinished(folders: list[Path]) -> Iterator[Entry]:
    """Entries in folders whose Blender has ended before their result was put into its file, the oldest first."""
    paths = sorted(path for folder in folders if folder.is_dir() for path in folder.glob(f"*{RECORD_SUFFIX}"))
    found = []
    for path in paths:
        if _is_over(path):
            continue
        try:
            entry, owner = read(path)
        except BadJob:
            continue
        if entry.status in ("waiting", "running", "interrupted", "ready") and not session.is_alive(owner):
            found.append(entry)
    yield from sorted(found, key=lambda entry: entry.added)


def read(path: Path) -> tuple[Entry, str]:
    """The entry that a record keeps, and the run of Blender that wrote it.

    Raises:
        BadJob: It is no record, or not of a job that a queue does.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise BadJob(f"{path} is too large to be the record of a job.")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise BadJob(f"{path} cannot be read.") from None
    match document:
        case {
            "record": int(version),
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
        } if version <= VERSION and status in typing.get_args(Status):
            return Entry(
                name=name,
                job=_at_home(from_document(job), path),
                target=_target(target),
                record_path=path,
                status=typing.cast(Status, status),
                outcome=outcome,
                result=result,
                failure=_built(Failure, failure) if failure else None,
                estimate=estimate,
                added=added,
            ), owner
    raise BadJob(f"{path} is no record of a job.")


def _is_over(path: Path) -> bool:
    """Whether a record says so in its first lines: most do, and reading all of them would take a while."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(1000)
    except OSError:
        return True
    return any(f'"status": "{status}"' in head for status in ("done", "failed", "cancelled"))


@cache
def versions() -> dict[str, str]:
    """Of what makes results here."""
    manifest = tomllib.loads((Path(__file__).parent.parent / "blender_manifest.toml").read_text(encoding="utf-8"))
    return {"speech2lip": manifest["version"], "blender": bpy.app.version_string}


def _at_home(job: Job, record_path: Path) -> Job:
    """The job with its output where the record is."""
    output = str(record_path).removesuffix(RECORD_SUFFIX)
    match job:
        case TrainJob() if output.endswith(".s2l"):
            return dataclasses.replace(job, speaker_path=output)
        case DubJob() if Path(output).suffix == Path(output_of(job)).suffix:
            return dataclasses.replace(job, output_path=output)
        case CheckJob():
            return job
    raise BadJob(f"{record_path} is not the record of a job that writes {output}.")


def _target_document(target: Target) -> dict[str, Any]:
    document = dataclasses.asdict(target)
    del document["scene_id"]  # means nothing to another run of Blender
    return document


def _target(document: dict[str, Any]) -> Target:
    fields = dict(document)
    placement = fields.pop("placement", None)
    if not isinstance(placement, dict | None):
        raise BadJob("The placement in a record is not an object.")
    target = _built(Target, fields)
    return dataclasses.replace(target, placement=placement and _built(Placement, placement), scene_id=0)


def _built(kind: type, values: dict[str, Any]) -> Any:
    """A flat dataclass from JSON values of just its fields' types."""
    hints = typing.get_type_hints(kind)
    try:
        return kind(**{name: _fitting(hints[name], value) for name, value in values.items()})
    except (KeyError, TypeError, ValueError):
        raise BadJob(f"A record holds a {kind.__name__.lower()} that is none.") from None


def _fitting(hint: Any, value: Any) -> Any:
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if value in options:
            return value
    elif origin is tuple:
        if isinstance(value, list):
            return tuple(_fitting(options[0], item) for item in value)
    elif isinstance(value, hint) or (hint is float and type(value) is int):
        return value
    raise ValueError
