"""Pictures of the embedded speaker with many lines. Only the mouth and what is around it is rendered at that size; the
rest is enlarged from the clip, because a whole picture of 2160 lines takes a minute and a half.
"""

from __future__ import annotations

import cv2
import numpy as np

from .camera import SIZE, Camera, Window
from .head import LIPS_OUTER, Head, transform

_FOCAL_SHARE = 2.65
"""Focal length as a share of the picture's height. With 2160 lines, the mouth is 400 pixels wide."""
_AROUND_MOUTH = {"left": 0.55, "right": 0.55, "top": 0.5, "bottom": 0.85}
"""Margin around the resting lips in widths of the mouth: more than that of the lip rectangle of the canonical view."""
_SEAM = 0.04
"""Width of the transition from what is rendered to what is enlarged, as a share of the window's width."""


def camera_of(lines: int) -> Camera:
    """The camera of a close-up of 16:9 with this number of lines."""
    return Camera(_FOCAL_SHARE * lines, round(lines * 16 / 9), lines)


def mouth_window(head: Head, camera: Camera, pose: np.ndarray) -> Window:
    """The part of a picture that is rendered when the head has a pose (4, 4)."""
    lips = camera.project(transform(pose, head.rest[list(LIPS_OUTER)]))
    (left, top), (right, bottom) = lips.min(axis=0), lips.max(axis=0)
    margin = {side: share * (right - left) for side, share in _AROUND_MOUTH.items()}
    first = np.floor([max(0, left - margin["left"]), max(0, top - margin["top"])]).astype(int)
    last = np.ceil([min(camera.width, right + margin["right"]), min(camera.height, bottom + margin["bottom"])])
    width, height = (last - first).astype(int)
    return Window(int(first[0]), int(first[1]), int(width), int(height))


def enlarge(small: np.ndarray, camera: Camera) -> np.ndarray:
    """A picture of the clip as a camera sees it that stands where the clip's camera stood: its borders are continued to
    the sides.

    Args:
        small: uint8 (384, 384, 3).
        camera: The camera.
    """
    factor = camera.focal_length / Camera().focal_length
    middle = np.array([camera.width / 2, camera.height / 2]) - factor * SIZE / 2  # of pixel borders, not of centres
    matrix = np.array([[factor, 0, middle[0] + (factor - 1) / 2], [0, factor, middle[1] + (factor - 1) / 2]])
    size = camera.width, camera.height
    return cv2.warpAffine(small, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def insert(mouth: np.ndarray, window: Window, picture: np.ndarray) -> np.ndarray:
    """A picture uint8 (H, W, 3) with a mouth in the window, faded in from the window's border."""
    ramps = (np.minimum(np.arange(side) + 1, side - np.arange(side)) for side in (window.width, window.height))
    across, down = (np.clip(ramp / (_SEAM * window.width), 0, 1) for ramp in ramps)
    share = (down[:, None] * across)[..., None]
    rows = slice(window.top, window.top + window.height)
    columns = slice(window.left, window.left + window.width)
    joined = picture.copy()
    joined[rows, columns] = np.round(share * mouth + (1 - share) * picture[rows, columns])
    return joined
