"""The verb ``still``: makes one picture speak."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from ..cache import Cache
from ..consent_ledger import make_under
from ..credentials.claim import Claim
from ..device import choose_device
from ..events import Report
from ..fingerprints import by_content, fingerprint_file
from ..footage import landmarks_content
from ..jobs import StillJob, refuse_without_consent, to_document
from ..media.audio import SPEECH_RATE
from ..media.chunks import reserved_result
from ..media.encodings import refuse_loss, refuse_other_name
from ..media.mix import open_voice, read_context, read_voice, sources, tell_tracks
from ..media.raster import Picture
from ..media.sequence import files_of
from ..media.single_picture import picture_path, read_single_picture
from ..results import StillResult
from ..stills.still_frames import StillFrames
from ..version import VERSION, synthetic_media
from .divided import Form, Rendered, finish
from .marking import claim_of_still


def still(job: StillJob, report: Report | None = None) -> StillResult:
    """Write a video in which the person in a picture says the words of ``job.voice``.

    Its length is that of the voice, rounded to whole frames at the job's frame rate. The mouth closes in silence. An
    interrupted run is resumed after its last finished chunk when the same job comes again, and ends with the same
    bytes.

    Raises:
        ConsentMissing: The job does not state that the person agreed.
        ConsentExpired, ConsentRevoked: The consent has ended, by its last day or by the ledger beside the result.
        Speech2LipError: A file cannot be used; see :mod:`s2l_core.errors`.
    """
    report = report or Report()
    refuse_without_consent(job)
    with reserved_result(job.output_path, job.encoding, *files_read(job)):
        opened = OpenStill(job, report)
        return opened.result(finish(opened, report))


def files_read(job: StillJob) -> tuple[str, ...]:
    """Files that a job reads."""
    return (*files_of(job.picture), *sources(job.voice), *filter(None, [job.speaker_path]), job.landmarks)


class OpenStill:
    """A still whose files are open, see :class:`s2l_core.verbs.divided.Divided`.

    Args:
        job: The job.
        report: Receives the progress of finding the shapes of the lips.

    Raises:
        ConsentMissing: The job does not state that the person agreed.
        Speech2LipError: A file cannot be used; see :mod:`s2l_core.errors`.
    """

    phase, between_reports = "Render", 4

    def __init__(self, job: StillJob, report: Report) -> None:
        # Refuse what cannot be done before any time is spent.
        started = time.monotonic()
        refuse_without_consent(job)
        refuse_other_name(job.encoding, job.output_path)
        source = read_single_picture(job.picture)
        refuse_loss(job.encoding, source.path, source.raster)
        make_under(job.output_path, job.consent_record)
        device = choose_device(job.device)
        self._job = job
        self._voice_track = tell_tracks(job.voice, report)
        speech, sound = read_voice(job.voice), open_voice(job.voice)
        self._seconds = len(speech) / SPEECH_RATE

        # Find the face, solve how it follows its lips, and find the lip shapes of the speech.
        identity = _identity(job, device.type)
        cache = Cache.of_shared("looks", json.dumps(identity, sort_keys=True))
        context = read_context(job.voice)
        self._frames = frames = StillFrames(job, source, speech, context, device.type, report, cache)
        for warning in frames.warnings:
            report.log("warning", warning)
        rate, count = frames.rate, len(frames)
        height, width = source.picture.shape[:2]
        heard = sound.lasting(round(count / rate * sound.rate))
        comment = synthetic_media("a picture that was made to speak")
        self.form = Form(
            job.output_path,
            job.encoding,
            source.raster,
            source.colour,
            width,
            height,
            rate,
            count,
            heard,
            comment,
            identity,
        )
        self._prepare_seconds = time.monotonic() - started

    def look(self, report: Report) -> None:
        """Nothing: the picture was looked at when it was opened."""

    def read(self, frames: range) -> Generator[Picture, None, None]:
        """See :meth:`s2l_core.stills.still_frames.StillFrames.read`."""
        return self._frames.read(frames)

    def claim(self) -> Claim:
        """See :func:`s2l_core.verbs.marking.claim_of_still`."""
        return claim_of_still(self._job, self._frames.box)

    def result(self, rendered: Rendered) -> StillResult:
        """The result of the verb."""
        frames, box = self._frames, self._frames.box
        return {
            "output_path": self._job.output_path,
            "credentials": rendered.credentials,
            "summary": f"Rendered {rendered.written} frames of a speaking picture.",
            "warnings": frames.warnings,
            "voice_track": self._voice_track,
            "frames_expected": round(self._seconds * frames.rate),
            "frames_written": rendered.written,
            "frames_resumed": rendered.resumed,
            "duration_error_ms": 1000.0 * (rendered.written / float(frames.rate) - self._seconds),
            "changed_box": [box.left, box.top, box.left + box.width, box.top + box.height],
            "face_width_px": frames.portrait.width,
            "yaw_degrees": float(frames.portrait.angles[0]),
            "mouth_inside": frames.face.mouth_inside,
            "prepare_seconds": self._prepare_seconds,
            "still_seconds": rendered.seconds,
            "still_fps": rendered.fps,
        }


def _identity(job: StillJob, device: str) -> dict[str, Any]:
    """Everything that determines the frames of a job. Chunks with the same identity are reused."""
    picture = str(picture_path(job.picture) or job.picture.path)
    files = {path: fingerprint_file(path) for path in [*sources(job.voice), *filter(None, [job.speaker_path])]}
    known = {job.output_path: "", job.landmarks: landmarks_content(job.landmarks)}
    known[job.picture.path] = fingerprint_file(picture)
    document = to_document(replace(job, consent_record=None, speech_network=""))
    return {"job": by_content(document, known | files) | {"device": device}, "version": VERSION}
