"""The verb ``evaluate``: measures a speaker on footage that it was not trained on, driven by that footage's sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..device import choose_device
from ..errors import BadJob
from ..evaluation.drivers import Driver, dub_driver, speaker_driver, written
from ..evaluation.evaluator import Evaluator
from ..evaluation.held_out import (
    available_lpips,
    measure,
    measure_driving,
    open_span,
    other_sounds,
    part_of_voice,
    training_lips,
)
from ..events import Report
from ..face.landmarks import INSTALLED
from ..files import temporary_folder
from ..footage import Footage, fingerprint_media, heard_beside, prepare
from ..jobs import DubJob, EvaluateJob
from ..media.audio import open_audio, read_speech
from ..media.video import probe
from ..model.origin import Origin, read_origin
from ..model.speaker import SpeakerModel
from ..mouth.line_codes import open_speech_source
from ..results import EvaluateResult
from .dub import dub


def evaluate(job: EvaluateJob, report: Report | None = None) -> EvaluateResult:
    """Measure a speaker on the held-out part of its training footage: what ``dub`` renders for that span alone, with
    its defaults, driven by the span's own sound.

    Raises:
        BadJob: The footage is not the one that the speaker was trained on.
        Speech2LipError: A file cannot be used; see :mod:`s2l_core.errors`.
    """
    # Open the speaker, and make sure that the footage is the one that it was trained on.
    report = report or Report()
    device = choose_device(job.device)
    speaker = SpeakerModel.load(job.speaker_path, device)
    origin = _origin(job, speaker)
    trained = origin.job
    open_speech_source(speaker, job.speech_network)
    media, voice = trained.footage, trained.voice or trained.footage
    probe(media)
    open_audio(part_of_voice(voice, media, origin.held_out))  # a voice that ends before the span is refused at once
    if fingerprint_media(media, report) != speaker.origin.get("fingerprint"):
        raise BadJob(f"{media.path} is not the footage that {job.speaker_path} was trained on.")
    # Measure a dub of the held-out span alone, before encoding.
    whole = prepare(media, trained.landmarks, device.type, report, known=speaker.known_head, identity=speaker.identity)
    footage, said, context = open_span(trained, speaker, origin.held_out, report)
    perception = available_lpips(device, report)
    lips = training_lips(speaker.face, whole, origin.train)

    def evaluator_of(clip: Footage) -> Evaluator:
        return Evaluator(clip, speaker.face, origin.held_out, perception=perception, training_lips=lips, report=report)

    evaluator = evaluator_of(footage)
    measures = measure(evaluator, speaker, footage, said, context, lips.float().mean(dim=0) / 255)

    # Drive it with silence and with other words, which must neither move the mouth nor follow the footage.
    def drive(sound: NDArray[np.float32], audio_only: bool) -> Driver:
        if audio_only:
            return speaker_driver(speaker, footage, sound, audio_only)
        return dub_driver(speaker, footage, sound, report)

    speech = read_speech(heard_beside(voice, whole.seconds))
    sounds = other_sounds(speech, origin.train[1] - media.start, evaluator.seconds)
    driven = measure_driving(evaluator, drive, sounds)
    # Measure the encoded movie, and a dub of the whole footage.
    with temporary_folder() as folder:
        movie, line = str(folder / "dub.mp4"), part_of_voice(voice, media, origin.held_out)
        moments = tuple(footage.times.tolist())
        dubbed = DubJob(job.speaker_path, footage.media, line, movie, moments=moments, device=job.device)
        dub(replace(dubbed, landmarks=trained.landmarks), report)
        encoded = evaluator.measure(written(speaker.face, movie, footage), said)
    in_whole = evaluator_of(whole)
    return {
        **measures,
        **driven,
        "h264": encoded,
        "whole_clip": in_whole.measure(dub_driver(speaker, whole, speech, report), speech),
        "renderer_alone": in_whole.measure(speaker_driver(speaker, whole, speech), speech),
    }


def _origin(job: EvaluateJob, speaker: SpeakerModel) -> Origin:
    """The training that a speaker file states, with the paths of footage and sound that the job names instead.

    Raises:
        BadJob: The file states no training, or names a landmark model that the user did not name.
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
            "If you trust that model file, name it with --landmarks.",
        )
    return replace(origin, job=trained)
