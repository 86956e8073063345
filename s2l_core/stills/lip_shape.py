"""Shapes of a mouth, comparable between people: how far lips and chin are from the person's closed resting mouth.

Landmarks are turned to a frontal face of one size by the points that speech does not move, so that neither the motion
of the head nor the size of the face remains; the shape of the person's own lips is subtracted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..face.head_shape import average_shape
from ..face.layout import MESH468, mouth_opening
from ..subsampling import evenly_spaced

Array = NDArray[np.float64]

POINTS = np.concatenate([MESH468.lips_outer, MESH468.lips_inner, MESH468.chin])
"""Landmarks of a shape: 20 of the outer outline of the lips, 20 of the inner, and the chin."""
LIPS = len(POINTS) - len(MESH468.chin)
"""Number of points of a shape that belong to the lips; they come first."""

_UPPER, _LOWER = (
    np.array([POINTS.tolist().index(point) for point in points]) for points in (MESH468.inner_top, MESH468.inner_bottom)
)
_INNER_UPPER = len(MESH468.lips_outer) + np.arange(1, len(MESH468.lips_inner) // 2)
_INNER_LOWER = len(MESH468.lips_outer) + np.arange(len(MESH468.lips_inner) - 1, len(MESH468.lips_inner) // 2, -1)
"""Points of the inner outline between the corners, each of the lower lip below the corresponding one of the upper."""
_CORNERS = np.array([POINTS.tolist().index(point) for point in MESH468.mouth_corners])
_MOST_FRAMES = 300
"""Number of frames of which the shape of the face is the median."""
_CLOSED = 0.1
"""Share of the frames, those with the smallest openings, whose median is the resting mouth."""


def lip_offsets(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """Offsets float32 (F, 41, 2) of lips and chin from the person's closed resting mouth.

    The unit is the width of the resting mouth; x points to the right of the picture and y down, for a frontal upright
    face. The resting mouth is the median of the tenth of the frames whose mouths are open least.

    Args:
        landmarks: float (F, 468 or more, 3) landmarks of one person in the numbering of MediaPipe, in pixels; NaN in
            frames without a face, whose offsets are NaN.

    Raises:
        ValueError: No frame has landmarks.
    """
    lips = frontal_lips(landmarks)
    rest = resting_lips(lips, mouth_opening(landmarks[:, : MESH468.count], MESH468))
    return ((lips - rest) / np.linalg.norm(rest[_CORNERS[1]] - rest[_CORNERS[0]])).astype(np.float32)


def resting_lips(lips: Array, openings: NDArray[np.floating]) -> Array:
    """The resting mouth float64 (41, 2) among frontal lips float64 (F, 41, 2) with openings (F,), see
    :func:`lip_offsets`.
    """
    return np.asarray(np.nanmedian(lips[openings <= np.nanquantile(openings, _CLOSED)], axis=0))


def frontal_lips(landmarks: NDArray[np.floating]) -> Array:
    """Lips and chin float64 (F, 41, 2) of landmarks, turned to a frontal face with eyes 63 mm apart, in millimetres.

    Args:
        landmarks: See :func:`lip_offsets`.
    """
    points = np.asarray(landmarks[:, : MESH468.count], np.float64)
    found = np.isfinite(points).all(axis=(1, 2))
    if not found.any():
        raise ValueError("no landmarks")
    lips = np.full((len(points), len(POINTS), 2), np.nan)
    seen = points[found]
    lips[found] = _turned_to(average_shape(seen[evenly_spaced(len(seen), _MOST_FRAMES)], MESH468), seen)
    return lips


def opening_of(offsets: NDArray[np.floating]) -> NDArray[np.floating]:
    """How much farther apart than at rest the inner lips are (...), in widths of the resting mouth, for offsets
    (..., 41, 2); below 0 for lips that are pressed together.
    """
    return np.asarray((offsets[..., _LOWER, 1] - offsets[..., _UPPER, 1]).mean(axis=-1))


def width_of(offsets: NDArray[np.floating]) -> NDArray[np.floating]:
    """How much farther apart than at rest the corners of the mouth are (...), in widths of the resting mouth, for
    offsets (..., 41, 2); below 0 for rounded lips.
    """
    left, right = _CORNERS
    return np.asarray(offsets[..., right, 0] - offsets[..., left, 0])


def without_overlap(offsets: NDArray[np.floating]) -> NDArray[np.float64]:
    """Offsets (..., 41, 2) whose inner lips do not cross: where they would, they meet halfway."""
    parted = np.array(offsets, np.float64)
    overlap = np.maximum(parted[..., _INNER_UPPER, 1] - parted[..., _INNER_LOWER, 1], 0.0)
    parted[..., _INNER_UPPER, 1] -= overlap / 2
    parted[..., _INNER_LOWER, 1] += overlap / 2
    return parted


def _turned_to(shape: Array, points: Array) -> Array:
    """Lips and chin (F, 41, 2) of landmarks (F, P, 3) after the similarity of their rigid points to a shape (P, 3)."""
    rigid, wanted = points[:, MESH468.rigid], shape[MESH468.rigid]
    middle, target = rigid.mean(axis=1, keepdims=True), wanted.mean(axis=0)
    left, sizes, right = np.linalg.svd((rigid - middle).transpose(0, 2, 1) @ (wanted - target))
    mirrored = np.linalg.det(left @ right)
    left[..., 2] *= mirrored[:, None]
    sizes[..., 2] *= mirrored
    scale = sizes.sum(axis=1) / np.square(rigid - middle).sum(axis=(1, 2))
    turned = (points[:, POINTS] - middle) @ (left @ right) * scale[:, None, None] + target
    return np.asarray(turned[..., :2])
