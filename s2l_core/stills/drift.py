"""Slight motion of the head: a picture of a head turns by less than a degree, as if it had depth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..face.layout import MESH468
from ..geometry.camera import Rectangle
from ..media.raster import Picture
from .portrait import Portrait

Array = NDArray[np.float64]
Plane = NDArray[np.float32]

_DEGREES = np.array([0.9, 0.6, 0.5])
"""Largest yaw, pitch and roll."""
_WAVES, _SLOWEST, _FASTEST = 5, 0.06, 0.45
"""Number of waves that make up the motion, and their frequencies in hertz."""
_HEAD = np.array([0.75, 0.95])
"""Half width and half height of the head, relative to the width and the height of the face."""
_DEPTH = 0.6
"""Depth of the head in front of the axis that it turns about, in widths of the face."""
_OUTSIDE = 1.8
"""Distance, in half widths and heights of the head, from which nothing moves."""
_CELLS = 96
"""Number of cells along the sides of the rectangle on which the motion is computed."""


def drift_angles(times: Array, seed: int) -> Array:
    """Yaw, pitch and roll (F, 3) in radians at times (F,) in seconds, the same for the same seed; 0 at the first."""
    rng = np.random.default_rng([seed, 2])
    angles = np.zeros((len(times), 3))
    for axis in range(3):
        frequencies, phases = rng.uniform(_SLOWEST, _FASTEST, _WAVES), rng.uniform(0.0, 2 * np.pi, _WAVES)
        waves = np.sin(2 * np.pi * frequencies * times[:, None] + phases) - np.sin(phases)
        angles[:, axis] = waves.sum(axis=1) / (2 * _WAVES)
    return np.radians(_DEGREES) * angles


class HeadDrift:
    """Turns the head of a portrait.

    Args:
        portrait: The face.
        stretch: float64 (2,), pixels of the stored picture per pixel of the image with square pixels.
        width: Width of the stored picture.
        height: Its height.

    Attributes:
        box: The pixels that may change.
    """

    def __init__(self, portrait: Portrait, stretch: Array, width: int, height: int) -> None:
        points = portrait.points
        centre = (points.min(axis=0) + points.max(axis=0)) / 2
        size = np.ptp(points, axis=0)
        top, chin = points[MESH468.face_top[0]], points[MESH468.chin[0]]
        centre = centre + 0.12 * (top - chin)  # the head reaches higher than the face
        reach = _OUTSIDE * _HEAD * size
        low = np.clip(np.floor((centre - reach) * stretch), 0, [width - 1, height - 1]).astype(int)
        high = np.clip(np.ceil((centre + reach) * stretch), low + 1, [width, height]).astype(int)
        self.box = Rectangle(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
        x = (low[0] + (np.arange(_CELLS) + 0.5) * self.box.width / _CELLS) / stretch[0] - centre[0]
        y = (low[1] + (np.arange(_CELLS) + 0.5) * self.box.height / _CELLS) / stretch[1] - centre[1]
        x, y = np.meshgrid(x, y)
        radius = np.hypot(x / (_HEAD[0] * size[0]), y / (_HEAD[1] * size[1]))
        weight = _fall(np.clip((_OUTSIDE - radius) / (_OUTSIDE - 1.0), 0.0, 1.0))
        weight *= _border(self.box, width, height)
        depth = _DEPTH * size[0] * np.sqrt(np.clip(1.0 - np.square(radius), 0.0, 1.0))
        by_yaw = np.stack([-depth, np.zeros_like(x)], axis=-1)
        by_pitch = np.stack([np.zeros_like(x), depth], axis=-1)
        by_roll = np.stack([-y, x], axis=-1)
        self._motions = np.stack([by_yaw, by_pitch, by_roll], axis=-1) * weight[..., None, None] * stretch[:, None]

    def turn(self, picture: Picture, angles: Array) -> Picture:
        """A picture whose head is turned by angles (3,) in radians."""
        shift = -(self._motions @ angles).astype(np.float32)
        if not shift.any():
            return picture
        box = self.box
        fine = cv2.resize(shift, (box.width, box.height), interpolation=cv2.INTER_LINEAR)
        x = fine[..., 0] + (np.arange(box.width, dtype=np.float32) + box.left)
        y = fine[..., 1] + (np.arange(box.height, dtype=np.float32) + box.top)[:, None]
        turned = picture.copy()
        turned[box.top : box.top + box.height, box.left : box.left + box.width] = cv2.remap(
            picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return turned


def _border(box: Rectangle, width: int, height: int) -> Array:
    """Weights (cells, cells) that fall to 0 at the edges of the rectangle, which may be those of the picture."""
    along = np.minimum(np.arange(_CELLS), np.arange(_CELLS)[::-1]) / (0.08 * _CELLS)
    profile = _fall(np.clip(along, 0.0, 1.0))
    sides = [np.where(np.arange(_CELLS) < _CELLS / 2, low, high) for low, high in _cut(box, width, height)]
    across, down = (np.where(is_cut, profile, 1.0) for is_cut in sides)
    return down[:, None] * across


def _cut(box: Rectangle, width: int, height: int) -> list[tuple[bool, bool]]:
    """Whether the first and the last edge of a rectangle are those of the picture, across and down."""
    return [(box.left == 0, box.left + box.width == width), (box.top == 0, box.top + box.height == height)]


def _fall(share: Array) -> Array:
    return share * share * (3.0 - 2.0 * share)
