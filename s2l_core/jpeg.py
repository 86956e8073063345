"""JPEG pictures inside of other files: encoding them, and decoding those that nobody has checked."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_START, END = b"\xff\xd8", b"\xff\xd9"
"""First and last bytes of a JPEG."""
_FRAME_MARKERS = frozenset([*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)])
"""Markers of the segment that states height and width."""


def encode(picture: NDArray[np.uint8], quality: int) -> bytes:
    """A picture (H, W, 3) RGB as a JPEG with colours at full resolution.

    Args:
        picture: uint8 RGB.
        quality: 1 to 100; more keeps finer grain and takes more bytes.
    """
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality]
    parameters += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), parameters)[1].tobytes()


def decode(encoded: bytes) -> NDArray[np.uint8]:
    """The picture uint8 (H, W, 3) RGB of a JPEG, whose :func:`size` the caller has bounded.

    Raises:
        ValueError: The bytes are not a JPEG, or are damaged.
    """
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("not a JPEG")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def size(encoded: bytes) -> tuple[int, int]:
    """Height and width of a JPEG, without decoding it; zeros if the bytes are not a JPEG."""
    place = len(_START) if encoded.startswith(_START) else len(encoded)
    while encoded[place : place + 1] == b"\xff" and place + 9 <= len(encoded):
        marker, length = encoded[place + 1], int.from_bytes(encoded[place + 2 : place + 4], "big")
        if marker in _FRAME_MARKERS:
            height, width = (int.from_bytes(encoded[place + at : place + at + 2], "big") for at in (5, 7))
            return height, width
        place += 2 + length
    return 0, 0
