"""The training that a speaker file states. Nothing in the file is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..consent_record import read_hash
from ..errors import BadJob
from ..jobs import TrainJob, from_document
from ..json_text import is_text

_LONGEST_WORD = 100
_LONGEST_SECONDS = 1e7
_LARGEST_FIGURE = 1e300

Span = tuple[float, float]


@dataclass(frozen=True)
class Origin:
    """A training.

    Attributes:
        job: The training job, with paths on the machine that trained.
        version: Version of Speech2Lip.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``; empty if unknown.
        seconds: Length of the footage.
        train: First and last second of the medium that was trained on.
        held_out: First and last second of the medium on which the speaker was measured.
        consent_hash: Hash of the record of consent, see :attr:`s2l_core.consent_record.ConsentRecord.hash`; empty in
            the files of earlier versions.
    """

    job: TrainJob
    version: str
    device: str
    seconds: float
    train: Span
    held_out: Span
    consent_hash: str


def read_origin(values: Any) -> Origin:
    """The training that JSON values describe, see :attr:`.speaker.SpeakerModel.origin`.

    Raises:
        ValueError: They do not describe a training.
    """
    try:
        job = from_document(values["job"])
        origin = Origin(
            job=job,  # type: ignore[arg-type]
            version=values["version"],
            device=values.get("device", ""),
            seconds=float(values["seconds"]),
            train=_span(values["split"]["train"]),
            held_out=_span(values["split"]["held_out"]),
            consent_hash=read_consent_hash(values),
        )
    except (BadJob, AttributeError, KeyError, TypeError, OverflowError) as error:
        raise ValueError("not a training") from error
    if not isinstance(job, TrainJob) or not all(
        is_text(word, _LONGEST_WORD) for word in (origin.version, origin.device)
    ):
        raise ValueError("not a training")
    if not 0.0 < origin.seconds < _LONGEST_SECONDS:
        raise ValueError("no length")
    return origin


def read_consent_hash(values: Any) -> str:
    """Hash of the record of consent in the JSON values of :func:`read_origin`; empty if there is none."""
    return read_hash(values.get("consent_hash")) if isinstance(values, dict) else ""


def as_figure(value: Any) -> float | None:
    """A figure in a file; None if it is not a finite number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < _LARGEST_FIGURE else None


def _span(values: Any) -> Span:
    start, end = (float(moment) for moment in values)
    if not 0.0 <= start < end < _LONGEST_SECONDS:
        raise ValueError("not a span")
    return start, end
