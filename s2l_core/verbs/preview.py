"""The verb ``preview``: renders a single frame of a dub."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

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
from ..results import PreviewResult

_AROUND_SECONDS = 0.4
_PICTURE = Encoding("png")


def preview(job: PreviewJob, report: Report | None = None) -> PreviewResult:
    """Write one frame of a dub as a PNG file. It shows the whole picture, even if the dub has the layer ``"mouth"``.

    If the footage has been tracked before, the frame equals that of the dub. Otherwise only the seconds around the
    frame are tracked, to save time: the head pose then differs slightly, and the light may. Occlusion of the mouth is
    not detected, since that takes the whole clip, and frames next to undubbed ones are not blended.

    Raises:
        BadJob: The dub has no such frame.
        Speech2LipError: A file cannot be used, as in :func:`s2l_core.verbs.dub.dub`.
    """
    dub = job.dub
    with reserved(job.output_path, *files_of(dub.footage), *sources(dub.voice), dub.speaker_path, dub.landmarks):
        return _preview(job, report or Report())


def _preview(job: PreviewJob, report: Report) -> PreviewResult:
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
    """The part of the footage to track: all of it if it has been tracked, or if the job names no moments; else the
    seconds around the frame.
    """
    footage, moments = job.dub.footage, job.dub.moments
    if job.frame >= len(moments) or is_prepared(footage, job.dub.landmarks, speaker.known_head):
        return footage
    start = max(footage.start, moments[job.frame] - _AROUND_SECONDS)
    end = moments[job.frame] + _AROUND_SECONDS
    return replace(footage, start=start, end=end if footage.end is None else min(end, footage.end))
