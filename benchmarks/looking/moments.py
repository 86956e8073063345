"""The moments at which lips are looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COUNT = 8
_FAST_FRAMES = 3
"""Number of frames in which a fast opening takes place."""
_USUAL, _RESTING_SHARE = (0.05, 0.95), 0.25


def closed_to_open(openings: NDArray[np.float64]) -> list[int]:
    """Indices of eight different frames from the most closed to the most open mouth, in steps of the opening that are
    as equal as the frames allow; fewer if fewer frames show the face.

    Args:
        openings: (N,) opening of the real mouth; NaN in frames without a face.
    """
    left = np.flatnonzero(np.isfinite(openings)).tolist()
    if not left:
        return []
    chosen: list[int] = []
    for step in np.linspace(np.nanmin(openings), np.nanmax(openings), min(COUNT, len(left))):
        chosen.append(min(left, key=lambda index: abs(openings[index] - step)))
        left.remove(chosen[-1])
    return sorted(chosen, key=lambda index: openings[index])


def fast_opening(openings: NDArray[np.float64]) -> list[int]:
    """Indices of eight successive frames, or of all if there are fewer, with the largest rise of the opening within
    three frames in their middle. An average of several mouths shows there as a double exposure.

    Args:
        openings: (N,) opening of the real mouth; NaN in frames without a face.
    """
    rises = np.nan_to_num(openings[_FAST_FRAMES:] - openings[:-_FAST_FRAMES], nan=-np.inf)
    fastest = int(rises.argmax()) if len(rises) else 0
    return _run_around(fastest + (_FAST_FRAMES + 1) // 2, len(openings))


def end_of_pause(openings: NDArray[np.float64]) -> list[int]:
    """Indices of eight successive frames, or of all if there are fewer, with the first opening after the longest rest
    of the mouth in their middle; none if the mouth never rests before it opens.

    Args:
        openings: (N,) opening of the real mouth; NaN in frames without a face. It rests below a quarter of the range
            from the 5% to the 95% quantile, since mouths are a little open in many pauses.
    """
    if not np.isfinite(openings).any():
        return []
    closed, opened = np.nanquantile(openings, _USUAL)
    rests = np.concatenate([[False], openings < closed + _RESTING_SHARE * (opened - closed), [True]])
    begins, ends = np.flatnonzero(rests[1:-1] & ~rests[:-2]), np.flatnonzero(rests[1:-1] & ~rests[2:])
    begins = begins[: len(ends)]
    if len(begins) == 0:
        return []
    return _run_around(int(ends[(ends - begins).argmax()]) + 1, len(openings))


def _run_around(middle: int, count: int) -> list[int]:
    """Eight successive indices of ``count``, or all if there are fewer, around a middle."""
    first = max(0, min(middle - COUNT // 2, count - COUNT))
    return list(range(first, min(first + COUNT, count)))
