"""Whether the result in a record has the form of the engine's results, as far as the add-on reads it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from ...s2l_core.dataclass_reader import DataclassReader
from ...s2l_core.errors import BadJob
from ...s2l_core.jobs import CheckJob, Job, PoseJob, TrainJob

_LATEST_FRAME = 1_048_574  # the largest that Blender has
_READER = DataclassReader(longest_text=1_000_000)


@dataclass(frozen=True)
class _Checked:
    verdict: Literal["good", "usable", "poor"]
    advice: tuple[str, ...]


@dataclass(frozen=True)
class _HeldOut:
    mouth_psnr: float | None = None


@dataclass(frozen=True)
class _Trained:
    held_out: _HeldOut | None = None


@dataclass(frozen=True)
class _SkippedRun:
    first: int
    last: int
    reason: str


@dataclass(frozen=True)
class _Dubbed:
    summary: str = ""
    voice_track: int | None = None
    frames_dubbed: int = 0
    warnings: tuple[str, ...] = ()
    untouched: tuple[_SkippedRun, ...] = ()


@dataclass(frozen=True)
class _Posed:
    frames: int = 0
    degrees_outside: float = 0.0


def refuse_malformed(job: Job, result: dict[str, Any]) -> None:
    """Refuse a result that could not be inserted.

    Args:
        job: The job in the same record.
        result: JSON values. Fields that the add-on does not read are ignored; a dub or a training whose output was
            complete before Blender knew its result has none at all.

    Raises:
        BadJob: A field is missing, has another type, or is out of range.
    """
    kinds: dict[type[Job], type] = {CheckJob: _Checked, TrainJob: _Trained, PoseJob: _Posed}
    kind = kinds.get(type(job), _Dubbed)
    fields = _known(kind, result)
    if isinstance(held_out := fields.get("held_out"), dict):
        fields["held_out"] = _known(_HeldOut, held_out)
    read = _READER.read(kind, fields, "result")
    if isinstance(read, _Dubbed) and not all(0 <= run.first <= run.last <= _LATEST_FRAME for run in read.untouched):
        raise BadJob("The frames in a job record are out of range.")


def _known(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in values.items() if name in names}
