"""The verb ``dub``: makes a speaker say other words in footage that stays unchanged around the mouth."""

from __future__ import annotations

import itertools
import time
from contextlib import closing, suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypedDict

from ..device import choose_device
from ..errors import AudioEmpty, NoSound
from ..events import Report
from ..fingerprints import fingerprint_file
from ..footage import Footage
from ..jobs import DubJob, Media, to_document
from ..media.audio import SPEECH_RATE, open_audio
from ..media.chunks import Chunks, reserved_result
from ..media.encodings import refuse_loss, refuse_other_name
from ..media.mix import open_voice, read_context, read_voice, sources, tell_tracks
from ..media.sequence import files_of
from ..media.video import probe, raster_of_span
from ..media.waveform import Waveform
from ..model.origin import Origin, as_figure, read_origin
from ..model.speaker import SpeakerModel
from ..mouth.dub_frames import DubFrames, open_footage
from ..mouth.rendering import BATCH, open_speech_source
from ..results import DubResult
from ..version import VERSION

CHUNK = 16 * BATCH
"""Frames per chunk, about five seconds. An interrupted run loses one chunk at most."""


def dub(job: DubJob, report: Report | None = None) -> DubResult:
    """Write a video in which the speaker says the words of ``job.voice``.

    The video has one frame for each of the job's moments. If the job names none, its length is that of the voice,
    rounded to whole frames at the job's frame rate. The mouth closes in silence. An interrupted run is resumed after
    its last finished chunk when the same job comes again, and ends with the same bytes.

    Raises:
        Speech2LipError: A file cannot be used; see :mod:`s2l_core.errors`.
    """
    read = (*files_of(job.footage), *sources(job.voice), job.speaker_path, job.landmarks)
    with reserved_result(job.output_path, job.encoding, *read):
        refuse_other_name(job.encoding, job.output_path)
        return _dub(job, report or Report())


def _dub(job: DubJob, report: Report) -> DubResult:
    # Refuse what cannot be done before any time is spent, then load the speaker.
    started = time.monotonic()
    info = probe(job.footage)
    raster = raster_of_span(job.footage, info)
    refuse_loss(job.encoding, job.footage.path, raster)
    device = choose_device(job.device)
    speaker = SpeakerModel.load(job.speaker_path, device)
    open_speech_source(speaker, job.speech_network)

    # Read the voice, and track the head in the footage.
    voice_track = tell_tracks(job.voice, report)
    speech, sound = read_voice(job.voice), open_voice(job.voice)
    footage = open_footage(job.footage, job.landmarks, speaker, device, report)
    prepared = time.monotonic()

    # Encode the speech into codes, fit the light, and find the frames whose mouth can be replaced.
    frames = DubFrames(job, speaker, footage, speech, read_context(job.voice))
    seconds = len(speech) / SPEECH_RATE
    del speech  # half an hour of it takes 115 MB
    rate, count, voiced = frames.rate, len(frames), frames.voiced
    heard = _fit_sound(sound, job.footage if count > voiced else None, voiced, count, rate)
    judged = frames.assess(report)

    # Render and encode the chunks that an earlier run has not written.
    chunks = Chunks(job.output_path, count, CHUNK, job.encoding, _identity(job, footage, device.type), raster)
    missing = chunks.missing
    written = count - sum(map(len, missing))
    resumed = written
    for run in _runs(missing):
        with closing(frames.read(range(run[0].start, run[-1].stop))) as pictures:
            for chunk in run:
                with chunks.writer(chunk, info.width, info.height, rate, info.colour) as writer:
                    for number, picture in enumerate(itertools.islice(pictures, len(chunk))):
                        if number % BATCH == 0:
                            report.progress("Dub", written, count)
                        writer.write(picture)
                        written += 1
    report.progress("Dub", count, count)

    # Join the chunks and the sound into one file that states that it is synthetic media.
    chunks.join(rate, heard, speaker.synthetic_media("lips"))
    finished = time.monotonic()
    return {
        "output_path": job.output_path,
        "summary": judged.summary,
        "voice_track": voice_track,
        "frames_expected": len(job.moments) or round(seconds * rate) + count - voiced,
        "frames_written": written,
        "frames_resumed": resumed,
        "frames_dubbed": judged.dubbed,
        "duration_error_ms": 1000.0 * (voiced / float(rate) - seconds),
        "frames_without_face": int((~(footage.track.found | footage.somebody_else)[frames.indices[:voiced]]).sum()),
        "untouched": judged.untouched,
        **_training_of(speaker),
        "prepare_seconds": prepared - started,
        "dub_seconds": finished - prepared,
        "dub_fps": (written - resumed) / (finished - prepared),
    }


def _runs(chunks: list[range]) -> list[list[range]]:
    """Chunks in order as runs without gaps, which are decoded without seeking: that would take as long as decoding the
    frames since the last key frame.
    """
    runs: list[list[range]] = []
    for chunk in chunks:
        if runs and runs[-1][-1].stop == chunk.start:
            runs[-1].append(chunk)
        else:
            runs.append([chunk])
    return runs


class _Training(TypedDict):
    speaker_seed: int | None
    speaker_version: str | None
    speaker_mouth_psnr: float | None


def _training_of(speaker: SpeakerModel) -> _Training:
    """Facts about the training of a speaker, None if the speaker file does not state them."""
    origin: Origin | None = None
    with suppress(ValueError):
        origin = read_origin(speaker.origin)
    return {
        "speaker_seed": origin.job.seed if origin else None,
        "speaker_version": origin.version if origin else None,
        "speaker_mouth_psnr": as_figure(speaker.metrics.get("mouth_psnr")),
    }


def _identity(job: DubJob, footage: Footage, device: str) -> dict[str, Any]:
    """Everything that determines the frames of a job. Chunks with the same identity are reused."""
    document = to_document(job)
    files = {path: fingerprint_file(path) for path in [job.speaker_path, *sources(job.voice)]}
    return {"job": document | {"device": device}, "footage": footage.fingerprint, "files": files, "version": VERSION}


def _fit_sound(voice: Waveform, footage: Media | None, voiced: int, total: int, rate: Fraction) -> Waveform:
    """The voice, cut to the exact length of its frames, followed by the footage's own sound if the footage goes on.

    Both are converted to the higher sample rate and the larger number of channels of the two. If one ends before its
    pictures, silence follows.
    """
    own = None
    if footage is not None:
        with suppress(NoSound, AudioEmpty):
            own = open_audio(replace(footage, start=footage.start + float(voiced / rate)))
            own.refuse_broken()
    if own is None:
        return voice.lasting(round(total / rate * voice.rate))
    channels, sample_rate = max(voice.channels, own.channels), max(voice.rate, own.rate)
    middle, end = (round(frames / rate * sample_rate) for frames in (voiced, total))
    said, kept = (part.converted(channels, sample_rate) for part in (voice, own))
    return said.lasting(middle).then(kept.lasting(end - middle))
