"""The verb ``train``: track the head, train how speech moves the lips and how they look, measure, write the file."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..cache import Cache
from ..canonical.regions import lip_shape_size
from ..canonical.view import canonical_frame, choose_canonical
from ..consent_ledger import enter, refuse_ended
from ..device import choose_device
from ..errors import MatteUnavailable, SpeechFeaturesUnavailable, TooFewFaces
from ..evaluation.evaluator import Evaluator
from ..evaluation.held_out import measure, open_span
from ..events import Report
from ..face.matte import Matting, open_matting
from ..files import reserved
from ..footage import Footage, heard_beside, prepare, refuse_untrainable, told_seconds
from ..jobs import Architecture, TrainJob, consent_record_of, refuse_without_consent, to_document
from ..media.audio import measure_level, read_sample_rate, read_speech, refuse_unusable
from ..media.mix import tell_tracks
from ..media.sequence import files_of
from ..media.video import probe
from ..model.speaker import SpeakerModel
from ..results import TrainResult
from ..speech.encoder import SpeechEncoder
from ..speech.features import HOP_SECONDS
from ..speech.moonshine import Moonshine, open_moonshine
from ..speech.named_networks import name_network
from ..speech.sources import LOG_MEL, SpeechSource, files_of_source, open_source, split_source
from ..speech.synchrony import refuse_foreign
from ..training.appearance import appearance_stages
from ..training.checkpoint import Checkpoint
from ..training.clip import Clip, observe
from ..training.exemplars import collect_exemplars
from ..training.head_depth import learn_depth
from ..training.holes import learn_holes
from ..training.initialisation import PrincipalLips, find_principal_lips, fit_look
from ..training.loop import Loop
from ..training.pauses import learn_pauses
from ..training.portrait import take_portrait
from ..training.presets import PRESETS, Preset
from ..training.speech import speech_stage
from ..training.speech_fits import Predictions, fit_speech, predict_openings
from ..training.split import ensure_watched_faces, split_footage
from ..training.sync_teacher import learn_sync
from ..training.validation import Validation
from ..version import VERSION

_CACHE_VERSION = 3
"""Changed with the numbers to which the same job trains, so that no training is resumed with others."""
_LEAST_HELD_OUT_SHARE = 0.2
"""Share of the held-out frames that must show a face."""


def train(job: TrainJob, report: Report | None = None, preset: Preset | None = None) -> TrainResult:
    """Train a speaker on ``job.footage`` and write ``job.speaker_path``.

    The last tenth of the footage is held out, and the second before it is not used; the speaker is measured on the
    held-out part. A training that was interrupted is resumed when the same job comes again.

    Args:
        job: The footage, and the file to write.
        report: Receives the progress.
        preset: Hyperparameters, instead of those of the preset that the job names.

    Raises:
        ConsentMissing: The job does not state that the speaker agreed.
        ConsentExpired, ConsentRevoked: The consent has ended, by its last day or by the ledger beside the speaker file.
        Speech2LipError: A file cannot be used; see :mod:`s2l_core.errors`.
    """
    refuse_without_consent(job)
    read = (*files_of(job.footage), *files_of(job.voice or job.footage), job.landmarks, *files_of_source(job.speech))
    with ExitStack() as held:
        held.enter_context(reserved(job.speaker_path, *read))
        refuse_ended(job.speaker_path, consent_record_of(job).hash)
        return _train(job, report or Report(), preset or PRESETS[job.preset], held)


def _train(job: TrainJob, report: Report, preset: Preset, held: ExitStack) -> TrainResult:
    """Train and measure; ``held`` is closed when the training has ended."""
    # Track the head, and split the footage into a training and a held-out part.
    started = time.monotonic()
    device = choose_device(job.device)
    source = _open_source(job, device)
    footage, speech = _open_footage(job, device, report)
    split = _split(job, footage, preset)
    prepared = time.monotonic()

    # Everything that determines the result is the key of the cache from which an interrupted training is resumed.
    architecture = preset.architecture if job.architecture is None else job.architecture
    prior = None if architecture == "paper" else _open_prior(report)
    matting = _open_matting(report)
    identity = (footage.fingerprint, split, footage.times, footage.landmarks, speech, source.silence)
    without = (prior is None, matting is None)
    cache = Cache.of(
        "trainings", VERSION, _CACHE_VERSION, *identity, *without, architecture, preset, job.seed, device.type
    )
    cache = held.enter_context(cache.exclusive(report))

    # Choose the canonical view, and fit the depth of the head in it to the parallax of the training frames.
    usable = footage.times < split["train"][1]
    face = choose_canonical(footage, usable).to(device)
    face = learn_depth(face, footage, usable, preset.depth_steps, matting, report, cache)

    # Decode the footage once: canonical lips, mouth regions, look and speech features of every frame.
    wanted = usable | (footage.times >= split["watched"][0])
    blended = architecture != "exemplars"
    seen = observe(face, footage, speech, source, wanted, device, report, cache, prior, keep_regions=blended)
    clip, watched = seen.part(split["train"]), seen.part(split["watched"])

    # Initialise the speaker with the principal components of the lips, then train all stages.
    principal = find_principal_lips(clip, cache)
    torch.manual_seed(job.seed)
    speaker = _untrained(job.name, architecture, clip, principal, prior)
    predicted = predict_openings(speaker.lip, clip)
    _run_stages(
        speaker, clip, watched, principal, predicted, preset, job.seed, cache, prepared + preset.seconds, report
    )

    # Fit how the mouth behaves in pauses, and train the Blend-Net that inpaints what a turned head uncovers.
    speaker.pauses = learn_pauses(speech, clip.times, clip.openings, predicted.openings.cpu().double().numpy())
    learn_holes(speaker.head_blend, face.head, footage, usable, preset.head_steps, matting, report, cache)
    trained = time.monotonic()

    # Record where the speaker comes from, measure it on the held-out frames, and write the file.
    speaker.origin = _origin(job, footage, split, device)
    speaker.identity = next((somebody.identity for somebody in footage.people if somebody.is_chosen), None)
    speaker.portrait = take_portrait(face, footage, canonical_frame(footage, usable))
    held_out, held_out_speech, context = open_span(job, speaker, split["held_out"], report)
    evaluator = Evaluator(held_out, face, split["held_out"], report=report, cache=cache)
    measures = measure(evaluator, speaker, held_out, held_out_speech, context, principal.mean)
    speaker.metrics = dict(measures)
    enter(job.speaker_path, consent_record_of(job))
    speaker.save(job.speaker_path)
    cache.clear()
    return {
        "speaker_path": job.speaker_path,
        "name": job.name,
        "frames": len(clip.times),
        "prepare_seconds": prepared - started,
        "train_seconds": trained - prepared,
        "speaker_file_bytes": Path(job.speaker_path).stat().st_size,
        "held_out": measures,
    }


def _origin(
    job: TrainJob, footage: Footage, split: dict[str, tuple[float, float]], device: torch.device
) -> dict[str, Any]:
    """Facts about the training for the speaker file, see :attr:`s2l_core.model.speaker.SpeakerModel.origin`."""
    return {
        "job": to_document(replace(job, consent_record=None)),
        "consent_hash": consent_record_of(job).hash,
        "version": VERSION,
        "device": device.type,
        "fingerprint": footage.fingerprint,
        "split": split,
        "seconds": footage.seconds,
    }


def _open_source(job: TrainJob, device: torch.device) -> SpeechSource:
    """The source of the speech features. A network that the job names may be used for dubs from then on."""
    source = open_source(job.speech, device.type)
    if source.name != LOG_MEL:
        folder, _ = split_source(source.name)
        name_network(folder, folder)
    return source


def _open_prior(report: Report) -> Moonshine | None:
    """The network of the speech prior; None, with a message, if it is not installed."""
    try:
        return open_moonshine()
    except SpeechFeaturesUnavailable as error:
        report.log("warning", f"{error.message} The lips will follow speech less closely. {error.hint}")
        return None


def _open_matting(report: Report) -> Matting | None:
    """The network that cuts out the person; None, with a message, if it is not installed."""
    try:
        return open_matting()
    except MatteUnavailable as error:
        lacking = "The outline of the head will be less accurate, and no other camera can show the head."
        report.log("warning", f"{error.message} {lacking} {error.hint}")
        return None


def _open_footage(job: TrainJob, device: torch.device, report: Report) -> tuple[Footage, NDArray[np.float32]]:
    """The footage of a job and its speech (n,) at 16 kHz; raises an error if they are not fit for training."""
    seconds = told_seconds(job.footage, probe(job.footage))  # a file that is not a video is refused as such first
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


def _split(job: TrainJob, footage: Footage, preset: Preset) -> dict[str, tuple[float, float]]:
    """The spans of training, validation and measurement, each with enough frames that show the speaker."""
    split = split_footage(footage, preset.early_stopping)
    measured = (footage.times >= split["held_out"][0]) & ~footage.somebody_else
    if footage.track.found[measured].mean() < _LEAST_HELD_OUT_SHARE:
        raise TooFewFaces(f"The last tenth of {job.footage.path}, on which the speaker is measured, shows no face.")
    return ensure_watched_faces(split, footage)


def _untrained(
    name: str, architecture: Architecture, clip: Clip, principal: PrincipalLips, prior: SpeechSource | None
) -> SpeakerModel:
    """A speaker whose inputs are normalised and whose lips start from their principal components."""
    shapes = lip_shape_size(clip.footage.layout)
    speaker = SpeakerModel.untrained(name, clip.face, clip.footage.known_head, shapes, architecture, clip.source.bands)
    speaker.to(clip.lips.device)
    speaker.source, lip = clip.source.name, speaker.lip
    rows = round(clip.seconds / HOP_SECONDS)
    lip.speech.silence.copy_(torch.from_numpy(clip.source.silence))
    lip.speech.fit_scale(torch.from_numpy(clip.features[:rows]))
    if isinstance(lip.speech, SpeechEncoder) and prior is not None and clip.prior is not None:
        lip.speech.prior.silence.copy_(torch.from_numpy(prior.silence))
        lip.speech.prior.fit_scale(torch.from_numpy(clip.prior[:rows]))
    lip.fit_time(clip.seconds)
    lip.start(principal.mean, principal.axes)
    return speaker


def _run_stages(
    speaker: SpeakerModel,
    clip: Clip,
    watched: Clip,
    principal: PrincipalLips,
    predicted: Predictions,
    preset: Preset,
    seed: int,
    cache: Cache,
    deadline: float,
    report: Report,
) -> None:
    """Run the stages of training, until ``deadline`` on the monotonic clock at the latest.

    Args:
        speaker: The speaker, which is trained in place.
        clip: The training frames.
        watched: The frames on which training is validated.
        principal: Principal components of the training lips.
        predicted: As :func:`s2l_core.training.speech_fits.predict_openings` gives them.
        preset: The hyperparameters.
        seed: Seed of all randomness.
        cache: Keeps what is done.
        deadline: When the time limit of the preset ends.
        report: Receives progress and previews.
    """
    # Fit the look model, in closed form: what the pixels around the mouth add to the codes of speech.
    lip = speaker.lip
    codes = None if lip.end_to_end else principal.codes
    if preset.look:
        offsets = fit_look(speaker, clip, principal.codes, report, cache)
    else:
        offsets = torch.zeros_like(principal.codes)
    if speaker.architecture == "exemplars":
        speaker.exemplars = collect_exemplars(clip, principal, offsets, report, cache)

    # Prepare the loop, which validates on the watched frames, and train the sync expert.
    checkpoint = Checkpoint(cache.path("stages"))
    validation = Validation(speaker, watched, checkpoint.picture_path, report)
    loop = Loop(speaker.networks, seed, checkpoint, validation.measure, report)
    teacher = learn_sync(clip, preset.sync_form, seed, report, cache) if preset.weights.sync else None

    # Stage 1: the speech encoder learns the codes of the principal components, unless the lip model is end to end.
    if codes is not None:
        loop.run(speech_stage(lip, clip, principal, codes - offsets, preset, teacher))
        fit_speech(lip, clip, codes - offsets, predicted)

    # Stage 2: lip model and Blend-Net learn in pixels, in the time that is left. Exemplars are sharp without it.
    if speaker.architecture != "exemplars":
        left = deadline - time.monotonic()
        for stage in appearance_stages(speaker, clip, codes, offsets, preset, report, left, teacher):
            loop.run(stage)
