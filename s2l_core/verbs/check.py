"""The verb ``check``: judges footage before any time is spent on training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..casting import Somebody
from ..device import choose_device
from ..errors import FootageTooShort, Speech2LipError, TooFewFaces
from ..events import Report
from ..face.sharpness import measure_blur
from ..footage import Footage, heard_beside, prepare, refuse_untrainable, told_seconds
from ..geometry.camera import head_angles
from ..jobs import CheckJob, Media
from ..media.audio import SpeechLevel, measure_level, read_sample_rate, read_speech, refuse_unusable
from ..media.mix import tell_tracks
from ..media.video import probe, read_frames
from ..results import CheckResult, Person, Verdict
from ..speech.synchrony import JUDGED_SECONDS, Offset, find_offset, is_foreign
from ..subsampling import evenly_spaced

_PICTURES_LOOKED_AT = 12
_LEAST_SECONDS = 0.5
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


@dataclass(frozen=True)
class Finding:
    """A problem of the footage.

    Attributes:
        verdict: How well the footage suits training in this respect.
        advice: A sentence on what is wrong and what to do.
    """

    verdict: Verdict
    advice: str


def check(job: CheckJob, report: Report | None = None) -> CheckResult:
    """Judge footage before training on it.

    Raises:
        FileMissing: There is no such file.
        NotAVideo: The file holds no moving pictures.
        NoFace: No frame shows a face.
        NoSound: The footage has no sound, and the job names no voice.
        AudioUnreadable: The voice is not a sound file.
        AudioEmpty: The span has no sound.
        LandmarksUnavailable: The landmark back-end cannot be used.
        DeviceUnavailable: The device that the job names is not available.
    """
    # Read the sound and track the head.
    report = report or Report()
    seconds = told_seconds(job.footage, probe(job.footage))  # a file that is not a video is refused as such first
    voice = job.voice or job.footage
    track = tell_tracks(voice, report)
    speech = read_speech(heard_beside(voice, seconds))
    footage = prepare(job.footage, job.landmarks, choose_device(job.device).type, report)
    if footage.seconds > seconds:
        speech = read_speech(heard_beside(voice, footage.seconds))

    # Measure picture and sound.
    level = measure_level(speech, read_sample_rate(voice.path, voice.track))
    faces = footage.landmarks[footage.track.found]
    face_width = float(np.median(np.ptp(faces[..., 0], axis=1)))
    angles = np.percentile(head_angles(footage.track.poses[footage.track.found]), [1, 99], axis=0)
    blur = _median_blur(footage, report)
    offset = find_offset(footage.times - job.footage.start, footage.openings, speech)

    # Judge each of them.
    findings = [
        *_judge_people(footage),
        *_judge_pictures(footage, face_width, float(np.abs(angles[:, 0]).max()), blur),
        *_judge_track(track, voice),
        *_judge_sound(level, voice),
        *_judge_offset(offset, footage, speech),
    ]
    yaw, pitch, roll = ([round(float(bound), 1) for bound in bounds] for bounds in angles.T)
    return {
        "duration_seconds": footage.seconds,
        "rate": float(footage.info.rate),
        "face_share": float(footage.track.found.mean()),
        "face_width_px": face_width,
        "yaw_degrees": yaw,
        "pitch_degrees": pitch,
        "roll_degrees": roll,
        "people": [_to_person(somebody, footage) for somebody in footage.people],
        "uncertain_seconds": float(footage.uncertain.sum() / footage.info.rate),
        "blur": blur,
        "voice_track": track,
        "loudness_db": level.loudness_db,
        "noise_db": level.noise_db,
        "offset_seconds": offset.seconds if offset and offset.is_reliable else None,
        "verdict": _worst(findings),
        "advice": [finding.advice for finding in findings],
    }


def _judge_people(footage: Footage) -> Iterator[Finding]:
    usable = float(footage.track.found.sum() / footage.info.rate)
    if footage.somebody_else.any():
        count = max(sum(somebody.seconds >= _LEAST_SECONDS for somebody in footage.people), 2)
        yield Finding(
            "usable",
            f"The footage shows {_NUMBERS.get(count, count)} people; {usable:.0f} s of the chosen one can be used. "
            "Choose another person with Find Faces or --face.",
        )
    uncertain = float(footage.uncertain.sum() / footage.info.rate)
    if uncertain > _LEAST_SECONDS:
        yield Finding(
            "usable", f"For {uncertain:.0f} s it is uncertain whether the face is the same person's; check these parts."
        )


def _to_person(somebody: Somebody, footage: Footage) -> Person:
    return {
        "seconds": somebody.seconds,
        "share": somebody.seconds / footage.seconds,
        "x": somebody.place[0],
        "y": somebody.place[1],
        "since": somebody.since,
        "is_chosen": somebody.is_chosen,
    }


def _judge_pictures(footage: Footage, face_width: float, yaw: float, blur: float | None) -> Iterator[Finding]:
    try:
        refuse_untrainable(footage)
    except (FootageTooShort, TooFewFaces) as refusal:
        yield Finding("poor", str(refusal))
    else:
        seconds = float((~footage.somebody_else).mean()) * footage.seconds
        if seconds < 60:
            yield Finding("usable", f"{seconds:.0f} s are enough for a test; one to four minutes give good lips.")
        share = float((footage.track.found | footage.somebody_else).mean())
        if share < 0.95:
            yield Finding("usable", f"{1 - share:.0%} of the frames show no face; trim them off if you can.")
    if face_width < 60:
        yield Finding("poor", f"The face is only {face_width:.0f} pixels wide; use a take with at least 100.")
    elif face_width < 100:
        yield Finding("usable", f"The face is {face_width:.0f} pixels wide; a closer take gives sharper lips.")
    if yaw > 40:
        yield Finding("poor", f"The head turns {yaw:.0f} degrees to the side; lips cannot be trained beyond 40.")
    elif yaw > 25:
        yield Finding("usable", f"The head turns {yaw:.0f} degrees to the side; lips are best within 25.")
    if blur is not None and blur > 0.7:
        yield Finding("poor", "The face is out of focus or blurred by compression; use a sharper take.")
    elif blur is not None and blur > 0.62:
        yield Finding("usable", "The face is slightly blurred, so the lips will be too.")


def _judge_track(track: int | None, voice: Media) -> Iterator[Finding]:
    if track is not None and voice.track is None:
        yield Finding("good", f"Sound track {track} was used; choose another one if it is not the speaker's.")


def _judge_sound(level: SpeechLevel, voice: Media) -> Iterator[Finding]:
    try:
        refuse_unusable(level, voice.path)
    except Speech2LipError as refusal:
        yield Finding("poor", str(refusal))
        return
    if level.loudness_db < -45:
        yield Finding("usable", f"The voice is quiet ({level.loudness_db:.0f} dB); a louder recording is better.")
    if level.clipped_share > 0.001:
        yield Finding("usable", "The loudest syllables are distorted by clipping; record at a lower level.")
    clearance = level.loudness_db - level.noise_db
    if clearance < 8:
        yield Finding("poor", f"The voice is only {clearance:.0f} dB above the noise; use a cleaner recording.")
    elif clearance < 15:
        yield Finding("usable", f"The voice is {clearance:.0f} dB above the noise; 20 dB or more are better.")


def _judge_offset(offset: Offset | None, footage: Footage, speech: NDArray[np.float32]) -> Iterator[Finding]:
    seen = float(footage.track.found.mean()) * footage.seconds
    if offset is not None and offset.is_reliable:
        if abs(offset.seconds) > 0.06:
            verdict: Verdict = "poor" if abs(offset.seconds) > 0.15 else "usable"
            when = "after" if offset.seconds > 0 else "before"
            yield Finding(
                verdict, f"The sound comes {abs(offset.seconds):.2f} s {when} the picture; correct that first."
            )
    elif is_foreign(footage.times - footage.media.start, footage.openings, speech):
        yield Finding(
            "poor", "The lips do not move with this sound; choose the recording that belongs to these pictures."
        )
    elif seen < JUDGED_SECONDS:
        yield Finding("usable", f"{seen:.0f} s are too short to determine whether the lips move with this sound.")
    elif footage.seconds >= 30:
        yield Finding(
            "usable",
            "The mouth does not clearly move with the voice; make sure that it is the speaker's own and in sync.",
        )


def _median_blur(footage: Footage, report: Report) -> float | None:
    """Median over up to 12 evenly spaced frames with a face; None if it could not be measured."""
    found = np.flatnonzero(footage.track.found)
    chosen = found[evenly_spaced(len(found), _PICTURES_LOOKED_AT)]
    blurs = []
    for count, index in enumerate(chosen):
        report.progress("Measure sharpness", count, len(chosen))
        frame = next(read_frames(replace(footage.media, start=float(footage.times[index]), end=None)), None)
        if frame is not None:
            blurs.append(measure_blur(frame.image, footage.landmarks[index]))
    report.progress("Measure sharpness", len(chosen), len(chosen))
    return float(np.nanmedian(blurs)) if np.isfinite(blurs).any() else None


def _worst(findings: list[Finding]) -> Verdict:
    verdicts = {finding.verdict for finding in findings}
    return "poor" if "poor" in verdicts else "usable" if "usable" in verdicts else "good"
