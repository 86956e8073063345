"""The person cut out of frames: the matte, and the colours of the person alone."""

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
_BEYOND = 0.04
"""Distance outside of the matte, relative to the head's size, to which the person has colours."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FINEST = 1.5
"""Standard deviation in pixels up to which blurs are computed at the full resolution."""
_EDGE = 0.08
"""Distance beyond the matte, relative to the head's size, from which a pixel certainly shows the background."""


class CutFrame(NamedTuple):
    """The person in a frame.

    Attributes:
        matte: float32 (H, W), share of each pixel that shows the person.
        person: float32 (H, W, 3) colours of the person in [0, 1], without those of the background at the edges.
    """

    matte: Plane
    person: Colours


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
    """Cut the person out of a frame.

    Near the edge, colours are solved from the matte, and get the hue of the person farther inside, since the hue of the
    background bleeds into several pixels of most footage.

    Args:
        picture: uint8 (H, W, 3) the frame.
        matte: float32 (H, W) its matte.
        plate: uint8 (H, W, 3) what is behind the person.
        size: Height of the head in pixels.
    """
    person = np.multiply(picture, np.float32(1 / 255))
    sure = cv2.erode((matte > _SURE).astype(np.uint8), disc(_BLEEDING * size))
    inside = np.dstack([person * sure[..., None], sure])
    edge = np.flatnonzero((cv2.dilate((matte > 0).astype(np.uint8), disc(_BEYOND * size)) > sure).ravel())
    shown, share = person.reshape(-1, 3)[edge], matte.reshape(-1, 1)[edge]
    carried = shown
    for deviation in (4 * _SPREAD * size, _SPREAD * size):
        blurred = _blurred(inside, max(deviation, 1.0)).reshape(-1, 4)[edge]
        known = np.minimum(blurred[:, 3:] / 0.02, 1.0)
        carried = carried + known * (blurred[:, :3] / np.maximum(blurred[:, 3:], 1e-6) - carried)
    behind = plate.reshape(-1, 3)[edge].astype(np.float32) / 255
    alone = (behind + (shown - behind) / np.maximum(share, _LEAST)).clip(0, 1)
    tinted = (carried + ((alone - carried) @ _LUMA)[:, None]).clip(0, 1)
    share = ((share - _LEAST) / (_SURE - _LEAST)).clip(0, 1)
    person.reshape(-1, 3)[edge] = carried + share * (tinted - carried)
    return CutFrame(matte, person)


def background_in(matte: Plane, size: float) -> Plane:
    """Float32 (H, W), 1 where a frame with that matte certainly shows the background, with a soft edge.

    Args:
        matte: float32 (H, W).
        size: Height of the head in pixels.
    """
    occupied = cv2.dilate((matte > 0.02).astype(np.uint8), disc(_EDGE * size))
    return 1.0 - _blurred(occupied.astype(np.float32), max(1.0, _EDGE * size / 3))


def _blurred(layers: Plane, deviation: float) -> Plane:
    """Blur layers (H, W, C) or (H, W) by a Gaussian, a wide one at a lower resolution."""
    coarser = max(1, int(deviation / _FINEST))
    height, width = layers.shape[:2]
    size = max(1, width // coarser), max(1, height // coarser)
    small = cv2.resize(layers, size, interpolation=cv2.INTER_AREA) if coarser > 1 else layers
    blurred = cv2.GaussianBlur(small, (0, 0), deviation / coarser)
    return np.asarray(cv2.resize(blurred, (width, height)) if coarser > 1 else blurred, np.float32)


def disc(radius: float) -> Picture:
    """A disc as a structuring element, with a radius of at least one pixel."""
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
