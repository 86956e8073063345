"""Parts of a dub: its frames without the encoder, and what is computed for frames that are in memory."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from s2l_core.ahead import MOST_WORKERS, in_order
from s2l_core.device import choose_device, finish, one_thread
from s2l_core.events import Report
from s2l_core.jobs import DubJob
from s2l_core.media.mix import read_context, read_voice
from s2l_core.model.speaker import SpeakerModel
from s2l_core.mouth.dub_frames import DubFrames, open_footage
from s2l_core.mouth.rendering import BATCH

from .stages import Stopwatch

_HELD = 64
"""Frames that are held in memory."""


def open_frames(job: DubJob, report: Report) -> tuple[DubFrames, torch.device]:
    """The frames of a dub, and the device on which they are computed."""
    device = choose_device(job.device)
    speaker = SpeakerModel.load(job.speaker_path, device)
    footage = open_footage(job.footage, job.landmarks, speaker, device, report)
    frames = DubFrames(job, speaker, footage, read_voice(job.voice), read_context(job.voice))
    frames.assess(report)
    return frames, device


def without_encode(job: DubJob, watch: Stopwatch, report: Report) -> dict[str, Any]:
    """Render all frames as they are written; time begins when the frames have been judged."""
    frames, _ = open_frames(job, report)
    watch.reset()
    return {"frames": sum(1 for _ in frames.read(range(len(frames))))}


def network_only(job: DubJob, watch: Stopwatch, report: Report) -> dict[str, Any]:
    """Render the mouths of frames that are in memory, at least as many as the dub has frames, in batches on all cores,
    as a dub does.
    """
    frames, device = open_frames(job, report)
    first = frames.indices[:_HELD]
    held = [frame.image for frame in itertools.islice(frames.footage.frames(int(first[0])), len(first))]
    size, cores = min(BATCH, len(held)), min(torch.get_num_threads(), MOST_WORKERS)
    starts = itertools.cycle(range(0, len(held) - size + 1, size))

    def render(start: int) -> int:
        return len(frames.dubbed(held[start : start + size], np.arange(start, start + size)))

    render(0)
    finish(device)
    watch.reset()
    with one_thread():
        done = sum(in_order(render, itertools.islice(starts, -(-len(frames) // size)), cores))
    finish(device)
    return {"frames": done}
