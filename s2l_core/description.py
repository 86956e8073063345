"""The verb ``describe``: what a speaker file tells about itself, for a library of speakers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from .errors import BadJob, SpeakerFileBroken
from .events import Report
from .files import reserved, write_whole
from .jobs import DescribeJob, TrainJob, from_document
from .model.speaker import read_header, read_portrait

Quality = Literal["good", "usable", "poor"]

_GOOD, _USABLE = 0.75, 0.45
"""Correlation of how far the generated and the real mouth are open, from which speech moves the lips so well."""
_LEAST_GAIN_DB = 1.0
"""By how much lips must be nearer to the real ones than a mouth that never moves."""


def describe(job: DescribeJob, report: Report | None = None) -> dict[str, Any]:
    """Tell what is in a speaker file, without its networks.

    Returns:
        ``name``; ``footage_path``; ``footage_seconds``, and ``trained_seconds`` of them; ``quality``, ``"good"``,
        ``"usable"`` or ``"poor"``; what was measured on the held-out part, None where it is not known:
        ``mouth_psnr`` in dB, ``lmd`` in pixels, and ``opening_correlation``, how well the mouth follows speech;
        ``preset``, ``architecture``, ``seed``, ``device``, ``version``, ``consent``, ``speaker_file_bytes``; and
        ``picture_path``, empty where no picture was written.

    Raises:
        FileMissing, SpeakerFileForeign, SpeakerFileNewer, SpeakerFileOlder, SpeakerFileBroken: As
            :meth:`s2l_core.model.speaker.SpeakerModel.load`.
        CannotWrite, DiskFull: The picture cannot be written.
    """
    header = read_header(job.speaker_path)
    try:
        origin, metrics = dict(header["origin"]), dict(header["metrics"])
        trained = from_document(origin["job"])
        start, end = (float(moment) for moment in origin["split"]["train"])
        if not isinstance(trained, TrainJob):
            raise BadJob(f"{job.speaker_path} was not trained.")
        facts = {
            "name": str(header["name"]),
            "footage_path": trained.footage.path,
            "footage_seconds": float(origin["seconds"]),
            "trained_seconds": end - start,
            "quality": judge(metrics),
            **{name: _number(metrics.get(name)) for name in ("mouth_psnr", "lmd", "opening_correlation")},
            "preset": trained.preset,
            "architecture": str(header["architecture"]),
            "seed": trained.seed,
            "device": str(origin.get("device", "")),
            "version": str(origin["version"]),
            "consent": trained.consent,
            "speaker_file_bytes": Path(job.speaker_path).stat().st_size,
        }
    except (BadJob, KeyError, TypeError, ValueError) as error:
        raise SpeakerFileBroken(f"{job.speaker_path} does not say what it was trained on.") from error
    return {**facts, "picture_path": _write_picture(job)}


def judge(metrics: dict[str, Any]) -> Quality:
    """A word for what was measured on the held-out part."""
    correlation = _number(metrics.get("opening_correlation")) or 0.0
    gain = (_number(metrics.get("mouth_psnr")) or 0.0) - (_number(metrics.get("mean_image_psnr")) or 0.0)
    if correlation < _USABLE or gain < 0.0:
        return "poor"
    return "good" if correlation >= _GOOD and gain >= _LEAST_GAIN_DB else "usable"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _write_picture(job: DescribeJob) -> str:
    """Write the speaker's portrait, if that is wanted and there is one; its path."""
    if not job.picture_path:
        return ""
    with reserved(job.picture_path, job.speaker_path):
        return _write_portrait(job)


def _write_portrait(job: DescribeJob) -> str:
    encoded = read_portrait(job.speaker_path)
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR) if encoded else None
    if picture is None:
        return ""
    ending = Path(job.picture_path).suffix.lower()
    written = cv2.imencode(ending if ending in {".jpg", ".jpeg"} else ".png", picture)[1]
    write_whole(job.picture_path, written.tobytes(), lasting=False)
    return job.picture_path
