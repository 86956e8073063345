"""The transfer curve of sRGB (IEC 61966-2-1), in both directions."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def to_linear(coded: NDArray[Any]) -> NDArray[Any]:
    """Scene-linear values of sRGB code values of any shape, 1 for full scale. The line near 0 extends below 0."""
    return np.where(coded <= 0.04045, coded / 12.92, ((np.maximum(coded, 0.0) + 0.055) / 1.055) ** 2.4)


def from_linear(linear: NDArray[np.float32]) -> NDArray[Any]:
    """SRGB code values of scene-linear values from 0 to 1, in a contiguous array of any shape."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * cv2.pow(linear, 1 / 2.4) - 0.055)
