"""Comparing people by descriptors of their faces and by the proportions of the faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..subsampling import evenly_spaced
from .head_shape import average_shape
from .layout import LandmarkLayout
from .recognition import DESCRIPTOR_SIZE

Array = NDArray[np.floating]

IDENTITY_SIZE = DESCRIPTOR_SIZE + 1
"""Size of an identity vector: a descriptor of the face, and the logarithm of its aspect ratio."""

SAME, OTHER = 0.42, 0.5
"""Distance up to which two identity vectors certainly belong to one person, and from which they certainly do not.
Measured on means over 1.5 s of 13 people: at most 0.34 for one person in any light, at least 0.55 between two."""

_BREADTH_TOLERANCE = 0.06
_BREADTH_WEIGHT = 6.0
"""Weight of the aspect ratio. The network, which was trained on photographs, ignores that a face is stretched; the
landmarks of a person measure the aspect ratio to a tenth."""
_MOST_FRAMES = 60
_LEAST_EYE_DISTANCE = 12.0
_LEAST_FRONTAL = 0.22
_STILL = 0.0095
"""Motion below which a face is a photograph: in two seconds, live faces have 0.0102 or more, photographs mostly less
than 0.009."""


def distance(identities: Array, other: Array) -> NDArray[np.float64]:
    """Distance float64 (...) between identity vectors (..., 129) and another (129,), or others of the same shape. An
    aspect ratio that is NaN is ignored.
    """
    difference = np.asarray(identities, np.float64) - other
    breadth = np.maximum(np.abs(np.nan_to_num(difference[..., -1])) - _BREADTH_TOLERANCE, 0.0)
    return np.hypot(np.linalg.norm(difference[..., :-1], axis=-1), _BREADTH_WEIGHT * breadth)


def measure_breadth(points: Array, layout: LandmarkLayout) -> float:
    """Logarithm of a face's width divided by its height, from the rigid landmarks among points (K, P, 3) in pixels. NaN
    if they have no depth, since a turned head then looks like a narrow one.
    """
    if not points[..., 2].any():
        return float("nan")
    chosen = points[evenly_spaced(len(points), _MOST_FRAMES)]
    breadth, height, _ = np.square(average_shape(np.asarray(chosen, np.float64), layout)[layout.rigid]).mean(axis=0)
    return float(np.log(breadth / height) / 2)


def is_clear(points: Array, layout: LandmarkLayout) -> bool:
    """Whether a face with landmarks (P, 2 or 3) in pixels is large and frontal enough to identify the person."""
    left, right = np.split(points[layout.eye_corners, :2], 2)
    across = right.mean(axis=0) - left.mean(axis=0)
    length = float(np.linalg.norm(across))
    if length < _LEAST_EYE_DISTANCE:
        return False
    nose = (points[layout.nose_base, :2].mean(axis=0) - left.mean(axis=0)) @ across / length**2
    return bool(_LEAST_FRONTAL < nose < 1 - _LEAST_FRONTAL)


def is_still(points: Array, layout: LandmarkLayout) -> bool:
    """Whether a face with landmarks (K, P, 2 or 3) at some moments of about a second only moves across the picture,
    like a photograph, and neither speaks, nor blinks, nor turns.
    """
    return bool(measure_motion(points, layout) < _STILL)


def measure_motion(points: Array, layout: LandmarkLayout) -> float:
    """Deviation of landmarks (K, P, 2 or 3) after alignment of position, size and rotation in the picture, relative to
    the distance between the eyes.
    """
    flat = np.asarray(points[..., 0] + 1j * points[..., 1], np.complex128)
    flat -= flat.mean(axis=1, keepdims=True)
    mean = flat[0]
    for _ in range(3):
        aligned = flat * ((flat.conj() @ mean) / np.square(np.abs(flat)).sum(axis=1))[:, None]
        mean = np.median(aligned.real, axis=0) + 1j * np.median(aligned.imag, axis=0)
    eyes = mean[layout.eye_corners]
    stray = np.sqrt(np.square(np.abs(aligned - mean)).mean(axis=1))
    return float(np.quantile(stray, 0.9) / np.abs(eyes[2:].mean() - eyes[:2].mean()))
