"""Training one speaker: look, learn how speech moves the lips, learn how they appear, measure, write."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..cache import Cache
from ..canonical.regions import lip_shape_size
from ..canonical.view import canonical_frame, choose_canonical
from ..device import choose_device
from ..errors import TooFewFaces
from ..evaluation.evaluator import Evaluator
from ..evaluation.held_out import measure, open_span
from ..events import Report
from ..files import reserved
from ..footage import Footage, heard_beside, prepare, refuse_untrainable, told_seconds
from ..jobs import Architecture, TrainJob, refuse_without_consent, to_document
from ..media.audio import measure_level, read_sample_rate, read_speech, refuse_unusable
from ..media.mix import tell_tracks
from ..media.sequence import files_of
from ..media.video import probe
from ..model.speaker import SpeakerModel
from ..speech.features import HOP_SECONDS
from ..speech.named_networks import name_network
from ..speech.sources import LOG_MEL, files_of_source, open_source, split_source
from ..speech.synchrony import refuse_foreign
from ..training.appearance import appearance_stages
from ..training.checkpoint import Checkpoint
from ..training.clip import Clip, observe
from ..training.head_depth import learn_depth
from ..training.holes import learn_holes
from ..training.initialisation import PrincipalLips, find_principal_lips, fit_look
from ..training.loop import Loop
from ..training.pauses import learn_pauses
from ..training.portrait import take_portrait
from ..training.presets import PRESETS, Preset
from ..training.speech import fit_speech, predict_openings, speech_stage
from ..training.split import ensure_watched_faces, split_footage
from ..training.sync_teacher import learn_sync
from ..training.validation import Validation
from ..version import VERSION

_LEAST_HELD_OUT_SHARE = 0.2


def train(job: TrainJob, report: Report | None = None, preset: Preset | None = None) -> dict[str, Any]:
    """Learn the speaker of ``job.footage`` and write ``job.speaker_path``.

    The last tenth of the footage is not trained on, nor is the second before it; the speaker is measured there.
    A training that is interrupted goes on where it was when the same job comes again.

    Args:
        job: What to learn from, and where to write the speaker.
        report: Told the progress.
        preset: How to train, instead of the preset that the job names.

    Returns:
        ``speaker_path``, ``name``, ``frames``, ``prepare_seconds``, ``train_seconds``, ``speaker_file_bytes`` and
        ``held_out`` as :func:`s2l_core.verbs.evaluate.evaluate` measures it.

    Raises:
        ConsentMissing: The job does not say that the speaker agreed.
        Speech2LipError: What is wrong with the files; see :mod:`s2l_core.errors`.
    """
    refuse_without_consent(job)
    read = (*files_of(job.footage), *files_of(job.voice or job.footage), job.landmarks, *files_of_source(job.speech))
    with ExitStack() as held:
        held.enter_context(reserved(job.speaker_path, *read))
        return _train(job, report or Report(), preset or PRESETS[job.preset], held)


def _train(job: TrainJob, report: Report, preset: Preset, held: ExitStack) -> dict[str, Any]:
    """What :func:`train` returns; ``held`` is left when the training has ended."""
    started = time.monotonic()
    device = choose_device(job.device)
    source = open_source(job.speech, device.type)
    if source.name != LOG_MEL:
        folder, _ = split_source(source.name)
        name_network(folder, folder)
    footage, speech = _open_footage(job, device, report)
    split = split_footage(footage, preset.early_stopping)
    measured = (footage.times >= split["held_out"][0]) & ~footage.somebody_else
    if footage.track.found[measured].mean() < _LEAST_HELD_OUT_SHARE:
        raise TooFewFaces(f"The last tenth of {job.footage.path}, on which the speaker is measured, shows no face.")
    split = ensure_watched_faces(split, footage)
    prepared = time.monotonic()

    usable = footage.times < split["train"][1]
    face = choose_canonical(footage, usable).to(device)
    architecture = preset.architecture if job.architecture is None else job.architecture
    learnt_from = (footage.fingerprint, split, footage.times, footage.landmarks, speech, source.silence)
    cache = Cache.of("trainings", VERSION, *learnt_from, architecture, preset, job.seed, device.type)
    cache = held.enter_context(cache.exclusive(report))
    face = learn_depth(face, footage, usable, preset.depth_steps, report, cache)
    wanted = usable | (footage.times >= split["watched"][0])
    seen = observe(face, footage, speech, source, wanted, device, report, cache)
    clip, watched = seen.part(split["train"]), seen.part(split["watched"])
    principal = find_principal_lips(clip, cache)
    torch.manual_seed(job.seed)
    speaker = _untrained(job.name, architecture, clip, principal)
    told = predict_openings(speaker.lip, clip)
    _learn(speaker, clip, watched, principal, told, preset, job.seed, cache, prepared + preset.seconds, report)
    speaker.pauses = learn_pauses(speech, clip.times, clip.openings, told.double().cpu().numpy())
    learn_holes(speaker.head_blend, face.head, footage, usable, preset.head_steps, report, cache)
    trained = time.monotonic()

    speaker.origin = {
        "job": to_document(job),
        "version": VERSION,
        "device": device.type,
        "fingerprint": footage.fingerprint,
        "split": split,
        "seconds": footage.seconds,
    }
    speaker.identity = next((somebody.identity for somebody in footage.people if somebody.is_chosen), None)
    speaker.portrait = take_portrait(face, footage, canonical_frame(footage, usable))
    held_out, said, context = open_span(job, speaker, split["held_out"], report)
    evaluator = Evaluator(held_out, face, split["held_out"], report=report, cache=cache)
    speaker.metrics = measure(evaluator, speaker, held_out, said, context, principal.mean)
    speaker.save(job.speaker_path)
    cache.clear()
    return {
        "speaker_path": job.speaker_path,
        "name": job.name,
        "frames": len(clip.times),
        "prepare_seconds": prepared - started,
        "train_seconds": trained - prepared,
        "speaker_file_bytes": Path(job.speaker_path).stat().st_size,
        "held_out": speaker.metrics,
    }


def _open_footage(job: TrainJob, device: torch.device, report: Report) -> tuple[Footage, NDArray[np.float32]]:
    """The footage of a job and its speech (n,) at 16 kHz, fit to be trained on."""
    seconds = told_seconds(job.footage, probe(job.footage))  # what is no video shall not be blamed for its sound
    voice = job.voice or job.footage
    tell_tracks(voice, report)
    speech = read_speech(heard_beside(voice, seconds))
    refuse_unusable(measure_level(speech, read_sample_rate(voice.path, voice.track)), voice.path)
    footage = prepare(job.footage, job.landmarks, device.type, report)
    refuse_untrainable(footage)
    if footage.seconds > seconds:
        speech = read_speech(heard_beside(voice, footage.seconds))
    if not job.any_sound:
        refuse_foreign(footage.times - job.footage.start, footage.openings, speech, voice.path)
    return footage, speech


def _untrained(name: str, architecture: Architecture, clip: Clip, principal: PrincipalLips) -> SpeakerModel:
    """A speaker that knows the scales of its inputs and the lips on average."""
    shapes = lip_shape_size(clip.footage.layout)
    speaker = SpeakerModel.untrained(name, clip.face, clip.footage.known_head, shapes, architecture, clip.source.bands)
    speaker.to(clip.lips.device)
    speaker.source, lip = clip.source.name, speaker.lip
    lip.speech.silence.copy_(torch.from_numpy(clip.source.silence))
    lip.speech.fit_scale(torch.from_numpy(clip.features[: round(clip.seconds / HOP_SECONDS)]))
    lip.fit_time(clip.seconds)
    lip.start(principal.mean, principal.axes)
    return speaker


def _learn(
    speaker: SpeakerModel,
    clip: Clip,
    watched: Clip,
    principal: PrincipalLips,
    told: torch.Tensor,
    preset: Preset,
    seed: int,
    cache: Cache,
    deadline: float,
    report: Report,
) -> None:
    """The stages of one training: look, speech, appearance; to be ready by ``deadline`` of the monotonic clock."""
    lip = speaker.lip
    codes = None if lip.end_to_end else principal.codes
    offsets = (
        fit_look(speaker, clip, principal.codes, report, cache) if preset.look else torch.zeros_like(principal.codes)
    )
    checkpoint = Checkpoint(cache.path("stages"))
    validation = Validation(speaker, watched, checkpoint.picture_path, report)
    loop = Loop(speaker.networks, seed, checkpoint, validation.measure, report)
    teacher = learn_sync(clip, preset.sync_form, seed, report, cache) if preset.weights.sync else None
    if codes is not None:
        loop.run(speech_stage(lip, clip, principal, codes - offsets, preset, teacher))
        fit_speech(lip, clip, codes - offsets, told)
    left = deadline - time.monotonic()
    for stage in appearance_stages(speaker, clip, codes, offsets, preset, report, left, teacher):
        loop.run(stage)
