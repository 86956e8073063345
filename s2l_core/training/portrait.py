"""The small portrait in a speaker file."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .. import jpeg
from ..canonical.view import CanonicalFace
from ..footage import Footage

_SIDE, _QUALITY = 256, 90


def take_portrait(face: CanonicalFace, footage: Footage, index: int) -> bytes:
    """The head in frame ``index``, as a JPEG whose longer side has at most 256 pixels."""
    image = next(iter(footage.frames(index))).image
    view = face.head.view
    scale = view.intrinsics.width / image.shape[1]
    box = view.rectangle
    edges = np.array([box.left, box.top, box.left + box.width, box.top + box.height]) / scale
    left, top, right, bottom = np.round(edges).astype(int).clip(min=0)
    return _encode(image[top:bottom, left:right])


def _encode(picture: NDArray[np.uint8]) -> bytes:
    shrunk = min(1.0, _SIDE / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA)
    return jpeg.encode(np.asarray(small, np.uint8), _QUALITY)
