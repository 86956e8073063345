"""Blinking: the skin below the brows is drawn over the eyes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry.camera import Rectangle
from ..media.raster import Picture
from .portrait import Portrait

Array = NDArray[np.float64]
Plane = NDArray[np.float32]

_UPPER = np.array([[33, 246, 161, 160, 159, 158, 157, 173, 133], [362, 398, 384, 385, 386, 387, 388, 466, 263]])
_LOWER = np.array([[33, 7, 163, 144, 145, 153, 154, 155, 133], [362, 382, 381, 380, 374, 373, 390, 249, 263]])
_BROWS = np.array([52, 282])
"""Landmarks of both eyes, from the left to the right corner in the picture; and below the middles of the brows."""
_REACH = 0.8
"""How far the skin that moves reaches from the lid to the brow."""
_BELOW = 0.04
"""Overlap of a shut lid with the lower one, in widths of the eye."""
_FIRST, _USUAL, _SHORTEST = 1.0, 3.5, 1.2
"""Earliest blink, mean additional time between two, and least time between them, in seconds."""
_CLOSING, _SHUT, _OPENING = 0.10, 0.04, 0.18
"""Durations of the phases of a blink in seconds."""


def blink_shares(times: Array, seed: int) -> Array:
    """How far the eyes are shut at times (F,) in seconds, from 0 to 1: float64 (F,), the same for the same seed."""
    rng = np.random.default_rng([seed, 1])
    shares = np.zeros(len(times))
    begin = _FIRST * rng.uniform(0.3, 1.0) + rng.exponential(_USUAL) / 2
    while begin < times[-1]:
        since = times - begin
        rise = np.clip(since / _CLOSING, 0.0, 1.0)
        fall = np.clip((since - _CLOSING - _SHUT) / _OPENING, 0.0, 1.0)
        shares = np.maximum(shares, _smooth(rise) * (1.0 - _smooth(fall)))
        begin += _SHORTEST + rng.exponential(_USUAL)
    return shares


@dataclass(frozen=True)
class _Eye:
    """An eye in axes along and across it, with its left corner as the origin, in pixels.

    Attributes:
        box: The pixels around it that may change.
        along: float32 (h, w) position of each of them along the eye.
        across: float32 (h, w) the same across it, downwards.
        upper: float32 (h, w) height of the upper lid there.
        lower: float32 (h, w) height of the lower lid there.
        brow: Height from which nothing moves.
        down: float64 (2,) pixels of the picture for a step across the eye.
    """

    box: Rectangle
    across: Plane
    upper: Plane
    lower: Plane
    brow: float
    down: Array


class Eyelids:
    """The lids of a portrait.

    Args:
        portrait: The face.
        stretch: float64 (2,), pixels of the stored picture per pixel of the image with square pixels.
        width: Width of the stored picture.
        height: Its height.

    Attributes:
        boxes: The pixels that may change.
    """

    def __init__(self, portrait: Portrait, stretch: Array, width: int, height: int) -> None:
        points = portrait.points * stretch
        self._eyes = [_make_eye(points, eye, width, height) for eye in range(2)]
        self.boxes = [eye.box for eye in self._eyes]

    def close(self, picture: Picture, share: float) -> Picture:
        """A picture whose eyes are shut by a share from 0 to 1."""
        if share <= 0.0:
            return picture
        closed = picture.copy()
        for eye in self._eyes:
            box = eye.box
            part = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
            closed[part] = _close(picture, eye, share)
        return closed


def _make_eye(points: Array, eye: int, width: int, height: int) -> _Eye:
    upper, lower = points[_UPPER[eye]], points[_LOWER[eye]]
    left, right = upper[0], upper[-1]
    length = float(np.linalg.norm(right - left))
    right_axis = (right - left) / length
    axes = np.stack([right_axis, [-right_axis[1], right_axis[0]]])
    lids = [(edge - left) @ axes.T for edge in (upper, lower)]
    lids[1][1:-1, 1] += _BELOW * length
    lid = float(lids[0][:, 1].min())
    brow = lid + _REACH * (float(((points[_BROWS[eye]] - left) @ axes.T)[1]) - lid)
    corners = np.array([[x, y] for x in (0.0, length) for y in (brow, lids[1][:, 1].max())]) @ axes + left
    first = np.clip(np.floor(corners.min(axis=0)) - 1, 0, [width - 1, height - 1]).astype(int)
    last = np.clip(np.ceil(corners.max(axis=0)) + 1, first + 1, [width, height]).astype(int)
    box = Rectangle(int(first[0]), int(first[1]), int(last[0] - first[0]), int(last[1] - first[1]))
    x, y = np.meshgrid(np.arange(first[0], last[0]) + 0.5 - left[0], np.arange(first[1], last[1]) + 0.5 - left[1])
    along, across = x * axes[0, 0] + y * axes[0, 1], x * axes[1, 0] + y * axes[1, 1]
    heights = [np.interp(along, lid[:, 0], lid[:, 1]).astype(np.float32) for lid in lids]
    return _Eye(box, across.astype(np.float32), heights[0], np.maximum(*heights), brow, axes[1])


def _close(picture: Picture, eye: _Eye, share: float) -> Picture:
    """The pixels (h, w, C) of an eye that is shut by a share."""
    edge = eye.upper + np.float32(share) * (eye.lower - eye.upper)
    above = np.maximum(edge - np.float32(eye.brow), np.float32(1e-3))
    part = np.clip((eye.across - np.float32(eye.brow)) / above, 0, 1)
    shift = (eye.upper - edge) * part * part * (3 - 2 * part)  # from the brow to the lid
    box = eye.box
    x = np.arange(box.width, dtype=np.float32) + box.left + shift * np.float32(eye.down[0])
    y = (np.arange(box.height, dtype=np.float32) + box.top)[:, None] + shift * np.float32(eye.down[1])
    lid = cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    old = picture[box.top : box.top + box.height, box.left : box.left + box.width]
    opacity = np.clip(edge - eye.across + np.float32(0.5), 0, 1)[..., None]
    mixed = old + opacity * (lid.astype(np.float32) - old)
    return np.where(shift[..., None] == 0, old, (mixed + np.float32(0.5)).astype(picture.dtype))


def _smooth(share: Array) -> Array:
    return share * share * (3.0 - 2.0 * share)
