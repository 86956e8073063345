"""The paper's measures of lips (Chen et al. 2018), and those of the house."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s2l_core.evaluation.metrics import correlation, cpbd, deviation_ratio, psnr, ssim
from s2l_core.face.layout import LandmarkLayout
from s2l_core.glance.crops import lip_points

from .people import Lips, Person

COLUMNS = {
    "lmd": "LMD",
    "lmd_wrong": "LMD wrong",
    "opening": "opening r",
    "articulation": "motion",
    "ssim": "SSIM",
    "psnr": "PSNR",
    "cpbd": "CPBD",
}
"""Columns by name, with their headings."""


def measure(made: Lips, wrong: Lips, person: Person) -> dict[str, float | None]:
    """Figures of the lips that a row made for a person.

    Args:
        made: The lips for the person's own speech.
        wrong: The lips for somebody else's speech.
        person: The person.
    """
    openings = [opening(points, person.layout) for points in (made.points, person.real.points)]
    figures: dict[str, float | None] = {
        "lmd": landmark_distance(made.points, person.real.points),
        "lmd_wrong": landmark_distance(wrong.points, person.real.points),
        "opening": correlation(*openings),
        "articulation": deviation_ratio(*openings),
    }
    if made.pictures is None or person.real.pictures is None:
        return figures | dict.fromkeys(("ssim", "psnr", "cpbd"))
    pairs = list(zip(made.pictures, person.real.pictures, strict=True))
    return figures | {
        "ssim": float(np.mean([ssim(drawn, real) for drawn, real in pairs])),
        "psnr": float(np.mean([psnr(drawn, real) for drawn, real in pairs])),
        "cpbd": float(np.mean([cpbd(drawn) for drawn, _ in pairs])),
    }


def landmark_distance(points: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    """Landmark distance LMD: mean Euclidean distance of the landmarks (N, 40, 2) from the real ones, after the mean
    position of the lips is subtracted from both, in pixels of a crop of 64. The paper uses dlib's 20 landmarks of the
    mouth, so its figures are of another size.
    """
    distances = np.linalg.norm(centred(points) - centred(real), axis=-1)
    return float(np.nanmean(distances))


def centred(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Landmarks (N, 40, 2) without the mean position of the lips."""
    return points - points.mean(axis=1, keepdims=True)


def opening(points: NDArray[np.float64], layout: LandmarkLayout) -> NDArray[np.float64]:
    """Distance (N,) of the inner lips in pixels of the crop, of landmarks (N, 40, 2)."""
    order = lip_points(layout).tolist()
    top, bottom = ([order.index(index) for index in part] for part in (layout.inner_top, layout.inner_bottom))
    return np.asarray(np.linalg.norm(points[:, bottom] - points[:, top], axis=-1).mean(axis=-1))
