"""Whether something is before the mouth of a picture: what is around the lips has another colour than the cheeks.

Skin and lips reflect more red than anything grey, white, black, green or blue. The share of red in the light hardly
changes in shade, nor does it depend on how dark the skin is.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .portrait import Portrait

_AROUND = np.array(
    [164, 167, 393, 165, 391, 92, 322, 186, 410, 18, 200, 83, 313, 182, 406, 201, 421, 43, 273, 106, 335]
)
"""Landmarks on the skin between nose, lips and chin."""
_CHEEKS = np.array([50, 101, 36, 280, 330, 266, 205, 425])
_GREY = 1 / 3
_LEAST_RED = 0.1
"""How much more red than a grey surface cheeks must reflect for the measurement: they do not in grey pictures, nor in
those with a cold tint.
"""
_COVERED, _PLACES = 0.65, 0.7
"""A place is covered if its share of red lies further than this from that of the cheeks to that of grey; and quantile
of the places of which this is asked: somewhat less than a third of them is enough. Of people with free mouths none
exceeded 0.2, one with a full beard reached 0.26, and grey or blue things began at 0.8.
"""
_BLUR, _GAMMA = 0.015, 2.2
"""Standard deviation of a blur, relative to the width of the face, and exponent that gives light for code values."""


def is_covered(image: NDArray[np.uint8], portrait: Portrait) -> bool:
    """Whether a part of what is around the lips is not skin: a microphone, a cup, a mask. Things that are as red as
    skin, such as a hand, are not recognised, nor are most beards, nor anything in a picture with a strong tint.

    Args:
        image: uint8 (H, W, 3) RGB.
        portrait: The face in it.
    """
    soft = np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.5, _BLUR * portrait.width)), np.uint8)
    cheeks = float(np.median(_red_at(soft, portrait.points[_CHEEKS])))
    if cheeks < _GREY + _LEAST_RED:
        return False
    shares = (cheeks - _red_at(soft, portrait.points[_AROUND])) / (cheeks - _GREY)
    return bool(np.quantile(shares, _PLACES) > _COVERED)


def _red_at(image: NDArray[np.uint8], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of red in the light at places (n, 2) in pixels; those outside of the image count as at its edge."""
    column, row = np.clip(np.floor(places).astype(int), 0, [image.shape[1] - 1, image.shape[0] - 1]).T
    light = np.power(image[row, column] / 255.0, _GAMMA)
    return np.asarray(light[:, 0] / (light.sum(axis=1) + 0.01))
