"""Where the skin of a face is cut so that a mouth can open: the edges of the upper and the lower lip in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..face.layout import MESH468

Array = NDArray[np.float64]

UPPER, LOWER = MESH468.lips_inner[:11], MESH468.lips_inner[np.r_[0, 19:9:-1]]
"""The inner edges of both lips, from the left to the right corner."""
OPEN = 0.05
"""Opening relative to the width of the mouth from which a picture shows an open mouth."""
_SEARCH = 0.07
"""Distance from the landmarks within which the line between closed lips is searched, in widths of the mouth."""
_BEND = 0.6
"""Cost of a bend of that line by a cell, relative to the contrast of the picture."""


@dataclass(frozen=True)
class Slit:
    """The edges of both lips, as heights in cells over the columns of a face grid.

    Attributes:
        left: Position in cells of the left corner of the mouth.
        right: Position of the right corner.
        columns: float64 (n,) positions in cells from corner to corner.
        upper: float64 (n,) height of the upper lip's edge.
        lower: float64 (n,) height of the lower lip's edge, not above the upper one.
        is_open: Whether there is something to see between them.
    """

    columns: Array
    upper: Array
    lower: Array
    is_open: bool

    @property
    def left(self) -> float:
        return float(self.columns[0])

    @property
    def right(self) -> float:
        return float(self.columns[-1])

    def upper_at(self, x: NDArray[np.floating]) -> NDArray[np.floating]:
        """Heights of the upper lip's edge at positions in cells, constant beyond the corners."""
        return np.interp(x, self.columns, self.upper)

    def lower_at(self, x: NDArray[np.floating]) -> NDArray[np.floating]:
        """As :meth:`upper_at`, for the lower lip."""
        return np.interp(x, self.columns, self.lower)


def find_slit(points: Array, face: NDArray[np.uint8]) -> Slit:
    """The edges of the lips, from landmarks; the line between closed lips is the darkest one nearby.

    Args:
        points: float64 (468, 2) landmarks in cells.
        face: uint8 (cells, cells, 3) RGB, the face on the cells.
    """
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
    upper, lower = points[UPPER], points[LOWER]
    left, right = (upper[0] + lower[0]) / 2, (upper[-1] + lower[-1]) / 2
    columns = np.linspace(left[0], right[0], max(8, round(right[0] - left[0]) + 1))
    heights = [np.interp(columns, edge[:, 0], edge[:, 1]) for edge in (upper, lower)]
    heights[1] = np.maximum(heights[0], heights[1])
    width = right[0] - left[0]
    is_open = float((heights[1] - heights[0]).max()) > OPEN * width
    if not is_open:
        line = _darkest_line(grey, columns, sum(heights) / 2, _SEARCH * width)
        heights = [line, line]
    return Slit(columns, heights[0], heights[1], is_open)


def _darkest_line(grey: NDArray[np.float32], columns: Array, expected: Array, reach: float) -> Array:
    """Heights (n,) of the darkest smooth line near an expected one, by dynamic programming over shifts."""
    shifts = np.arange(-np.ceil(reach), np.ceil(reach) + 0.5, 0.5)
    x, y = (grid.astype(np.float32) for grid in np.broadcast_arrays(columns, expected + shifts[:, None]))
    strip = cv2.remap(cv2.GaussianBlur(grey, (0, 0), 0.8), x - 0.5, y - 0.5, cv2.INTER_LINEAR)
    strip = (strip - strip.mean()) / max(float(strip.std()), 1e-3)
    strip = strip + 0.5 * np.square(shifts / reach)[:, None]
    bend = _BEND * np.abs(shifts[:, None] - shifts)
    best, before = strip[:, 0].copy(), []
    for column in range(1, len(columns)):
        total = best + bend
        before.append(total.argmin(axis=1))
        best = total.min(axis=1) + strip[:, column]
    chosen = [int(best.argmin())]
    for step in reversed(before):
        chosen.append(int(step[chosen[-1]]))
    found = expected + shifts[chosen[::-1]]
    soft = cv2.GaussianBlur(found[None].astype(np.float32), (0, 0), 1.5, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(soft[0], np.float64)
