"""The verb ``dub``: makes a speaker say other words in footage that stays unchanged around the mouth."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypedDict

from ..cache import Cache
from ..credentials.claim import Claim
from ..device import choose_device
from ..errors import AudioEmpty, NoSound
from ..events import Report
from ..fingerprints import by_content, fingerprint_file
from ..footage import Footage, landmarks_content
from ..jobs import DubJob, Media, to_document
from ..media.audio import SPEECH_RATE, open_audio
from ..media.chunks import reserved_result
from ..media.encodings import refuse_loss, refuse_other_name
from ..media.mix import open_voice, read_context, read_voice, sources, tell_tracks
from ..media.planes import Planes
from ..media.raster import Picture
from ..media.sequence import files_of
from ..media.video import probe, raster_of_span
from ..media.waveform import Waveform
from ..model.origin import Origin, as_figure, read_origin
from ..model.speaker import SpeakerModel
from ..mouth.dub_frames import DubFrames, open_footage
from ..mouth.line_codes import open_speech_source
from ..mouth.rendering import BATCH
from ..results import DubResult
from ..version import VERSION
from .divided import Form, Rendered, finish
from .marking import claim_of_dub


def dub(job: DubJob, report: Report | None = None) -> DubResult:
    """Write a video in which the speaker says the words of ``job.voice``.

    The video has one frame for each of the job's moments. If the job names none, its length is that of the voice,
    rounded to whole frames at the job's frame rate. The mouth closes in silence. An interrupted run is resumed after
    its last finished chunk when the same job comes again, and ends with the same bytes.

    Raises:
        Speech2LipError: A file cannot be used; see :mod:`s2l_core.errors`.
    """
    report = report or Report()
    with reserved_result(job.output_path, job.encoding, *files_read(job)):
        opened = OpenDub(job, report)
        return opened.result(finish(opened, report))


def files_read(job: DubJob) -> tuple[str, ...]:
    """Files that a job reads."""
    return (*files_of(job.footage), *sources(job.voice), job.speaker_path, job.landmarks)


class OpenDub:
    """A dub whose files are open, see :class:`s2l_core.verbs.divided.Divided`.

    Args:
        job: The job.
        report: Receives the progress of tracking the head.

    Raises:
        Speech2LipError: A file cannot be used; see :mod:`s2l_core.errors`.
    """

    phase, between_reports = "Dub", BATCH

    def __init__(self, job: DubJob, report: Report) -> None:
        # Refuse what cannot be done before any time is spent, then load the speaker.
        started = time.monotonic()
        refuse_other_name(job.encoding, job.output_path)
        info = probe(job.footage)
        raster = raster_of_span(job.footage, info)
        refuse_loss(job.encoding, job.footage.path, raster)
        device = choose_device(job.device)
        self._job = job
        self._speaker = SpeakerModel.load(job.speaker_path, device)
        open_speech_source(self._speaker, job.speech_network)

        # Read the voice, and track the head in the footage.
        self._voice_track = tell_tracks(job.voice, report)
        speech, sound = read_voice(job.voice), open_voice(job.voice)
        self._seconds = len(speech) / SPEECH_RATE
        self._footage = open_footage(job.footage, job.landmarks, self._speaker, device, report)
        self._prepare_seconds = time.monotonic() - started

        # Encode the speech into codes, and open the sound.
        self._frames = frames = DubFrames(job, self._speaker, self._footage, speech, read_context(job.voice))
        rate, count, voiced = frames.rate, len(frames), frames.voiced
        heard = _fit_sound(sound, job.footage if count > voiced else None, voiced, count, rate)
        identity = _identity(job, self._footage, device.type)
        size, comment = (info.width, info.height), self._speaker.synthetic_media("lips")
        self.form = Form(
            job.output_path, job.encoding, raster, info.colour, *size, rate, count, heard, comment, identity
        )

    def look(self, report: Report) -> None:
        """Fit the light, and find the frames whose mouth can be replaced."""
        identity = {name: value for name, value in self.form.identity["job"].items() if name != "encoding"}
        cache = Cache.of_shared("looks", json.dumps([self.form.identity | {"job": identity}], sort_keys=True))
        self._judged = self._frames.assess(report, cache)

    def read(self, frames: range) -> Generator[Picture | Planes, None, None]:
        """See :meth:`s2l_core.mouth.dub_frames.DubFrames.read`."""
        return self._frames.read(frames)

    def claim(self) -> Claim:
        """See :func:`s2l_core.verbs.marking.claim_of_dub`."""
        return claim_of_dub(self._job, self._speaker, self._frames, self._judged)

    def result(self, rendered: Rendered) -> DubResult:
        """The result of the verb."""
        voiced, count = self._frames.voiced, len(self._frames)
        seconds, rate, shown = self._seconds, self._frames.rate, self._frames.indices[:voiced]
        seen = self._footage.track.found | self._footage.somebody_else
        return {
            "output_path": self._job.output_path,
            "credentials": rendered.credentials,
            "summary": self._judged.summary,
            "voice_track": self._voice_track,
            "frames_expected": len(self._job.moments) or round(seconds * rate) + count - voiced,
            "frames_written": rendered.written,
            "frames_resumed": rendered.resumed,
            "frames_dubbed": self._judged.dubbed,
            "duration_error_ms": 1000.0 * (voiced / float(rate) - seconds),
            "frames_without_face": int((~seen[shown]).sum()),
            "untouched": self._judged.untouched,
            **_training_of(self._speaker),
            "prepare_seconds": self._prepare_seconds,
            "dub_seconds": rendered.seconds,
            "dub_fps": rendered.fps,
        }


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
    files = {path: fingerprint_file(path) for path in [job.speaker_path, *sources(job.voice)]}
    known = {
        job.output_path: "",
        job.landmarks: landmarks_content(job.landmarks),
        job.footage.path: footage.fingerprint,
    }
    document = by_content({**to_document(job), "speech_network": ""}, known | files)
    return {"job": document | {"device": device}, "version": VERSION}


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
