"""Measures of pictures and of mouths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB of two pictures; 100 where they are equal."""
    error = np.square(first.astype(np.float64) - second.astype(np.float64)).mean()
    return 100.0 if error == 0 else float(10 * np.log10(255.0**2 / error))


def correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Pearson's correlation of the moments at which both are known; 0 where one of them does not vary."""
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < 2 or np.ptp(first[known]) == 0 or np.ptp(second[known]) == 0:
        return 0.0
    return float(np.corrcoef(first[known], second[known])[0, 1])


def deviation_ratio(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Standard deviation of the first against that of the second, at the moments at which both are known; 0 where the
    second does not vary.
    """
    known = np.isfinite(first) & np.isfinite(second)
    if not known.any() or np.ptp(second[known]) == 0:
        return 0.0
    return float(first[known].std() / second[known].std())
