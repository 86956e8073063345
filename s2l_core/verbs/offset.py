"""The verb ``offset``: by how much a speaker's sound comes after the lips."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import choose_device
from ..errors import FootageTooShort
from ..events import Report
from ..footage import heard_beside, prepare, told_seconds
from ..jobs import OffsetJob
from ..media.audio import SPEECH_RATE, read_speech
from ..media.mix import tell_tracks
from ..media.video import probe
from ..speech.synchrony import SHORTEST_SECONDS, find_offset

_CHANCE, _CERTAINTY = 3.1, 8.0
"""Prominences that sound of somebody else stays below, and that the clearest 20 s of a talking head reach."""


def offset(job: OffsetJob, report: Report | None = None) -> dict[str, Any]:
    """Measure the offset between a sound and the lips that spoke it, up to half a second to both sides.

    Returns:
        ``offset_seconds`` by which the sound comes late, negative where it comes early; ``confidence`` from 0, no
        better than with somebody else's sound, to 1; ``is_reliable``, whether it is clear enough to go by.

    Raises:
        FootageTooShort: There are less than 10 seconds of both.
        Speech2LipError: What is wrong with the files, as in :func:`s2l_core.verbs.check.check`.
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
        raise FootageTooShort(f"Picture and sound share only {shared:.1f} s.", "Show 20 seconds of speech or more.")
    found = find_offset(footage.times - job.footage.start, footage.openings, speech)
    if found is None:
        return {"offset_seconds": 0.0, "confidence": 0.0, "is_reliable": False}
    confidence = float(np.clip((found.prominence - _CHANCE) / (_CERTAINTY - _CHANCE), 0.0, 1.0))
    return {"offset_seconds": found.seconds, "confidence": confidence, "is_reliable": found.is_reliable}
