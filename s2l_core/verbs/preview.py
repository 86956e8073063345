"""The verb ``preview``: renders a single frame of a dub or a still."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..consent_ledger import refuse_ended
from ..credentials.signing import refuse_unusable_key
from ..device import choose_device
from ..errors import BadJob
from ..events import Report
from ..files import reserved, state_of
from ..footage import is_prepared
from ..jobs import DubJob, Encoding, Media, PreviewJob, StillJob, refuse_without_consent
from ..media.held_frames import held_frames
from ..media.mix import read_context, read_voice, sources
from ..media.pictures import write_picture
from ..media.planes import in_rgb
from ..media.sequence import files_of
from ..media.single_picture import read_single_picture
from ..model.speaker import SpeakerModel
from ..mouth.dub_frames import DubFrames, open_footage
from ..mouth.line_codes import open_speech_source
from ..results import PreviewResult
from ..stills.still_frames import StillFrames
from .marking import claim_of_dubbed_frame, claim_of_still
from .still import files_read

_AROUND_SECONDS = 0.4
_PICTURE = Encoding("png")


def preview(job: PreviewJob, report: Report | None = None) -> PreviewResult:
    """Write one frame of a dub or a still as a PNG file. It shows the whole picture, even if the job has the layer
    ``"mouth"``. The frame of a still equals that which is written.

    If the footage of a dub has been tracked before, the frame equals that of the dub. Otherwise only the seconds around
    the frame are tracked, to save time: the head pose then differs slightly, and the light may. Occlusion of the mouth
    is not detected, since that takes the whole clip, and frames next to undubbed ones are not blended.

    Raises:
        BadJob: The dub or the still has no such frame.
        ConsentMissing: The still does not state that the person agreed.
        Speech2LipError: A file cannot be used, as in :func:`s2l_core.verbs.dub.dub` or
            :func:`s2l_core.verbs.still.still`.
    """
    dub, report = job.dub, report or Report()
    refuse_unusable_key()
    if isinstance(dub, StillJob):
        refuse_without_consent(dub)
        with reserved(job.output_path, *files_read(dub)):
            return _preview_still(dub, job.frame, job.output_path, report)
    with reserved(job.output_path, *files_of(dub.footage), *sources(dub.voice), dub.speaker_path, dub.landmarks):
        return _preview_dub(dub, job.frame, job.output_path, report)


def _preview_still(still: StillJob, frame: int, output_path: str, report: Report) -> PreviewResult:
    started = time.monotonic()
    source = read_single_picture(still.picture)
    device = choose_device(still.device)
    speech = read_voice(still.voice)
    frames = StillFrames(still, source, speech, read_context(still.voice), device.type, report)
    _refuse_frame(frame, len(frames))
    claim = claim_of_still(still, frames.box)
    credentials = write_picture(Path(output_path), frames.render(frame), _PICTURE, source.raster.aspect, claim)
    return _result(output_path, credentials, "", started)


def _preview_dub(dub: DubJob, frame: int, output_path: str, report: Report) -> PreviewResult:
    started = time.monotonic()
    device = choose_device(dub.device)
    speaker = _open_once(dub.speaker_path, device)
    open_speech_source(speaker, dub.speech_network)
    speech = read_voice(dub.voice)
    with ExitStack() as opened:
        if (part := _part_to_look_at(dub, frame, speaker)) is None:
            footage = open_footage(dub.footage, dub.landmarks, speaker, device, report)
        else:
            opened.enter_context(held_frames(part))
            footage = open_footage(part, dub.landmarks, speaker, device, report, margin=0.0)
        png = replace(dub, encoding=_PICTURE)
        frames = DubFrames(png, speaker, footage, speech, read_context(dub.voice), only=frame)
        _refuse_frame(frame, len(frames))

        reason = frames.assess_frame(frame, report)
        (picture,) = frames.read(range(frame, frame + 1))
    claim = None if reason else claim_of_dubbed_frame(dub, speaker)
    credentials = write_picture(Path(output_path), in_rgb(picture), _PICTURE, footage.info.raster.aspect, claim)
    return _result(output_path, credentials, reason, started)


def _result(output_path: str, credentials: str, reason: str, started: float) -> PreviewResult:
    seconds = time.monotonic() - started
    return {"output_path": output_path, "credentials": credentials, "reason": reason, "preview_seconds": seconds}


def _refuse_frame(frame: int, count: int) -> None:
    if frame >= count:
        raise BadJob(f"There is no frame {frame} to preview: the dub has {count}.")


def _part_to_look_at(dub: DubJob, frame: int, speaker: SpeakerModel) -> Media | None:
    """The part of the footage to track: the seconds around the frame. None means all of it, if it has been tracked, or
    if the dub names no moments.
    """
    footage, moments = dub.footage, dub.moments
    if frame >= len(moments) or is_prepared(footage, dub.landmarks, speaker.known_head):
        return None
    start = max(footage.start, moments[frame] - _AROUND_SECONDS)
    end = moments[frame] + _AROUND_SECONDS
    return replace(footage, start=start, end=end if footage.end is None else min(end, footage.end))


_opened: dict[tuple[Any, ...], SpeakerModel] = {}


def _open_once(path: str, device: torch.device) -> SpeakerModel:
    """The speaker of a job. It stays open for the next preview, unless its file changes."""
    key = path, str(device), state_of(path)
    if key not in _opened:
        _opened.clear()
        _opened[key] = SpeakerModel.load(path, device)
    refuse_ended(path, _opened[key].consent_hash)
    return _opened[key]
