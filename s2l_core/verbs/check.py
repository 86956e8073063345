"""The verb ``check``: what can be said about footage before any time is spent on training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

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
from ..speech.synchrony import JUDGED_SECONDS, Offset, find_offset, is_foreign
from ..subsampling import evenly_spaced

Verdict = Literal["good", "usable", "poor"]

_PICTURES_LOOKED_AT = 12
_LEAST_SECONDS = 0.5
_NUMBERS = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six"}


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be: how far the footage suffers from it, and a sentence on what to do."""

    verdict: Verdict
    advice: str


def check(job: CheckJob, report: Report | None = None) -> dict[str, Any]:
    """Judge footage before training on it.

    Returns:
        JSON values: ``duration_seconds``; ``rate`` in frames per second; ``face_share`` of the frames with a face;
        ``face_width_px``, median; ``yaw_degrees``, ``pitch_degrees``, ``roll_degrees``, each the range that holds 98 %
        of the frames; ``people`` who are seen, the chosen one first, each with ``seconds`` (of the chosen one those
        that can be used), ``share`` of the footage, ``x`` and ``y`` from 0 to 1 and the second ``since`` which they are
        seen, as in :class:`s2l_core.jobs.Media`, and ``is_chosen``; ``uncertain_seconds`` in which it is uncertain
        whose face it is; ``blur``, see :func:`s2l_core.face.sharpness.measure_blur`, or None; ``voice_track``, the
        number of the sound track that was heard, None where there is but one; ``loudness_db`` and ``noise_db``, see
        :class:`s2l_core.media.audio.SpeechLevel`; ``offset_seconds`` by which the sound comes after the picture, or
        None where that cannot be told; ``verdict``, ``"good"``, ``"usable"`` or ``"poor"``; and ``advice``, sentences.

    Raises:
        FileMissing: There is no such file.
        NotAVideo: It holds no moving pictures.
        NoFace: No frame shows a face.
        NoSound: It has no sound, and no voice is named.
        AudioUnreadable: The voice is no sound file.
        AudioEmpty: There is no sound in the span.
        LandmarksUnavailable: The back-end cannot be used.
        DeviceUnavailable: CUDA is asked for and there is none.
    """
    report = report or Report()
    seconds = told_seconds(job.footage, probe(job.footage))  # what is no video shall not be blamed for its sound
    voice = job.voice or job.footage
    track = tell_tracks(voice, report)
    speech = read_speech(heard_beside(voice, seconds))
    footage = prepare(job.footage, job.landmarks, choose_device(job.device).type, report)
    if footage.seconds > seconds:
        speech = read_speech(heard_beside(voice, footage.seconds))
    level = measure_level(speech, read_sample_rate(voice.path, voice.track))
    faces = footage.landmarks[footage.track.found]
    face_width = float(np.median(np.ptp(faces[..., 0], axis=1)))
    angles = np.percentile(head_angles(footage.track.poses[footage.track.found]), [1, 99], axis=0)
    blur = _median_blur(footage, report)
    offset = find_offset(footage.times - job.footage.start, footage.openings, speech)
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
        "people": [_to_document(somebody, footage) for somebody in footage.people],
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
            f"{_NUMBERS.get(count, str(count))} people: {usable:.0f} s of the chosen one can be used; "
            "choose another with Find Faces or --face.",
        )
    uncertain = float(footage.uncertain.sum() / footage.info.rate)
    if uncertain > _LEAST_SECONDS:
        yield Finding(
            "usable", f"For {uncertain:.0f} s it is uncertain whether the same person is shown; look at them."
        )


def _to_document(somebody: Somebody, footage: Footage) -> dict[str, Any]:
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
            yield Finding("usable", f"{seconds:.0f} s are enough for a try; one to four minutes give good lips.")
        share = float((footage.track.found | footage.somebody_else).mean())
        if share < 0.95:
            yield Finding("usable", f"{1 - share:.0%} of the frames show no face; trim them away if you can.")
    if face_width < 60:
        yield Finding("poor", f"The face is only {face_width:.0f} pixels wide; use a closer take, 100 pixels or more.")
    elif face_width < 100:
        yield Finding("usable", f"The face is {face_width:.0f} pixels wide; a closer take gives sharper lips.")
    if yaw > 40:
        yield Finding("poor", f"The head turns {yaw:.0f} degrees to the side; the lips cannot be learnt beyond 40.")
    elif yaw > 25:
        yield Finding("usable", f"The head turns {yaw:.0f} degrees to the side; lips are best within 25.")
    if blur is not None and blur > 0.7:
        yield Finding("poor", "The face is out of focus or smeared by compression; use a sharper take.")
    elif blur is not None and blur > 0.62:
        yield Finding("usable", "The face is soft, and so will the lips be.")


def _judge_track(track: int | None, voice: Media) -> Iterator[Finding]:
    if track is not None and voice.track is None:
        yield Finding("good", f"Sound track {track} was used; choose another one if the speaker is on that.")


def _judge_sound(level: SpeechLevel, voice: Media) -> Iterator[Finding]:
    try:
        refuse_unusable(level, voice.path)
    except Speech2LipError as refusal:
        yield Finding("poor", str(refusal))
        return
    if level.loudness_db < -45:
        yield Finding("usable", f"The voice is quiet ({level.loudness_db:.0f} dB); a louder recording is clearer.")
    if level.clipped_share > 0.001:
        yield Finding("usable", "The loudest syllables are distorted; a recording at a lower level is clearer.")
    clearance = level.loudness_db - level.noise_db
    if clearance < 8:
        yield Finding("poor", f"The voice is only {clearance:.0f} dB above the noise; use a recording without it.")
    elif clearance < 15:
        yield Finding("usable", f"The voice is {clearance:.0f} dB above the noise; 20 dB or more is better.")


def _judge_offset(offset: Offset | None, footage: Footage, speech: NDArray[np.float32]) -> Iterator[Finding]:
    seen = float(footage.track.found.mean()) * footage.seconds
    if offset is not None and offset.is_reliable:
        if abs(offset.seconds) > 0.06:
            verdict: Verdict = "poor" if abs(offset.seconds) > 0.15 else "usable"
            when = "after" if offset.seconds > 0 else "before"
            yield Finding(
                verdict, f"The sound comes {abs(offset.seconds):.2f} s {when} the picture; move it in step first."
            )
    elif is_foreign(footage.times - footage.media.start, footage.openings, speech):
        yield Finding(
            "poor", "The lips do not move with this sound; choose the recording that was made with these pictures."
        )
    elif seen < JUDGED_SECONDS:
        yield Finding("usable", f"{seen:.0f} s are too short to tell whether the lips move with this sound.")
    elif footage.seconds >= 30:
        yield Finding(
            "usable",
            "The mouth does not clearly move with the voice; make sure that it is the speaker's own and in step.",
        )


def _median_blur(footage: Footage, report: Report) -> float | None:
    """Median over frames spread evenly over those with a face."""
    found = np.flatnonzero(footage.track.found)
    chosen = found[evenly_spaced(len(found), _PICTURES_LOOKED_AT)]
    blurs = []
    for count, index in enumerate(chosen):
        report.progress("Look at pictures", count, len(chosen))
        frame = next(read_frames(replace(footage.media, start=float(footage.times[index]), end=None)), None)
        if frame is not None:
            blurs.append(measure_blur(frame.image, footage.landmarks[index]))
    report.progress("Look at pictures", len(chosen), len(chosen))
    return float(np.nanmedian(blurs)) if np.isfinite(blurs).any() else None


def _worst(findings: list[Finding]) -> Verdict:
    verdicts = {finding.verdict for finding in findings}
    return "poor" if "poor" in verdicts else "usable" if "usable" in verdicts else "good"
