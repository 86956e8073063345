"""A speaker measured on footage that it has not seen: driven by the footage's own sound, against the real frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..canonical import CanonicalFace
from ..device import choose_device
from ..dubbing import dub
from ..errors import BadJob, PerceptionUnavailable
from ..events import Report
from ..face.landmarks import INSTALLED
from ..files import temporary_folder
from ..footage import Footage, fingerprint_media, heard_beside, prepare
from ..jobs import DubJob, EvaluateJob, Media, TrainJob
from ..media.audio import SPEECH_RATE, read_speech
from ..media.mix import Context, read_context, read_voice
from ..media.video import probe
from ..model.look import evenly
from ..model.origin import Origin, read_origin
from ..model.perception import Lpips, load_lpips
from ..model.speaker import SpeakerModel
from ..rendering import open_hearing
from .drivers import Driver, canonical_lips, dub_driver, painted, speaker_driver, written
from .ruler import Ruler

_MEAN_FRAMES = 200
_OTHER_SOUNDS = 3


def evaluate(job: EvaluateJob, report: Report | None = None) -> dict[str, Any]:
    """Measure a speaker on the held-out part of its training footage: what ``dub`` makes of that span alone, with its
    defaults, driven by its own sound.

    Returns:
        As :func:`measure` before encoding, with :func:`measure_driving`; ``lpips`` only where its weights are; and the
        columns of :meth:`.ruler.Ruler.measure` for three other ways: ``h264``, of the movie that is written with the
        default encoding; ``whole_clip``, where all of the footage is dubbed and its held-out part measured; and
        ``renderer_alone``, the same without what ``dub`` does in silence and in frames whose mouth cannot be seen.

    Raises:
        BadJob: The footage is not the one that the speaker was trained on.
        Speech2LipError: What is wrong with the files; see :mod:`s2l_core.errors`.
    """
    report = report or Report()
    device = choose_device(job.device)
    speaker = SpeakerModel.load(job.speaker_path, device)
    origin = _origin(job, speaker)
    trained = origin.job
    open_hearing(speaker, job.speech_network)
    media, voice = trained.footage, trained.voice or trained.footage
    probe(media)
    if fingerprint_media(media, report) != speaker.origin.get("fingerprint"):
        raise BadJob(f"{media.path} is not the footage that {job.speaker_path} was trained on.")
    whole = prepare(media, trained.landmarks, device.type, report, known=speaker.known_head, identity=speaker.identity)
    footage, said, context = open_span(trained, speaker, origin.held_out, report)
    perception = available_lpips(device, report)
    ruler = Ruler(footage, speaker.face, origin.held_out, perception=perception, report=report)
    columns = measure(ruler, speaker, footage, said, context, mean_lips(speaker.face, whole, origin.train))

    def drive(sound: NDArray[np.float32], audio_only: bool) -> Driver:
        if audio_only:
            return speaker_driver(speaker, footage, sound, audio_only)
        return dub_driver(speaker, footage, sound, report)

    speech = read_speech(heard_beside(voice, whole.seconds))
    sounds = other_sounds(speech, origin.train[1] - media.start, ruler.seconds)
    driven = measure_driving(ruler, drive, sounds)
    with temporary_folder() as folder:
        movie, line = str(folder / "dub.mp4"), _part(voice, media, origin.held_out)
        moments = tuple(footage.times.tolist())
        dubbed = DubJob(job.speaker_path, footage.media, line, movie, moments=moments, device=job.device)
        dub(replace(dubbed, landmarks=trained.landmarks), report)
        encoded = ruler.measure(written(speaker.face, movie, footage), said)
    in_whole = Ruler(whole, speaker.face, origin.held_out, perception=perception, report=report)
    return {
        **columns,
        **driven,
        "h264": encoded,
        "whole_clip": in_whole.measure(dub_driver(speaker, whole, speech, report), speech),
        "renderer_alone": in_whole.measure(speaker_driver(speaker, whole, speech), speech),
    }


def _origin(job: EvaluateJob, speaker: SpeakerModel) -> Origin:
    """What the file of a speaker says of its training, with footage and sound where the user says that they are.

    Raises:
        BadJob: It says nothing of it, or names a landmark model that the user did not name.
    """
    try:
        origin = read_origin(speaker.origin)
    except ValueError as error:
        raise BadJob(f"{job.speaker_path} does not say what it was trained on.") from error
    trained = origin.job
    if job.footage is not None:
        given = job.footage
        media = replace(
            trained.footage, path=given.path, pictures=given.pictures, rate=given.rate or trained.footage.rate
        )
        trained = replace(trained, footage=media)
    if job.voice is not None:
        trained = replace(trained, voice=job.voice)
    if job.landmarks:
        trained = replace(trained, landmarks=job.landmarks)
    elif trained.landmarks not in INSTALLED:
        raise BadJob(
            f"{job.speaker_path} was trained with the landmark model {trained.landmarks}.",
            "If you trust that file, name it with --landmarks.",
        )
    return replace(origin, job=trained)


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
    voice = _part(job.voice or job.footage, job.footage, span)
    return footage, read_voice(voice), read_context(voice)


def _part(voice: Media, footage: Media, span: tuple[float, float]) -> Media:
    """The part of a voice that is heard in a span of its footage."""
    start, end = (voice.start + moment - footage.start for moment in span)
    return replace(voice, start=max(0.0, start), end=end)


def measure(
    ruler: Ruler,
    speaker: SpeakerModel,
    footage: Footage,
    speech: NDArray[np.float32],
    context: Context,
    average: Tensor,
) -> dict[str, Any]:
    """Compare what ``dub`` makes of held-out frames, driven by their own sound, with the real ones, before encoding.

    Args:
        ruler: Of the held-out frames.
        speaker: On the device to compute on.
        footage: The ruler's.
        speech: (n,) at 16 kHz from the start of the footage's span.
        context: What is heard around it.
        average: (3, h, w) the mean of the training lips, which whoever moves the mouth must beat.

    Returns:
        The columns of :meth:`.ruler.Ruler.measure`; ``mean_image_psnr``, which is ``mouth_psnr`` for the mean of the
        training lips; ``opening_ratio``, another name of ``articulation``; ``frames``; ``mouth_box_px``, the mean width
        and height of the mouth box.
    """
    columns = ruler.measure(dub_driver(speaker, footage, speech, Report(), context), speech)
    still = painted(speaker.face, footage, lambda seen, times: average.expand_as(seen))
    return {
        **columns,
        "mean_image_psnr": ruler.mouth_psnr(still),
        "opening_ratio": columns["articulation"],
        "frames": len(ruler.indices),
        "mouth_box_px": ruler.mouth_box_px,
    }


def measure_driving(
    ruler: Ruler, drive: Callable[[NDArray[np.float32], bool], Driver], sounds: Sequence[NDArray[np.float32]]
) -> dict[str, float]:
    """Drive the held-out frames with silence and with sounds that are not their own.

    Args:
        ruler: Of the held-out frames.
        drive: Speech (n,) from the start of the footage's span, and whether nothing but speech may drive, to a driver.
        sounds: Other speech at 16 kHz, as long as the held-out part.

    Returns:
        ``silence_motion``: share of the frames whose opening is farther than 1 % of the face's height from its median
        on digital silence. ``leakage``: correlation of the generated opening with the base video's own, mean over the
        sounds. ``leakage_audio_only``: the same without look and Blend-Net, which is what chance and the landmark
        model's guess from the rest of the face come to.
    """

    def leakage(audio_only: bool) -> float:
        return float(np.mean([ruler.leakage(drive(ruler.say(sound), audio_only)) for sound in sounds]))

    return {
        "silence_motion": ruler.moving_share(drive(ruler.say(np.zeros_like(sounds[0])), False)),
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
    lips = canonical_lips(face, footage, usable[evenly(len(usable), _MEAN_FRAMES)])
    return lips.float().mean(dim=0) / 255


def available_lpips(device: torch.device, report: Report) -> Lpips | None:
    """LPIPS where its weights are installed; otherwise ``report`` is told why there is none."""
    try:
        return load_lpips().to(device)
    except PerceptionUnavailable as reason:
        report.log("info", f"{reason.message} The column lpips is left out.")
        return None
