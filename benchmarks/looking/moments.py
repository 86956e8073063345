"""The moments at which lips are looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COUNT = 8
_FAST_FRAMES = 3
"""Number of frames in which a fast opening takes place."""


def closed_to_open(openings: NDArray[np.float64]) -> list[int]:
    """Indices of eight frames from the most closed to the most open mouth, in steps of the opening that are as equal as
    the frames allow; none if no frame shows the face.

    Args:
        openings: (N,) opening of the real mouth; NaN in frames without a face.
    """
    shown = np.flatnonzero(np.isfinite(openings))
    if not len(shown):
        return []
    steps = np.linspace(openings[shown].min(), openings[shown].max(), COUNT)
    return [int(shown[np.abs(openings[shown] - step).argmin()]) for step in steps]


def fast_opening(openings: NDArray[np.float64]) -> list[int]:
    """Indices of eight successive frames, or of all if there are fewer, with the largest rise of the opening within
    three frames in their middle. An average of several mouths shows there as a double exposure.

    Args:
        openings: (N,) opening of the real mouth; NaN in frames without a face.
    """
    rises = np.nan_to_num(openings[_FAST_FRAMES:] - openings[:-_FAST_FRAMES], nan=-np.inf)
    fastest = int(rises.argmax()) if len(rises) else 0
    first = fastest + (_FAST_FRAMES + 1) // 2 - COUNT // 2
    first = max(0, min(first, len(openings) - COUNT))
    return list(range(first, min(first + COUNT, len(openings))))
