"""Opening held-out frames as ``dub`` does, and measuring what it renders for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

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
from ..results import DrivingMeasures, HeldOutMeasures
from ..subsampling import evenly_spaced
from .drivers import Driver, canonical_lips, dub_driver, painted
from .evaluator import Evaluator

_EVERY, _MOST_TRAINING_LIPS = 3, 1000
_OTHER_SOUNDS = 3


def open_span(
    job: TrainJob, speaker: SpeakerModel, span: tuple[float, float], report: Report
) -> tuple[Footage, NDArray[np.float32], Context]:
    """Open a span of a speaker's training footage as ``dub`` does if the job names only this span.

    Returns the footage, its speech (n,) at 16 kHz, and the sound around it.

    Args:
        job: The training job.
        speaker: The speaker, on the device to compute on.
        span: First and last second of the medium.
        report: Receives the progress.
    """
    device = next(speaker.lip.parameters()).device.type
    media = replace(job.footage, start=span[0], end=span[1])
    footage = prepare(media, job.landmarks, device, report, known=speaker.known_head, identity=speaker.identity)
    voice = part_of_voice(job.voice or job.footage, job.footage, span)
    return footage, read_voice(voice), read_context(voice)


def part_of_voice(voice: Media, footage: Media, span: tuple[float, float]) -> Media:
    """The part of a voice that belongs to a span of its footage, in seconds of the medium."""
    start, end = (voice.start + moment - footage.start for moment in span)
    return replace(voice, start=max(0.0, start), end=end)


def measure(
    evaluator: Evaluator,
    speaker: SpeakerModel,
    footage: Footage,
    speech: NDArray[np.float32],
    context: Context,
    average: Tensor,
) -> HeldOutMeasures:
    """Compare the frames that ``dub`` renders for a held-out span, driven by its own sound and before encoding, with
    the real ones.

    Args:
        evaluator: Holds the real frames.
        speaker: The speaker, on the device to compute on.
        footage: The footage of the evaluator.
        speech: (n,) at 16 kHz from the start of the footage's span.
        context: The sound around it.
        average: (3, h, w) mean of the training lips, the baseline that a moving mouth must exceed.
    """
    measures = evaluator.measure(dub_driver(speaker, footage, speech, Report(), context), speech)
    still = painted(speaker.face, footage, lambda seen, times: average.expand_as(seen))
    return {
        **measures,
        "mean_image_psnr": evaluator.mouth_psnr(still),
        "opening_ratio": measures["articulation"],
        "frames": len(evaluator.indices),
        "mouth_box_px": evaluator.mouth_box_px,
    }


def measure_driving(
    evaluator: Evaluator,
    drive: Callable[[NDArray[np.float32], bool], Driver],
    sounds: Sequence[NDArray[np.float32]],
) -> DrivingMeasures:
    """Measure a driver on silence and on speech that does not belong to the held-out frames.

    Args:
        evaluator: Holds the real frames.
        drive: Makes a driver from speech (n,) that begins with the footage's span; the second argument leaves out look
            model and Blend-Net.
        sounds: Other speech at 16 kHz, as long as the held-out part.

    Returns:
        The measures. A frame counts as moving if the opening deviates from its median by more than 1% of the face's
        height; leakage is a mean over the sounds.
    """

    def leakage(audio_only: bool) -> float:
        return float(np.mean([evaluator.leakage(drive(evaluator.say(sound), audio_only)) for sound in sounds]))

    return {
        "silence_motion": evaluator.moving_share(drive(evaluator.say(np.zeros_like(sounds[0])), False)),
        "leakage": leakage(audio_only=False),
        "leakage_audio_only": leakage(audio_only=True),
    }


def other_sounds(speech: NDArray[np.float32], end: float, seconds: float) -> list[NDArray[np.float32]]:
    """Evenly spaced excerpts of ``seconds`` seconds from the first ``end`` seconds of speech (n,) at 16 kHz: the
    speaker's own voice with words that the held-out frames do not show.
    """
    length = round(seconds * SPEECH_RATE)
    starts = np.linspace(0, max(0, round(end * SPEECH_RATE) - length), _OTHER_SOUNDS).astype(int)
    return [speech[start : start + length] for start in starts]


def training_lips(face: CanonicalFace, footage: Footage, span: tuple[float, float]) -> Tensor:
    """Canonical lips uint8 (n, 3, h, w) of every third frame, but at most 1000, of a span in seconds of the medium."""
    usable = np.flatnonzero(footage.track.found & (footage.times >= span[0]) & (footage.times < span[1]))[::_EVERY]
    return canonical_lips(face, footage, usable[evenly_spaced(len(usable), _MOST_TRAINING_LIPS)])


def available_lpips(device: torch.device, report: Report) -> Lpips | None:
    """LPIPS if its weights are installed; otherwise a log message says why not, and None is returned."""
    try:
        return load_lpips().to(device)
    except PerceptionUnavailable as reason:
        report.log("info", f"{reason.message} LPIPS is not measured.")
        return None
