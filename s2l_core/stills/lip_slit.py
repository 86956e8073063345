"""Where the skin of a face is cut so that a mouth can open: the edges of the upper and the lower lip in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import LandmarksUnavailable
from ..face.layout import MESH468

Array = NDArray[np.float64]

UPPER_POINTS, LOWER_POINTS = np.arange(11), np.r_[0, 19:9:-1]
"""The edges of both lips among the points of an outline, from the left to the right corner."""
UPPER, LOWER = MESH468.lips_inner[UPPER_POINTS], MESH468.lips_inner[LOWER_POINTS]
OPEN = 0.05
"""Opening relative to the width of the mouth from which a picture shows an open mouth."""
_CENTRAL, _ROWS, _BOW = 0.4, 81, 0.6
"""Share of the width of the mouth in whose colours its edges are found, number of heights that are tried, and exponent
of the parabola that edges are: a smaller one makes corners steeper.
"""
_RED_CONTRAST, _LIGHT_CONTRAST = 8.0, 25.0
"""Least difference of lips from what is between them along CIELAB's a and L."""
_DARK = 0.55
"""Brightness relative to that of a lip below which a place is inside of the mouth."""
_SHADED = 0.33
"""Brightness of the edge of a lip that is not redder than the skin, from the darkest place of the mouth (0) to the skin
(1). Such lips are thin and in the shade: a larger value leaves them to the inside of the mouth.
"""
_AT_CORNERS = 0.7
"""How much closer to the landmarks that line must be at the corners of the mouth, where other lines begin."""
_TO_CORNERS = 0.8
"""How closely the ends of the edges follow the outer corners of the lips."""
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
    """The edges of the lips: landmarks say where the mouth is, and colours how far it is open, since the landmarks of
    slightly opened lips lie between the teeth. The line between closed lips is the darkest one nearby.

    Args:
        points: float64 (468, 2) landmarks in cells.
        face: uint8 (cells, cells, 3) RGB, the face on the cells.

    Raises:
        LandmarksUnavailable: The lips have no height.
    """
    upper, lower = points[UPPER], points[LOWER]
    left, right = (upper[0] + lower[0]) / 2, (upper[-1] + lower[-1]) / 2
    width = right[0] - left[0]
    columns = np.linspace(left[0], right[0], max(8, round(width) + 1))
    edges = [np.interp(columns, edge[:, 0], edge[:, 1]) for edge in (upper, lower)]
    edges[1] = np.maximum(edges[0], edges[1])
    lift = _lift(points, columns, (edges[0] + edges[1]) / 2)
    edges = [edge + lift for edge in edges]
    middle = (edges[0] + edges[1]) / 2
    if found := _edges_by_colour(points, face, columns, middle):
        bow = np.power(1.0 - np.square(np.linspace(-1.0, 1.0, len(columns))), _BOW)
        said_open = float((edges[1] - edges[0]).max()) > OPEN * width
        by_colour = [middle + height * bow for height in found]
        edges = [np.minimum(edges[0], by_colour[0]), np.maximum(edges[1], by_colour[1])] if said_open else by_colour
    is_open = float((edges[1] - edges[0]).max()) > OPEN * width
    if not is_open:
        grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
        line = _darkest_line(grey, columns, middle, _SEARCH * width)
        edges = [line, line]
    return Slit(columns, edges[0], edges[1], is_open)


def _lift(points: Array, columns: Array, middle: Array) -> Array:
    """What is added to heights (n,) so that they end at the outer corners of the lips: those of the inner edges are not
    accurate.
    """
    along = np.linspace(-1.0, 1.0, len(columns))
    left, right = points[MESH468.mouth_corners, 1] - middle[[0, -1]]
    return _TO_CORNERS * np.square(along) * np.where(along < 0, left, right)


def _edges_by_colour(
    points: Array, face: NDArray[np.uint8], columns: Array, middle: Array
) -> tuple[float, float] | None:
    """Heights of the edges of both lips in the middle of the mouth, in cells below the line ``middle`` (n,), from the
    redness of the lips; None if they are not redder than what is between them.
    """
    across = np.abs(np.linspace(-1.0, 1.0, len(columns))) < _CENTRAL
    outer = [points[MESH468.lips_outer[edge]] for edge in (UPPER_POINTS, LOWER_POINTS)]
    top, bottom = (float((np.interp(columns, edge[:, 0], edge[:, 1]) - middle)[across].mean()) for edge in outer)
    heights = np.linspace(top, bottom, _ROWS)
    x, y = (plane.astype(np.float32) for plane in np.broadcast_arrays(columns, middle + heights[:, None]))
    colours = cv2.remap(
        cv2.cvtColor(face.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), x - 0.5, y - 0.5, cv2.INTER_LINEAR
    )
    light, red, _ = np.median(colours[:, across], axis=1).T
    inner = np.abs(heights) < 0.5 * np.where(heights < 0, -top, bottom)
    if not inner.any():
        raise LandmarksUnavailable("The landmarks do not have the shape of a face.")
    centre = int(np.flatnonzero(inner)[red[inner].argmin()])
    found = []
    for lip, step in ((slice(0, centre), -1), (slice(centre, _ROWS), 1)):
        contrast = float(red[lip].max() - red[centre]) if centre else 0.0
        if contrast >= _RED_CONTRAST:
            is_lip = red > red[centre] + 0.5 * contrast
            is_lip &= light > _DARK * float(np.quantile(light[lip], 0.7)) if lip.stop > lip.start else True
        elif float(light[lip].max() - light[centre]) >= _LIGHT_CONTRAST:
            darkest = float(light[lip].min())
            is_lip = light > darkest + _SHADED * (float(light[lip].max()) - darkest)
        else:
            return None
        row = centre
        while 0 < row < _ROWS - 1 and not is_lip[row]:
            row += step
        found.append(float(heights[row]))
    return found[0], found[1]


def _darkest_line(grey: NDArray[np.float32], columns: Array, expected: Array, reach: float) -> Array:
    """Heights (n,) of the darkest smooth line near an expected one, by dynamic programming over shifts."""
    shifts = np.arange(-np.ceil(reach), np.ceil(reach) + 0.5, 0.5)
    x, y = (grid.astype(np.float32) for grid in np.broadcast_arrays(columns, expected + shifts[:, None]))
    strip = cv2.remap(cv2.GaussianBlur(grey, (0, 0), 0.8), x - 0.5, y - 0.5, cv2.INTER_LINEAR)
    strip = (strip - strip.mean()) / max(float(strip.std()), 1e-3)
    along = np.square(np.linspace(-1.0, 1.0, len(columns)))
    strip = strip + np.square(shifts[:, None] / (reach * (1.0 - _AT_CORNERS * along)))
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
    soft = cv2.GaussianBlur(found[None].astype(np.float32), (0, 0), 2.5, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(soft[0], np.float64)
