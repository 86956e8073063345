"""The verb ``preview``: one frame of a dub, before the whole run is worth its time."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .device import choose_device
from .dubbing import codes_of_voice, frames_in_order, frames_to_show, refuse_other_landmarks, speak
from .errors import BadJob
from .events import Report
from .files import refuse_unwritable
from .footage import is_prepared, prepare
from .jobs import Encoding, Media, PreviewJob, parse_rate
from .media.audio import SPEECH_RATE
from .media.mix import read_voice, sources
from .media.pictures import write_picture
from .media.video import probe
from .model.speaker import SpeakerModel
from .reliability import REASONS, judge_frame
from .rendering import MouthRenderer

_AROUND_SECONDS = 0.4
_PICTURE = Encoding("png")


def preview(job: PreviewJob, report: Report | None = None) -> dict[str, Any]:
    """Write one frame of a dub as a PNG picture, whole also where the dub is of the mouth alone.

    Footage that was looked at before gives the very frame that the dub will. Of other footage only the part around the
    frame is looked at, for the sake of time; the head's pose then differs a little, and the light may. Something in
    front of the mouth is not noticed, for that takes the whole clip, and nothing is faded.

    Returns:
        ``output_path``; ``reason`` for which the frame keeps the footage's pixels, see
        :func:`s2l_core.dubbing.dub`, or empty; ``preview_seconds``.

    Raises:
        BadJob: The dub has fewer frames.
        Speech2LipError: What is wrong with the files, as in :func:`s2l_core.dubbing.dub`.
    """
    report = report or Report()
    started = time.monotonic()
    dub = job.dub
    refuse_unwritable(job.output_path, dub.footage.path, *sources(dub.voice), dub.speaker_path)
    device = choose_device(dub.device)
    speaker = SpeakerModel.load(dub.speaker_path, device)
    rate = parse_rate(dub.rate) if dub.rate else probe(dub.footage.path).rate
    speech, _ = read_voice(dub.voice)
    footage = prepare(_part_to_look_at(job), dub.landmarks, device.type, report, faceless=True)
    refuse_other_landmarks(dub, speaker, footage)
    indices, voiced = frames_to_show(dub, footage, len(speech) / SPEECH_RATE, rate)
    if job.frame >= len(indices):
        raise BadJob(f"There is no frame {job.frame} to preview: the dub has {len(indices)}.")

    shown = indices[job.frame : job.frame + 1]
    images = list(frames_in_order(footage, shown))
    reason = ""
    if job.frame < voiced:
        number, light = judge_frame(speaker, footage, indices[:voiced], int(shown[0]), report)
        reason, weights = REASONS[number], np.array([number == 0], np.float32)
        track = codes_of_voice(dub, speaker, speech, (voiced - 1) / float(rate))
        times = np.array([job.frame / float(rate)])
        images = speak(MouthRenderer(speaker, footage, light), track, times, images, shown, weights, _PICTURE)
    write_picture(Path(job.output_path), images[0], _PICTURE)
    return {"output_path": job.output_path, "reason": reason, "preview_seconds": time.monotonic() - started}


def _part_to_look_at(job: PreviewJob) -> Media:
    """The footage, whole where that costs nothing or where there are no moments to tell what is shown."""
    footage, moments = job.dub.footage, job.dub.moments
    if job.frame >= len(moments) or is_prepared(footage, job.dub.landmarks):
        return footage
    start = max(footage.start, moments[job.frame] - _AROUND_SECONDS)
    end = moments[job.frame] + _AROUND_SECONDS
    return replace(footage, start=start, end=end if footage.end is None else min(end, footage.end))
