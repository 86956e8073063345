"""The verb ``preview``: one frame of a dub, before the whole run is worth its time."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..device import choose_device
from ..errors import BadJob
from ..events import Report
from ..files import reserved
from ..footage import is_prepared
from ..jobs import Encoding, Media, PreviewJob
from ..media.mix import read_context, read_voice, sources
from ..media.pictures import write_picture
from ..media.sequence import files_of
from ..model.speaker import SpeakerModel
from ..mouth.dub_frames import DubFrames, open_footage
from ..mouth.rendering import open_speech_source

_AROUND_SECONDS = 0.4
_PICTURE = Encoding("png")


def preview(job: PreviewJob, report: Report | None = None) -> dict[str, Any]:
    """Write one frame of a dub as a PNG picture, whole also where the dub is of the mouth alone.

    Footage that was looked at before gives the very frame that the dub will. Of other footage only the part around the
    frame is looked at, for the sake of time; the head's pose then differs a little, and the light may. Something in
    front of the mouth is not noticed, for that takes the whole clip, and nothing is faded.

    Returns:
        ``output_path``; ``reason`` for which the frame keeps the footage's pixels, see
        :func:`s2l_core.verbs.dub.dub`, or empty; ``preview_seconds``.

    Raises:
        BadJob: The dub has fewer frames.
        Speech2LipError: What is wrong with the files, as in :func:`s2l_core.verbs.dub.dub`.
    """
    dub = job.dub
    with reserved(job.output_path, *files_of(dub.footage), *sources(dub.voice), dub.speaker_path, dub.landmarks):
        return _preview(job, report or Report())


def _preview(job: PreviewJob, report: Report) -> dict[str, Any]:
    started, dub = time.monotonic(), job.dub
    device = choose_device(dub.device)
    speaker = SpeakerModel.load(dub.speaker_path, device)
    open_speech_source(speaker, dub.speech_network)
    speech = read_voice(dub.voice)
    footage = open_footage(_part_to_look_at(job, speaker), dub.landmarks, speaker, device, report)
    frames = DubFrames(replace(dub, encoding=_PICTURE), speaker, footage, speech, read_context(dub.voice))
    if job.frame >= len(frames):
        raise BadJob(f"There is no frame {job.frame} to preview: the dub has {len(frames)}.")

    reason = frames.assess_frame(job.frame, report)
    (picture,) = frames.read(range(job.frame, job.frame + 1))
    write_picture(Path(job.output_path), picture, _PICTURE, footage.info.raster.aspect)
    return {"output_path": job.output_path, "reason": reason, "preview_seconds": time.monotonic() - started}


def _part_to_look_at(job: PreviewJob, speaker: SpeakerModel) -> Media:
    """The footage, whole where that costs nothing or where there are no moments to tell what is shown."""
    footage, moments = job.dub.footage, job.dub.moments
    if job.frame >= len(moments) or is_prepared(footage, job.dub.landmarks, speaker.known_head):
        return footage
    start = max(footage.start, moments[job.frame] - _AROUND_SECONDS)
    end = moments[job.frame] + _AROUND_SECONDS
    return replace(footage, start=start, end=end if footage.end is None else min(end, footage.end))
