"""Facial expression as a few curves over time, with which an animator can drive another character."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ..canonical.regions import lip_shapes, without_head_motion
from ..events import Report
from ..face.layout import LandmarkLayout
from ..footage import Footage
from .blinking import eye_openness

Array = NDArray[np.float64]

_LIP_SHAPES = 5
_SMOOTHED = 0.03
"""Standard deviation, in seconds, of the Gaussian that removes the landmarks' jitter. Lips close for about 0.1 s."""
_REST = 0.05
"""Quantile of the jaw's height that is taken as its position at rest."""
_CALM_SHARE = 0.3
"""Share of the frames, those with the least open mouth, from which the resting width is measured."""

CURVES = (
    *("jaw_open", "mouth_open", "mouth_wide", "mouth_round", "eye_open_left", "eye_open_right"),
    *(f"lip_shape_{number + 1}" for number in range(_LIP_SHAPES)),
)


def expression_curves(footage: Footage, report: Report | None = None) -> NDArray[np.float32]:
    """The curves that ``CURVES`` names, float32 (N, K), one row per frame, without the motion of the head.

    ``jaw_open``: distance of lower lip and chin below their resting position, relative to the height of the face from
    eyes to chin. ``mouth_open``: distance of the lips, relative to the resting width of the mouth. ``mouth_wide`` and
    ``mouth_round``: by how much the mouth is wider or narrower than at rest, relative to that width. ``eye_open_left``
    and ``eye_open_right``, of the speaker's own left and right: 0 is shut, 1 is the usual opening. ``lip_shape_1`` and
    so on: principal components of the lips' outlines in standard deviations, in order of their variance; the sign is
    such that the coordinate with the largest weight grows, to the right or downwards. Frames without a face are
    interpolated.

    Args:
        footage: The clip, with a tracked head.
        report: See :func:`s2l_core.whole_head.blinking.eye_openness`.
    """
    layout = footage.layout
    points = without_head_motion(footage.landmarks, footage.track).astype(np.float64)
    jaw, opening, width = _jaw(points, layout), _opening(points, layout), _width(points, layout)
    found = np.isfinite(opening)
    rest = float(np.median(width[found][opening[found] <= np.quantile(opening[found], _CALM_SHARE)]))
    shape = footage.track.shape[:, :2]
    height = float(np.linalg.norm(shape[layout.chin].mean(axis=0) - shape[layout.eye_corners].mean(axis=0)))
    wider = (width - rest) / rest
    picture_left, picture_right = eye_openness(footage, report).T
    curves = np.column_stack(
        [
            np.maximum((jaw - np.quantile(jaw[found], _REST)) / height, 0.0),
            opening / rest,
            np.maximum(wider, 0.0),
            np.maximum(-wider, 0.0),
            picture_right,
            picture_left,
            _principal_components(lip_shapes(footage.landmarks, footage.track, layout), found),
        ]
    )
    frames = np.arange(len(curves))
    whole = np.stack([np.interp(frames, frames[found], curve[found]) for curve in curves.T], axis=1)
    return gaussian_filter1d(whole, _SMOOTHED * float(footage.info.rate), axis=0, mode="nearest").astype(np.float32)


def _jaw(points: Array, layout: LandmarkLayout) -> Array:
    """Height of the lower lip and the chin, (N,) in millimetres downwards. The lip counts twice, since it is tracked
    more accurately.
    """
    return np.asarray((2 * points[:, layout.lips_outer, 1].max(axis=1) + points[:, layout.chin, 1].mean(axis=1)) / 3)


def _opening(points: Array, layout: LandmarkLayout) -> Array:
    between = points[:, layout.inner_bottom] - points[:, layout.inner_top]
    return np.asarray(np.linalg.norm(between, axis=-1).mean(axis=-1))


def _width(points: Array, layout: LandmarkLayout) -> Array:
    left, right = layout.mouth_corners
    return np.asarray(np.linalg.norm(points[:, right] - points[:, left], axis=-1))


def _principal_components(shapes: NDArray[np.float32], found: NDArray[np.bool_]) -> Array:
    """Principal components of lip shapes (N, 2 L) in standard deviations, (N, 5); zero beyond the rank of the
    shapes.
    """
    varied = np.asarray(shapes[found] - shapes[found].mean(axis=0), np.float64)
    _, deviations, directions = np.linalg.svd(varied, full_matrices=False)
    directions, deviations = directions[:_LIP_SHAPES], deviations[:_LIP_SHAPES] / np.sqrt(len(varied))
    directions *= np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])[:, None]
    result = np.full((len(shapes), _LIP_SHAPES), np.nan)
    result[found] = 0.0
    kept = deviations > 1e-6
    result[np.ix_(found, np.flatnonzero(kept))] = varied @ directions[kept].T / deviations[kept]
    return result
