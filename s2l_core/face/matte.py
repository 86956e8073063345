"""The matte of a person: which share of each pixel shows a person, and not the background.

A segmentation network sees the whole picture and the surroundings of the head, both at a low resolution; a guided
filter then moves its edges to those of the picture. The network is MediaPipe's selfie segmentation, a MobileNetV3,
from the files of an installed package, whose code is not used; nothing is downloaded.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import LandmarksUnavailable, MatteUnavailable
from ..geometry.camera import Rectangle
from .blazeface import Network

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]

_PACKAGE, _VERSION = "mediapipe", "0.10.21"
_FILE = "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite"
_SHA256 = "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c"
_REACH = 1.0
"""Radius of the guided filter in pixels of the network: the distance by which an edge may move."""
_CONTRAST = 1e-4
"""Variance of the brightness, in [0, 1], above which the filter follows an edge of the picture."""
_CERTAIN = (0.1, 0.9)
"""Values of the filtered matte that become 0 and 1."""
_WHOLE = 0.7
"""Share of the picture above which the surroundings of the head are not looked at alone."""
_FADED = 0.1
"""Share of a cut-out within which its matte fades into that of the whole picture."""


class Matting:
    """Cuts people out of pictures.

    Args:
        network: The segmentation network.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def matte(self, picture: Picture, head: Rectangle | None = None) -> Plane:
        """The matte float32 (H, W) in [0, 1] of a picture, uint8 (H, W, 3) RGB.

        Args:
            picture: The picture.
            head: Surroundings of a head, which are also looked at alone, and thus in more detail; None means that
                there is none.
        """
        height, width = picture.shape[:2]
        whole = self._segment(picture)
        if head is None:
            return whole
        left, top = max(0, head.left), max(0, head.top)
        right, bottom = min(width, head.left + head.width), min(height, head.top + head.height)
        if right - left < 2 or bottom - top < 2 or (right - left) * (bottom - top) > _WHOLE * height * width:
            return whole
        near = self._segment(np.ascontiguousarray(picture[top:bottom, left:right]))
        borders = (left > 0, top > 0, right < width, bottom < height)
        whole[top:bottom, left:right] += _inside(near.shape, borders) * (near - whole[top:bottom, left:right])
        return whole

    def _segment(self, picture: Picture) -> Plane:
        size, height, width = self._network.size, *picture.shape[:2]
        small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
        (found,) = self._network.run(small.astype(np.float32) / 255)
        coarse = np.asarray(cv2.resize(found.reshape(size, size), (width, height)), np.float32)
        radius = max(1, round(_REACH * max(height, width) / size))
        guide = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        low, high = _CERTAIN
        return np.asarray(((_guided(coarse, guide, radius) - low) / (high - low)).clip(0, 1), np.float32)


def _inside(size: tuple[int, ...], borders: tuple[bool, bool, bool, bool]) -> Plane:
    """Weight (h, w) of a cut-out: 1, and decreasing to 0 at those of its borders that are inside the picture, in the
    order left, top, right, bottom.
    """
    rows, columns = (np.arange(length, dtype=np.float32) + 0.5 for length in size)
    reach = max(1.0, _FADED * min(size))
    left, top, right, bottom = (np.float32(1.0 if border else np.inf) for border in borders)
    across = np.minimum(columns * left, (size[1] - columns) * right)
    down = np.minimum(rows * top, (size[0] - rows) * bottom)
    return np.asarray(np.minimum(1.0, np.minimum(across[None], down[:, None]) / reach), np.float32)


def _guided(values: Plane, guide: Plane, radius: int) -> Plane:
    """The guided filter of He, Sun and Tang (2010): ``values`` as a linear function of the guide in each window."""

    def mean(plane: Plane) -> Plane:
        return np.asarray(cv2.blur(plane, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT), np.float32)

    of_guide, of_values = mean(guide), mean(values)
    slope = (mean(guide * values) - of_guide * of_values) / (mean(guide * guide) - of_guide**2 + _CONTRAST)
    return mean(slope) * guide + mean(of_values - slope * of_guide)


@lru_cache(maxsize=1)
def open_matting() -> Matting:
    """Open the segmentation network.

    Raises:
        MatteUnavailable: The package with the weights or LiteRT is missing or damaged.
    """
    try:
        model = Path(str(metadata.distribution(_PACKAGE).locate_file(_FILE))).read_bytes()
        if hashlib.sha256(model).hexdigest() != _SHA256:
            raise ValueError("the segmentation network is damaged")
        return Matting(Network(model))
    except (metadata.PackageNotFoundError, LandmarksUnavailable, OSError, ValueError) as error:
        raise MatteUnavailable(
            f"People cannot be cut out of pictures: {error}.",
            f"Set up the engine again, or run: python -m pip install --no-deps {_PACKAGE}=={_VERSION}",
        ) from error
