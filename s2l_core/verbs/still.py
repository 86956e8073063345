"""The verb ``still``: makes one picture speak."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from ..consent_ledger import make_under
from ..device import choose_device
from ..events import Report
from ..fingerprints import fingerprint_file
from ..jobs import StillJob, refuse_without_consent, to_document
from ..media.audio import SPEECH_RATE
from ..media.chunks import Chunks, reserved_result
from ..media.encodings import refuse_loss, refuse_other_name
from ..media.mix import open_voice, read_context, read_voice, sources, tell_tracks
from ..media.sequence import files_of
from ..media.single_picture import picture_path, read_single_picture
from ..results import StillResult
from ..stills.still_frames import StillFrames
from ..version import VERSION, synthetic_media

_CHUNK = 128
"""Frames per chunk, about five seconds. An interrupted run loses one chunk at most."""
_BETWEEN_REPORTS = 4


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
    refuse_without_consent(job)
    with reserved_result(job.output_path, job.encoding, *files_read(job)):
        refuse_other_name(job.encoding, job.output_path)
        make_under(job.output_path, job.consent_record)
        return _still(job, report or Report())


def files_read(job: StillJob) -> tuple[str, ...]:
    """Files that a job reads."""
    return (*files_of(job.picture), *sources(job.voice), *filter(None, [job.speaker_path]), job.landmarks)


def _still(job: StillJob, report: Report) -> StillResult:
    # Refuse what cannot be done before any time is spent.
    started = time.monotonic()
    source = read_single_picture(job.picture)
    refuse_loss(job.encoding, source.path, source.raster)
    device = choose_device(job.device)
    voice_track = tell_tracks(job.voice, report)
    speech, sound = read_voice(job.voice), open_voice(job.voice)

    # Find the face, solve how it follows its lips, and find the lip shapes of the speech.
    frames = StillFrames(job, source, speech, read_context(job.voice), device.type, report)
    seconds, rate, count = len(speech) / SPEECH_RATE, frames.rate, len(frames)
    del speech
    for warning in frames.warnings:
        report.log("warning", warning)
    prepared = time.monotonic()

    # Render and encode the chunks that an earlier run has not written.
    height, width = source.picture.shape[:2]
    chunks = Chunks(job.output_path, count, _CHUNK, job.encoding, _identity(job, device.type), source.raster)
    missing = chunks.missing
    written = resumed = count - sum(map(len, missing))
    for chunk in missing:
        with chunks.writer(chunk, width, height, rate, source.colour) as writer:
            for number, picture in enumerate(frames.read(chunk)):
                if number % _BETWEEN_REPORTS == 0:
                    report.progress("Render", written, count)
                writer.write(picture)
                written += 1
    report.progress("Render", count, count)

    # Join the chunks and the sound into one file that states that it is synthetic media.
    chunks.join(
        rate, sound.lasting(round(count / rate * sound.rate)), synthetic_media("a picture that was made to speak")
    )
    finished = time.monotonic()
    box = frames.box
    return {
        "output_path": job.output_path,
        "summary": f"Rendered {count} frames of a speaking picture.",
        "warnings": frames.warnings,
        "voice_track": voice_track,
        "frames_expected": round(seconds * rate),
        "frames_written": written,
        "frames_resumed": resumed,
        "duration_error_ms": 1000.0 * (count / float(rate) - seconds),
        "changed_box": [box.left, box.top, box.left + box.width, box.top + box.height],
        "face_width_px": frames.portrait.width,
        "yaw_degrees": float(frames.portrait.angles[0]),
        "mouth_inside": frames.face.mouth_inside,
        "prepare_seconds": prepared - started,
        "still_seconds": finished - prepared,
        "still_fps": (written - resumed) / (finished - prepared),
    }


def _identity(job: StillJob, device: str) -> dict[str, Any]:
    """Everything that determines the frames of a job. Chunks with the same identity are reused."""
    document = to_document(replace(job, consent_record=None))
    files = [str(picture_path(job.picture) or job.picture.path), *sources(job.voice), *filter(None, [job.speaker_path])]
    known = {path: fingerprint_file(path) for path in files}
    return {"job": document | {"device": device}, "files": known, "version": VERSION}
