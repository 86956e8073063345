"""Frames cut into layers: the person and the background, by the matte; and the colours of the person alone."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..face.matte import Matting
from ..footage import Footage
from ..geometry.camera import Rectangle, project

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]
Colours = NDArray[np.float32]

_AROUND = 0.9
"""Margin around the landmarks that the matte sees in detail, as a share of their size."""
_SURE = 0.95
"""Matte above which a pixel has the colour of the person."""
_LEAST = 0.4
"""Matte below which the colour of the person cannot be computed from the pixel, and is that of the nearest ones."""
_SPREAD = 0.012
"""Standard deviation of the Gaussians that carry colours across the edge, relative to the head's size; the second one,
for pixels farther away, is four times as large.
"""
_BLEEDING = 0.014
"""Distance inside the matte's edge, relative to the head's size, to which the background's hue bleeds."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_EDGE = 0.08
"""Distance beyond the matte, relative to the head's size, from which a pixel certainly shows the background."""


class CutFrame(NamedTuple):
    """A frame in layers.

    Attributes:
        matte: float32 (H, W), share of each pixel that shows the person.
        person: float32 (H, W, 3) colours of the person in [0, 1], without those of the background at the edges.
        background: float32 (H, W), 1 where the frame certainly shows the background, with a soft edge.
    """

    matte: Plane
    person: Colours
    background: Plane


def head_size(footage: Footage, index: int) -> float:
    """Height of the landmarks in a frame in pixels."""
    return float(np.ptp(project(footage.track.shape, footage.track.poses[index], footage.track.intrinsics)[:, 1]))


def matte_of(footage: Footage, index: int, picture: Picture, matting: Matting) -> Plane:
    """The matte float32 (H, W) of a frame; the surroundings of the head are looked at in detail.

    Args:
        footage: The clip, with a tracked head.
        index: Index of the frame.
        picture: uint8 (H, W, 3) the frame, of any size.
        matting: The network.
    """
    if not footage.track.found[index]:
        return matting.matte(picture)
    camera = footage.track.intrinsics.scaled(picture.shape[1] / footage.track.intrinsics.width)
    points = project(footage.track.shape, footage.track.poses[index], camera)
    middle, side = points.mean(axis=0), float(np.ptp(points, axis=0).max()) * (1 + 2 * _AROUND)
    left, top = (round(value - side / 2) for value in middle)
    return matting.matte(picture, Rectangle(left, top, round(side), round(side)))


def cut(picture: Picture, matte: Plane, plate: Picture, size: float) -> CutFrame:
    """Cut a frame into layers.

    Args:
        picture: uint8 (H, W, 3) the frame.
        matte: float32 (H, W) its matte.
        plate: uint8 (H, W, 3) what is behind the person.
        size: Height of the head in pixels.
    """
    # Colours without the background: solved from the matte, and near the edge with the hue of the person farther
    # inside, since the hue of the background bleeds into several pixels of most footage.
    shown, behind = picture.astype(np.float32) / 255, plate.astype(np.float32) / 255
    alone = (behind + (shown - behind) / np.maximum(matte, _LEAST)[..., None]).clip(0, 1)
    sure = cv2.erode((matte > _SURE).astype(np.float32), disc(_BLEEDING * size))
    carried = shown
    for deviation in (4 * _SPREAD * size, _SPREAD * size):
        weight = cv2.GaussianBlur(sure, (0, 0), max(deviation, 1.0))
        blurred = cv2.GaussianBlur(shown * sure[..., None], (0, 0), max(deviation, 1.0))
        known = np.minimum(weight / 0.02, 1.0)[..., None]
        carried = carried + known * (blurred / np.maximum(weight, 1e-6)[..., None] - carried)
    brightness = (alone @ _LUMA)[..., None]
    tinted = (brightness + carried - (carried @ _LUMA)[..., None]).clip(0, 1)
    share = ((matte - _LEAST) / (_SURE - _LEAST)).clip(0, 1)[..., None]
    person = np.where(sure[..., None] > 0, shown, carried + share * (tinted - carried))

    # Pixels that are far enough from the person to show nothing but the background.
    occupied = cv2.dilate((matte > 0.02).astype(np.float32), disc(_EDGE * size))
    occupied = cv2.GaussianBlur(occupied, (0, 0), max(1.0, _EDGE * size / 3))
    return CutFrame(matte, person.astype(np.float32), 1.0 - occupied)


def disc(radius: float) -> Picture:
    """A disc as a structuring element, with a radius of at least one pixel."""
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
