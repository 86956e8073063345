"""The verbs ``calibrate``, which measures the speed of this machine with a few short pieces of work and keeps the
result in the user's cache, and ``estimate``, which predicts what a job takes on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from platformdirs import user_cache_path

from .. import estimates
from ..device import choose_device, finish
from ..errors import BadJob, Speech2LipError
from ..estimates import Calibration, Estimate, load_calibration, to_json
from ..events import Report, checkpoint
from ..face.landmarks import open_detector
from ..files import temporary_folder, write_whole
from ..footage import is_prepared, told_seconds
from ..jobs import CalibrateJob, CheckJob, DubJob, EstimateJob, Job, Media, StillJob, TrainJob, parse_rate
from ..media.mix import voice_seconds
from ..media.sequence import DEFAULT_RATE
from ..media.single_picture import read_single_picture
from ..media.video import probe, read_frames
from ..media.writing import VideoWriter
from ..model.blend import BlendNet
from ..results import CalibrateResult, EstimateResult
from ..version import VERSION

_PIECE_SECONDS = 1.2
_SIDE, _WIDTH, _HEIGHT, _PICTURES = 96, 640, 360, 40
_MOUTHS_OF_A_STEP, _MOUTHS_AT_ONCE = 4, 8
_PHASE = "Measure this machine"
_PLAUSIBLE = 5.0
"""Factor between the estimated and the actual time beyond which a job is ignored: it was interrupted, or waited for
something else.
"""


def calibrate(job: CalibrateJob, report: Report | None = None) -> CalibrateResult:
    """Measure how fast this machine is, or return what was measured before unless the job says ``anew``.

    Returns:
        Values that :func:`s2l_core.estimates.from_values` reads.

    Raises:
        DeviceUnavailable: The device that the job names is not available.
    """
    report = report or Report()
    device = choose_device(job.device)
    known = None if job.anew else _load(device.type)
    return cast(CalibrateResult, asdict(known or _measure(device, report)))


def estimate(job: EstimateJob, report: Report | None = None) -> EstimateResult:
    """Estimate time, memory and disk space of a job on this machine. Footage that has been tracked before takes no time
    again.

    Raises:
        FileMissing, NotAVideo, NoSound, AudioUnreadable: A file cannot be used.
        DeviceUnavailable: The device that the job names is not available.
        BadJob: The machine has not been measured, and the job does not allow measuring it now.
    """
    if isinstance(job.job, StillJob):
        read_single_picture(job.job.picture)
    else:
        probe(job.job.footage)  # refuse a file that is not a video before it is hashed and the machine is measured
    device = choose_device(job.job.device)
    known = _load(device.type)
    if known is None and not job.measure:
        raise BadJob("This machine has not been measured.", "Estimate a job while no other job is running.")
    known = known or _measure(device, report or Report())
    if isinstance(job.job, StillJob):
        return cast(EstimateResult, asdict(_estimate_still(job.job, known)))
    written = _frames_to_write(job.job) if isinstance(job.job, DubJob) else None
    return cast(
        EstimateResult, asdict(_estimate(job.job, known, written, is_prepared(job.job.footage, job.job.landmarks)))
    )


def learn_from(job: Job, result: dict[str, Any], seconds: float) -> None:
    """Correct later estimates by a job that is done and the seconds that it took; ignores jobs that are not
    estimated.
    """
    if not isinstance(job, CheckJob | TrainJob | DubJob | StillJob):
        return
    if (known := _load(choose_device(job.device).type)) is None:
        return
    if isinstance(job, StillJob):
        _learn(known, job.verb, _estimate_still(job, known).seconds, seconds)
        return
    written = result.get("frames_written")
    guess = {looked_at: _estimate(job, known, written, looked_at).seconds for looked_at in (False, True)}
    prepared = result.get("prepare_seconds", seconds)
    estimated = guess[prepared < 0.25 * (guess[False] - guess[True])]
    _learn(known, job.verb, estimated, seconds)


def _learn(known: Calibration, verb: str, estimated: float, seconds: float) -> None:
    if 1 / _PLAUSIBLE < seconds / max(estimated, 1e-3) < _PLAUSIBLE:
        _save(known.corrected(verb, estimated, seconds))


def _estimate_still(job: StillJob, known: Calibration) -> Estimate:
    height, width = read_single_picture(job.picture).picture.shape[:2]
    rate = parse_rate(job.rate) if job.rate else DEFAULT_RATE
    written = max(1, round(voice_seconds(job.voice) * rate))
    return estimates.estimate(job, 1, width, height, known, float(rate), written)


def _estimate(job: CheckJob | TrainJob | DubJob, known: Calibration, written: int | None, looked_at: bool) -> Estimate:
    info = probe(job.footage)
    end = info.duration if job.footage.end is None else min(job.footage.end, info.duration)
    frames = max(0, round((end - job.footage.start) * info.rate))
    return estimates.estimate(job, frames, info.width, info.height, known, float(info.rate), written, looked_at)


def _frames_to_write(job: DubJob) -> int:
    """Number of frames that a dub writes, as far as job and files state it."""
    if job.moments:
        return len(job.moments)
    info = probe(job.footage)
    seconds = voice_seconds(job.voice)
    if job.remainder == "keep":
        seconds = max(seconds, told_seconds(job.footage, info))
    return round(seconds * (parse_rate(job.rate) if job.rate else info.rate))


def _measure(device: torch.device, report: Report) -> Calibration:
    pieces: list[Callable[[], float]] = [
        _detection_seconds,
        _megapixel_seconds,
        lambda: _step_seconds(device),
        lambda: _render_seconds(device),
    ]
    measured = []
    for number, piece in enumerate(pieces):
        report.progress(_PHASE, number, len(pieces))
        measured.append(piece())
    report.progress(_PHASE, len(pieces), len(pieces))
    detection, megapixel, step, render = measured
    calibration = Calibration(VERSION, device.type, detection, megapixel, step, render)
    _save(calibration)
    return calibration


def _detection_seconds() -> float:
    detector = open_detector("bundled")
    image = np.random.default_rng(0).integers(0, 256, (384, 384, 3), dtype=np.uint8)
    face = np.random.default_rng(0).uniform(100, 280, (detector.layout.count, 3)).astype(np.float32)

    def detect() -> None:
        detector.follow(face)  # without a face, both networks run
        detector.detect(image)

    return _seconds_of(detect)


def _megapixel_seconds() -> float:
    ramp = np.linspace(0, 255, _WIDTH * _HEIGHT * 3).astype(np.uint8).reshape(_HEIGHT, _WIDTH, 3)
    with temporary_folder() as folder:
        path = str(folder / "pictures.mp4")

        def pass_through() -> None:
            with VideoWriter(path, _WIDTH, _HEIGHT, Fraction(25)) as writer:
                for number in range(_PICTURES):
                    writer.write(np.roll(ramp, 7 * number, axis=1))
            for _ in read_frames(Media(path)):
                pass

        return _seconds_of(pass_through) / (_PICTURES * _WIDTH * _HEIGHT / 1e6)


def _step_seconds(device: torch.device) -> float:
    blend, merged, mask = _mouths(_MOUTHS_OF_A_STEP, device)

    def step() -> None:
        blend(merged, mask).square().mean().backward()
        finish(device)

    return _seconds_of(step)


def _render_seconds(device: torch.device) -> float:
    blend, merged, mask = _mouths(_MOUTHS_AT_ONCE, device)

    @torch.no_grad()
    def render() -> None:
        blend(merged, mask)
        finish(device)

    return _seconds_of(render) / _MOUTHS_AT_ONCE


def _mouths(count: int, device: torch.device) -> tuple[BlendNet, torch.Tensor, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        blend = BlendNet().to(device)
    merged, mask = (torch.full((count, channels, _SIDE, _SIDE), 0.5, device=device) for channels in (3, 1))
    return blend, merged, mask


def _seconds_of(work: Callable[[], None]) -> float:
    """Seconds that a piece of work takes on an idle machine: the shortest of several runs."""
    work()
    taken: list[float] = []
    while sum(taken) < _PIECE_SECONDS:
        checkpoint()
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def _path(device: str) -> Path:
    return user_cache_path("speech2lip") / f"calibration-{device}.json"


def _load(device: str) -> Calibration | None:
    known = load_calibration(str(_path(device)))
    return known if known is not None and (known.version, known.device) == (VERSION, device) else None


def _save(calibration: Calibration) -> None:
    path = _path(calibration.device)
    with suppress(OSError, Speech2LipError):  # without the file, it is measured again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(str(path), to_json(calibration).encode(), lasting=False)
