"""The verb ``describe``: reads the facts about a speaker from its file, without loading the networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np

from .. import jpeg
from ..consent_ledger import entry_of
from ..errors import SpeakerFileBroken
from ..events import Report
from ..files import reserved, write_whole
from ..jobs import Architecture, DescribeJob
from ..json_text import is_text
from ..model.origin import as_figure, read_origin
from ..model.speaker import read_header, read_portrait
from ..results import DescribeResult, Verdict

_GOOD, _USABLE = 0.75, 0.45
"""Lowest ``opening_correlation`` of a good and of a usable speaker."""
_LONGEST_NAME = 1000
_LARGEST_SIDE = 4096
"""Pixels of a portrait's longer side: a few bytes can ask for gigabytes of pixels."""
_LEAST_GAIN_DB = 1.0
"""By how many dB a good speaker's ``mouth_psnr`` exceeds that of a mouth that never moves."""


def describe(job: DescribeJob, report: Report | None = None) -> DescribeResult:
    """Read the facts about a speaker from its file, and write its portrait if the job names a picture.

    Raises:
        FileMissing, SpeakerFileForeign, SpeakerFileNewer, SpeakerFileOlder, SpeakerFileBroken: As
            :meth:`s2l_core.model.speaker.SpeakerModel.load`.
        ConsentUnreadable: The ledger of consents beside the file cannot be read.
        CannotWrite, DiskFull: The picture cannot be written.
    """
    header = read_header(job.speaker_path)
    try:
        origin, metrics, name = read_origin(header["origin"]), dict(header["metrics"]), header["name"]
        if not is_text(name, _LONGEST_NAME) or header["architecture"] not in get_args(Architecture):
            raise ValueError("no name, or an unknown architecture")
    except (KeyError, TypeError, ValueError) as error:
        raise SpeakerFileBroken(f"{job.speaker_path} does not say what it was trained on.") from error
    picture_path = _write_picture(job)
    entry = entry_of(job.speaker_path, origin.consent_hash)
    return {
        "name": name,
        "footage_path": origin.job.footage.path,
        "footage_seconds": origin.seconds,
        "trained_seconds": origin.train[1] - origin.train[0],
        "quality": judge(metrics),
        "mouth_psnr": as_figure(metrics.get("mouth_psnr")),
        "lmd": as_figure(metrics.get("lmd")),
        "opening_correlation": as_figure(metrics.get("opening_correlation")),
        "preset": origin.job.preset,
        "architecture": header["architecture"],
        "seed": origin.job.seed,
        "device": origin.device,
        "version": origin.version,
        "consent": origin.job.consent,
        "consent_hash": origin.consent_hash,
        "consent_until": entry.record.until if entry else "",
        "consent_revoked": entry.revoked if entry else "",
        "speaker_file_bytes": Path(job.speaker_path).stat().st_size,
        "picture_path": picture_path,
    }


def judge(metrics: dict[str, Any]) -> Verdict:
    """Summarise the measures on the held-out footage."""
    correlation = as_figure(metrics.get("opening_correlation")) or 0.0
    gain = (as_figure(metrics.get("mouth_psnr")) or 0.0) - (as_figure(metrics.get("mean_image_psnr")) or 0.0)
    if correlation < _USABLE or gain < 0.0:
        return "poor"
    return "good" if correlation >= _GOOD and gain >= _LEAST_GAIN_DB else "usable"


def _write_picture(job: DescribeJob) -> str:
    """Write the speaker's portrait if the job asks for it and the file holds one; returns its path, or an empty
    string.
    """
    if not job.picture_path:
        return ""
    with reserved(job.picture_path, job.speaker_path):
        return _write_portrait(job)


def _write_portrait(job: DescribeJob) -> str:
    encoded = read_portrait(job.speaker_path)
    if not 0 < max(jpeg.size(encoded)) <= _LARGEST_SIDE:
        return ""
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return ""
    ending = Path(job.picture_path).suffix.lower()
    written = cv2.imencode(ending if ending in {".jpg", ".jpeg"} else ".png", picture)[1]
    write_whole(job.picture_path, written.tobytes(), lasting=False)
    return job.picture_path
