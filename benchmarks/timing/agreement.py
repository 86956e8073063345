"""Whether a device computes what the CPU computes: each verb is run on both, and the results are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from s2l_core.errors import Speech2LipError
from s2l_core.events import Report
from s2l_core.execution import run_job
from s2l_core.jobs import (
    CheckJob,
    Device,
    DubJob,
    Encoding,
    EvaluateJob,
    FacesJob,
    HeadJob,
    HeatmapJob,
    Job,
    Media,
    OffsetJob,
    PoseJob,
    PresetName,
    PreviewJob,
    StillJob,
    TrainJob,
)
from s2l_core.media.video import read_frames

VERBS = ("dub", "preview", "still", "pose", "heatmap", "head", "check", "offset", "faces", "evaluate", "train")
LOSSLESS = Encoding("ffv1")
PICTURES, MOVIE, DECIBELS, SHARE = 0.25, 0.5, 0.5, 0.02
"""Tolerances: mean difference of pictures in code values, the same after H.264, of PSNR in dB, and of other numbers
relative to their size. Devices add in another order, and CUDA trains in bfloat16.
"""


@dataclass(frozen=True)
class Check:
    """A comparison of one verb on two devices.

    Attributes:
        verb: Name of what was run.
        difference: The difference of the results; infinite if the verb failed.
        tolerance: The largest difference that is accepted.
        unit: Unit of both.
        error: What went wrong; empty if nothing did.
    """

    verb: str
    difference: float
    tolerance: float
    unit: str
    error: str = ""

    @property
    def is_fine(self) -> bool:
        return self.difference <= self.tolerance


def agree(
    speaker: str,
    footage: Media,
    voice: Media,
    camera_path: str,
    folder: Path,
    device: Device,
    preset: PresetName,
    verbs: Sequence[str] = VERBS,
) -> Iterator[Check]:
    """Compare verbs on a device with the CPU.

    Args:
        speaker: A speaker that both use.
        footage: The footage of that speaker.
        voice: The words to say.
        camera_path: A camera path.
        folder: Folder for results.
        device: The device.
        preset: Preset of the trainings.
        verbs: The verbs.
    """

    def pair(job: Callable[[Device, str], Job]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The results of a job on the CPU, and on the device, with paths that differ."""
        return run_job(job("cpu", str(folder / "a")), Report()), run_job(job(device, str(folder / "b")), Report())

    def dub(each: Device, path: str) -> DubJob:
        return DubJob(speaker, footage, voice, f"{path}.mkv", encoding=LOSSLESS, device=each)

    def still(each: Device, path: str) -> StillJob:
        picture = Media(footage.path, footage.start)
        return StillJob(picture, voice, f"{path}_still.mkv", encoding=LOSSLESS, device=each, consent=True)

    def preview(each: Device, path: str) -> PreviewJob:
        return PreviewJob(replace(dub(each, path), moments=(footage.start + 0.5,)), 0, f"{path}.png")

    def pictures(job: Callable[[Device, str], Job]) -> float:
        here, there = pair(job)
        return difference(here["output_path"], there["output_path"])

    def psnr(job: Callable[[Device, str], Job], *keys: str) -> float:
        here, there = pair(job)
        for key in keys:
            here, there = here[key], there[key]
        return abs(here["mouth_psnr"] - there["mouth_psnr"])

    def numbers(job: Callable[[Device, str], Job]) -> float:
        return of_numbers(*pair(job))

    checks: list[tuple[str, float, str, Callable[[], float]]] = [
        ("dub", PICTURES, "code values", lambda: pictures(dub)),
        ("preview", PICTURES, "code values", lambda: pictures(preview)),
        ("still", PICTURES, "code values", lambda: pictures(still)),
        (
            *("pose", MOVIE, "code values"),
            lambda: pictures(lambda each, path: PoseJob(speaker, footage, camera_path, f"{path}.mp4", device=each)),
        ),
        (
            *("heatmap", PICTURES, "code values"),
            lambda: pictures(lambda each, path: HeatmapJob(footage, f"{path}_heat.png", device=each)),
        ),
        (
            *("head", SHARE, "relative"),
            lambda: numbers(lambda each, path: HeadJob(speaker, footage, f"{path}.npz", device=each)),
        ),
        ("check", SHARE, "relative", lambda: numbers(lambda each, path: CheckJob(footage, device=each))),
        ("offset", SHARE, "relative", lambda: numbers(lambda each, path: OffsetJob(footage, footage, device=each))),
        ("faces", SHARE, "relative", lambda: numbers(lambda each, path: FacesJob(footage, f"{path}_faces", each))),
        ("evaluate", DECIBELS, "dB", lambda: psnr(lambda each, path: EvaluateJob(speaker, device=each))),
        (
            *("train", DECIBELS, "dB"),
            lambda: psnr(
                lambda each, path: TrainJob(
                    footage, f"{path}.s2l", preset=preset, device=each, consent=True, any_sound=True
                ),
                "held_out",
            ),
        ),
    ]
    for verb, tolerance, unit, compare in (check for check in checks if check[0] in verbs):
        try:
            yield Check(verb, compare(), tolerance, unit)
        except Speech2LipError as error:
            yield Check(verb, np.inf, tolerance, unit, str(error))


def difference(path: str, other: str) -> float:
    """Largest mean difference of two pictures, or of the frames of two movies, in code values; infinite if their
    numbers differ.
    """
    if path.endswith(".png"):
        here, there = (cv2.imread(each).astype(np.float32) for each in (path, other))
        return float(np.abs(here - there).mean())
    largest = 0.0
    for ours, theirs in zip_longest(read_frames(Media(path)), read_frames(Media(other))):
        if ours is None or theirs is None:
            return np.inf
        largest = max(largest, float(np.abs(ours.image.astype(np.int16) - theirs.image).mean()))
    return largest


def of_numbers(here: Any, there: Any) -> float:
    """Largest relative difference of the numbers in two results; paths and times are left out."""
    if isinstance(here, dict):
        kept = [key for key in here if not key.endswith(("path", "seconds", "picture", "fps"))]
        return max((of_numbers(here[key], there[key]) for key in kept), default=0.0)
    if isinstance(here, list):
        return max((of_numbers(a, b) for a, b in zip(here, there, strict=True)), default=0.0)
    if isinstance(here, float | int) and isinstance(there, float | int):
        return abs(here - there) / max(abs(here), abs(there), 1.0)
    return 0.0 if here == there else np.inf
