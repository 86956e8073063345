"""How far the eyes are open, measured in pictures of the eyes, since landmarks of the lids hardly follow a blink."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..canonical.regions import without_head_motion
from ..events import Report
from ..footage import Footage
from ..geometry.camera import project

Array = NDArray[np.float64]

_WIDTH, _HEIGHT, _MARGIN = 32, 20, 4
"""Width and height of an eye's picture, and distance of the eye's corners from its edges, in pixels."""
_COMPONENTS = 4
_STEPS = 60
_SHUT = 3
"""Least number of frames with a shut eye if the footage shows blinks."""
_ONE_SIDED, _LIKE_LIDS = 1.5, 0.2
"""Least skewness of a blink signal, and its least correlation with the distance of the lids."""


def eye_openness(footage: Footage, report: Report | None = None) -> Array:
    """How far each eye is open, (N, 2) for the left and the right eye in the picture: 0 is shut, 1 is the usual
    opening.

    Blinks are rare, strong and one-sided. The blink signal is therefore the direction of the greatest skewness among
    the principal components of the eye's picture; the search starts from the distance of the lids. If there is no such
    direction, that distance is used, relative to its median. The value is NaN in frames without a face.

    Args:
        footage: The clip, with a tracked head.
        report: Receives the phase ``"Measure eyes"``.
    """
    found = footage.track.found
    layout = footage.layout
    points = without_head_motion(footage.landmarks, footage.track)[found].astype(np.float64)
    lids = np.linalg.norm(points[:, layout.lower_lids] - points[:, layout.upper_lids], axis=-1).mean(axis=-1)
    pictures = _read_eyes(footage, report or Report())[found]
    result = np.full((len(found), 2), np.nan)
    for eye in range(2):
        result[found, eye] = openness(pictures[:, eye], lids[:, eye])
    return result


def openness(pictures: Array, lids: Array) -> Array:
    """How far one eye is open, (n,), see :func:`eye_openness`.

    Args:
        pictures: (n, P) pixels of the eye, in any unit.
        lids: (n,) distance of the lids' landmarks, in any unit.
    """
    by_lids = lids / np.median(lids)
    if len(pictures) <= _COMPONENTS:
        return by_lids
    varied = pictures - pictures.mean(axis=1, keepdims=True)
    components, strengths, _ = np.linalg.svd(varied - varied.mean(axis=0), full_matrices=False)
    white = components[:, :_COMPONENTS] * np.sqrt(len(components)) * (strengths[:_COMPONENTS] > 1e-6 * strengths[0])
    closing = np.median(lids) - lids
    direction = white.T @ closing
    for _ in range(_STEPS):
        direction /= max(float(np.linalg.norm(direction)), 1e-12)
        direction = white.T @ np.square(white @ direction)
    blinking = white @ direction
    blinking -= np.median(blinking)
    deviation, shut = float(blinking.std()), float(np.sort(blinking)[-_SHUT:].mean())
    if deviation < 1e-9 or float(((blinking - blinking.mean()) ** 3).mean()) < _ONE_SIDED * deviation**3:
        return by_lids
    if float(np.corrcoef(blinking, closing)[0, 1]) < _LIKE_LIDS:
        return by_lids
    return np.asarray(1.0 - (blinking / shut).clip(None, 1.0))


def _read_eyes(footage: Footage, report: Report) -> Array:
    """Both eyes of every frame, greyscale, upright and of equal size: (N, 2, P)."""
    track = footage.track
    corners = project(track.shape[footage.layout.eye_corners], track.poses, track.intrinsics).reshape(-1, 2, 2, 2)
    width = _WIDTH - 2 * _MARGIN
    there = np.array([[0, 0], [width, 0], [width / 2, width / 2]]) + [_MARGIN, _HEIGHT / 2] - 0.5
    pictures = np.zeros((len(corners), 2, _HEIGHT * _WIDTH))
    for index, frame in enumerate(footage.frames()):
        report.progress("Measure eyes", index, len(corners))
        if not track.found[index]:
            continue
        grey = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        for eye, (first, second) in enumerate(corners[index]):
            across = second - first
            below = (first + second + [-across[1], across[0]]) / 2
            here = np.stack([first, second, below]) - 0.5
            matrix = cv2.getAffineTransform(here.astype(np.float32), there.astype(np.float32))
            pictures[index, eye] = cv2.warpAffine(grey, matrix, (_WIDTH, _HEIGHT)).ravel()
    return pictures
