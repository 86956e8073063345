"""Choosing a few of many: evenly spaced, or as different as possible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def evenly_spaced(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of the indices 0 to ``count`` - 1, evenly spaced and ascending: int64 (n,)."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def farthest_points(points: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Farthest-point sampling: the point nearest to the median, and then always the one farthest from those before it.

    Args:
        points: float64 (n, d).
        most: Number of points to choose, or all if there are fewer.

    Returns:
        int64 (k,) indices in the order in which they were chosen.
    """
    chosen = [int(np.linalg.norm(points - np.median(points, axis=0), axis=1).argmin())]
    distance = np.full(len(points), np.inf)
    while len(chosen) < min(most, len(points)):
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    return np.array(chosen, np.int64)
