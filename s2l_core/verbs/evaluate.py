"""A speaker measured on footage that it has not seen: driven by the footage's own sound, against the real frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..device import choose_device
from ..errors import BadJob
from ..evaluation.drivers import Driver, dub_driver, speaker_driver, written
from ..evaluation.evaluator import Evaluator
from ..evaluation.held_out import (
    available_lpips,
    mean_lips,
    measure,
    measure_driving,
    open_span,
    other_sounds,
    part_of_voice,
)
from ..events import Report
from ..face.landmarks import INSTALLED
from ..files import temporary_folder
from ..footage import fingerprint_media, heard_beside, prepare
from ..jobs import DubJob, EvaluateJob
from ..media.audio import read_speech
from ..media.video import probe
from ..model.origin import Origin, read_origin
from ..model.speaker import SpeakerModel
from ..mouth.rendering import open_speech_source
from .dub import dub


def evaluate(job: EvaluateJob, report: Report | None = None) -> dict[str, Any]:
    """Measure a speaker on the held-out part of its training footage: what ``dub`` makes of that span alone, with its
    defaults, driven by its own sound.

    Returns:
        As :func:`s2l_core.evaluation.held_out.measure` before encoding, with
        :func:`s2l_core.evaluation.held_out.measure_driving`; ``lpips`` only where its weights are; and the columns of
        :meth:`s2l_core.evaluation.evaluator.Evaluator.measure` for three other ways of rendering: ``h264``, of the
        movie that is written with the default encoding; ``whole_clip``, where all of the footage is dubbed and its
        held-out part measured; and ``renderer_alone``, the same without what ``dub`` does in silence and in frames
        whose mouth cannot be seen.

    Raises:
        BadJob: The footage is not the one that the speaker was trained on.
        Speech2LipError: What is wrong with the files; see :mod:`s2l_core.errors`.
    """
    report = report or Report()
    device = choose_device(job.device)
    speaker = SpeakerModel.load(job.speaker_path, device)
    origin = _origin(job, speaker)
    trained = origin.job
    open_speech_source(speaker, job.speech_network)
    media, voice = trained.footage, trained.voice or trained.footage
    probe(media)
    if fingerprint_media(media, report) != speaker.origin.get("fingerprint"):
        raise BadJob(f"{media.path} is not the footage that {job.speaker_path} was trained on.")
    whole = prepare(media, trained.landmarks, device.type, report, known=speaker.known_head, identity=speaker.identity)
    footage, said, context = open_span(trained, speaker, origin.held_out, report)
    perception = available_lpips(device, report)
    evaluator = Evaluator(footage, speaker.face, origin.held_out, perception=perception, report=report)
    columns = measure(evaluator, speaker, footage, said, context, mean_lips(speaker.face, whole, origin.train))

    def drive(sound: NDArray[np.float32], audio_only: bool) -> Driver:
        if audio_only:
            return speaker_driver(speaker, footage, sound, audio_only)
        return dub_driver(speaker, footage, sound, report)

    speech = read_speech(heard_beside(voice, whole.seconds))
    sounds = other_sounds(speech, origin.train[1] - media.start, evaluator.seconds)
    driven = measure_driving(evaluator, drive, sounds)
    with temporary_folder() as folder:
        movie, line = str(folder / "dub.mp4"), part_of_voice(voice, media, origin.held_out)
        moments = tuple(footage.times.tolist())
        dubbed = DubJob(job.speaker_path, footage.media, line, movie, moments=moments, device=job.device)
        dub(replace(dubbed, landmarks=trained.landmarks), report)
        encoded = evaluator.measure(written(speaker.face, movie, footage), said)
    in_whole = Evaluator(whole, speaker.face, origin.held_out, perception=perception, report=report)
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
