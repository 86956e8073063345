"""Held-out frames: what opens them as ``dub`` does, and what is measured on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..canonical.view import CanonicalFace
from ..errors import PerceptionUnavailable
from ..events import Report
from ..footage import Footage, prepare
from ..jobs import Media, TrainJob
from ..media.audio import SPEECH_RATE
from ..media.mix import Context, read_context, read_voice
from ..model.perception import Lpips, load_lpips
from ..model.speaker import SpeakerModel
from ..subsampling import evenly_spaced
from .drivers import Driver, canonical_lips, dub_driver, painted
from .evaluator import Evaluator

_MEAN_FRAMES = 200
_OTHER_SOUNDS = 3


def open_span(
    job: TrainJob, speaker: SpeakerModel, span: tuple[float, float], report: Report
) -> tuple[Footage, NDArray[np.float32], Context]:
    """A span of a speaker's training footage, its speech (n,) at 16 kHz and what is heard around that, as ``dub`` opens
    them when it gets no more.

    Args:
        job: The training.
        speaker: On the device to compute on.
        span: First and last second from the start of the medium.
        report: Told the progress.
    """
    device = next(speaker.lip.parameters()).device.type
    media = replace(job.footage, start=span[0], end=span[1])
    footage = prepare(media, job.landmarks, device, report, known=speaker.known_head, identity=speaker.identity)
    voice = part_of_voice(job.voice or job.footage, job.footage, span)
    return footage, read_voice(voice), read_context(voice)


def part_of_voice(voice: Media, footage: Media, span: tuple[float, float]) -> Media:
    """The part of a voice that is heard in a span of its footage."""
    start, end = (voice.start + moment - footage.start for moment in span)
    return replace(voice, start=max(0.0, start), end=end)


def measure(
    evaluator: Evaluator,
    speaker: SpeakerModel,
    footage: Footage,
    speech: NDArray[np.float32],
    context: Context,
    average: Tensor,
) -> dict[str, Any]:
    """Compare what ``dub`` makes of held-out frames, driven by their own sound, with the real ones, before encoding.

    Args:
        evaluator: Of the held-out frames.
        speaker: On the device to compute on.
        footage: The evaluator's.
        speech: (n,) at 16 kHz from the start of the footage's span.
        context: What is heard around it.
        average: (3, h, w) the mean of the training lips, which whoever moves the mouth must beat.

    Returns:
        The columns of :meth:`.evaluator.Evaluator.measure`; ``mean_image_psnr``, the ``mouth_psnr`` of the mean of the
        training lips; ``opening_ratio``, another name of ``articulation``; ``frames``; ``mouth_box_px``, the mean width
        and height of the mouth box.
    """
    columns = evaluator.measure(dub_driver(speaker, footage, speech, Report(), context), speech)
    still = painted(speaker.face, footage, lambda seen, times: average.expand_as(seen))
    return {
        **columns,
        "mean_image_psnr": evaluator.mouth_psnr(still),
        "opening_ratio": columns["articulation"],
        "frames": len(evaluator.indices),
        "mouth_box_px": evaluator.mouth_box_px,
    }


def measure_driving(
    evaluator: Evaluator,
    drive: Callable[[NDArray[np.float32], bool], Driver],
    sounds: Sequence[NDArray[np.float32]],
) -> dict[str, float]:
    """Drive the held-out frames with silence and with sounds that are not their own.

    Args:
        evaluator: Of the held-out frames.
        drive: Speech (n,) from the start of the footage's span, and whether nothing but speech may drive, to a driver.
        sounds: Other speech at 16 kHz, as long as the held-out part.

    Returns:
        ``silence_motion``: share of the frames whose opening is farther than 1 % of the face's height from its median
        on digital silence. ``leakage``: correlation of the generated opening with the base video's own, mean over the
        sounds. ``leakage_audio_only``: the same without look and Blend-Net, which is what chance and the landmark
        model's guess from the rest of the face come to.
    """

    def leakage(audio_only: bool) -> float:
        return float(np.mean([evaluator.leakage(drive(evaluator.say(sound), audio_only)) for sound in sounds]))

    return {
        "silence_motion": evaluator.moving_share(drive(evaluator.say(np.zeros_like(sounds[0])), False)),
        "leakage": leakage(audio_only=False),
        "leakage_audio_only": leakage(audio_only=True),
    }


def other_sounds(speech: NDArray[np.float32], end: float, seconds: float) -> list[NDArray[np.float32]]:
    """Excerpts of a length in seconds from the training part of speech (n,) at 16 kHz, which ends at ``end``, evenly
    spaced: with them a voice that fits the face says what does not fit the frames.
    """
    length = round(seconds * SPEECH_RATE)
    starts = np.linspace(0, max(0, round(end * SPEECH_RATE) - length), _OTHER_SOUNDS).astype(int)
    return [speech[start : start + length] for start in starts]


def mean_lips(face: CanonicalFace, footage: Footage, span: tuple[float, float]) -> Tensor:
    """The mean (3, h, w) of the canonical lips of some frames from the first to the second moment of a span, in seconds
    from the start of the medium.
    """
    usable = np.flatnonzero(footage.track.found & (footage.times >= span[0]) & (footage.times < span[1]))
    lips = canonical_lips(face, footage, usable[evenly_spaced(len(usable), _MEAN_FRAMES)])
    return lips.float().mean(dim=0) / 255


def available_lpips(device: torch.device, report: Report) -> Lpips | None:
    """LPIPS where its weights are installed; otherwise ``report`` is told why there is none."""
    try:
        return load_lpips().to(device)
    except PerceptionUnavailable as reason:
        report.log("info", f"{reason.message} The column lpips is left out.")
        return None
