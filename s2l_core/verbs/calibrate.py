"""The verbs ``calibrate`` and ``estimate``: how fast this machine is, in pieces of work that take seconds, kept in the
user's cache, and what jobs will take on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from platformdirs import user_cache_path

from .. import estimates
from ..device import choose_device
from ..errors import BadJob, Speech2LipError
from ..estimates import Calibration, Estimate, load_calibration, to_json
from ..events import Report, checkpoint
from ..face.landmarks import open_detector
from ..files import temporary_folder, write_whole
from ..footage import is_prepared, told_seconds
from ..jobs import CalibrateJob, CheckJob, DubJob, EstimateJob, Job, Media, TrainJob, parse_rate
from ..media.mix import voice_seconds
from ..media.video import probe, read_frames
from ..media.writing import VideoWriter
from ..model.blend import BlendNet
from ..version import VERSION

_PIECE_SECONDS = 1.2
_SIDE, _WIDTH, _HEIGHT, _PICTURES = 96, 640, 360, 40
_MOUTHS_OF_A_STEP, _MOUTHS_AT_ONCE = 4, 8
_PHASE = "Measure this machine"
_PLAUSIBLE = 5.0
"""A job that took so many times longer or shorter than estimated was interrupted, or waited for something else."""


def calibrate(job: CalibrateJob, report: Report | None = None) -> dict[str, Any]:
    """Measure how fast this machine is; what was measured before is told again.

    Returns:
        The values of :class:`s2l_core.estimates.Calibration`, as :func:`s2l_core.estimates.from_values` reads them.

    Raises:
        DeviceUnavailable: The job asks for CUDA and there is none.
    """
    report = report or Report()
    device = choose_device(job.device)
    known = None if job.anew else _load(device.type)
    return asdict(known or _measure(device, report))


def estimate(job: EstimateJob, report: Report | None = None) -> dict[str, Any]:
    """Tell what a job will take here; footage that was looked at before is not counted again.

    Returns:
        The values of :class:`s2l_core.estimates.Estimate`.

    Raises:
        FileMissing, NotAVideo, NoSound, AudioUnreadable: What is wrong with the files.
        DeviceUnavailable: The job asks for CUDA and there is none.
        BadJob: The machine was not measured, and shall not be now.
    """
    probe(job.job.footage)  # what is no video is refused before its content is hashed, and the machine measured
    device = choose_device(job.job.device)
    known = _load(device.type)
    if known is None and not job.measure:
        raise BadJob("This machine has not been measured.", "Estimate a job while no other runs.")
    known = known or _measure(device, report or Report())
    written = _frames_to_write(job.job) if isinstance(job.job, DubJob) else None
    return asdict(_estimate(job.job, known, written, is_prepared(job.job.footage, job.job.landmarks)))


def learn_from(job: Job, result: dict[str, Any], seconds: float) -> None:
    """Let a job that is done, and how long it took, make estimates better; does nothing where it tells nothing."""
    if not isinstance(job, CheckJob | TrainJob | DubJob) or (known := _load(choose_device(job.device).type)) is None:
        return
    written = result.get("frames_written")
    guess = {looked_at: _estimate(job, known, written, looked_at).seconds for looked_at in (False, True)}
    prepared = result.get("prepare_seconds", seconds)
    estimated = guess[prepared < 0.25 * (guess[False] - guess[True])]
    if 1 / _PLAUSIBLE < seconds / max(estimated, 1e-3) < _PLAUSIBLE:
        _save(known.corrected(job.verb, estimated, seconds))


def _estimate(job: CheckJob | TrainJob | DubJob, known: Calibration, written: int | None, looked_at: bool) -> Estimate:
    info = probe(job.footage)
    end = info.duration if job.footage.end is None else min(job.footage.end, info.duration)
    frames = max(0, round((end - job.footage.start) * info.rate))
    return estimates.estimate(job, frames, info.width, info.height, known, float(info.rate), written, looked_at)


def _frames_to_write(job: DubJob) -> int:
    """Of a dub's output, as far as job and files tell."""
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
        detector.follow(face)  # both networks look at it: there is no face
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
        _finish(device)

    return _seconds_of(step)


def _render_seconds(device: torch.device) -> float:
    blend, merged, mask = _mouths(_MOUTHS_AT_ONCE, device)

    @torch.no_grad()
    def render() -> None:
        blend(merged, mask)
        _finish(device)

    return _seconds_of(render) / _MOUTHS_AT_ONCE


def _mouths(count: int, device: torch.device) -> tuple[BlendNet, torch.Tensor, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        blend = BlendNet().to(device)
    merged, mask = (torch.full((count, channels, _SIDE, _SIDE), 0.5, device=device) for channels in (3, 1))
    return blend, merged, mask


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _seconds_of(work: Callable[[], None]) -> float:
    """How long a piece of work takes where nothing else keeps the machine busy: the least of a few times."""
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
    with suppress(OSError, Speech2LipError):  # it is measured again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(str(path), to_json(calibration).encode(), lasting=False)
