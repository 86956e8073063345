"""The verb ``offset``: measures by how much a speaker's sound lags behind the lips."""

from __future__ import annotations

import numpy as np

from ..device import choose_device
from ..errors import FootageTooShort
from ..events import Report
from ..footage import heard_beside, prepare, told_seconds
from ..jobs import OffsetJob
from ..media.audio import SPEECH_RATE, read_speech
from ..media.mix import tell_tracks
from ..media.video import probe
from ..results import OffsetResult
from ..speech.synchrony import SHORTEST_SECONDS, find_offset

_CHANCE, _CERTAINTY = 3.1, 8.0
"""Prominence of the correlation peak below which somebody else's sound stays, and which the clearest 20 s of a talking
head reach.
"""


def offset(job: OffsetJob, report: Report | None = None) -> OffsetResult:
    """Measure the offset between a sound and the lips that spoke it, up to half a second in either direction.

    Raises:
        FootageTooShort: Pictures and sound overlap by less than 10 seconds.
        Speech2LipError: A file cannot be used, as in :func:`s2l_core.verbs.check.check`.
    """
    report = report or Report()
    seconds = told_seconds(job.footage, probe(job.footage))
    tell_tracks(job.voice, report)
    speech = read_speech(heard_beside(job.voice, seconds))
    footage = prepare(job.footage, job.landmarks, choose_device(job.device).type, report)
    if footage.seconds > seconds:
        speech = read_speech(heard_beside(job.voice, footage.seconds))
    shared = min(footage.seconds, len(speech) / SPEECH_RATE)
    if shared <= SHORTEST_SECONDS:
        raise FootageTooShort(f"Picture and sound share only {shared:.1f} s.", "Use at least 20 seconds of speech.")
    found = find_offset(footage.times - job.footage.start, footage.openings, speech)
    if found is None:
        return {"offset_seconds": 0.0, "confidence": 0.0, "is_reliable": False}
    confidence = float(np.clip((found.prominence - _CHANCE) / (_CERTAINTY - _CHANCE), 0.0, 1.0))
    return {"offset_seconds": found.seconds, "confidence": confidence, "is_reliable": found.is_reliable}
