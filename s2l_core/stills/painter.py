"""Painting frames of a speaking picture, at its own resolution and depth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry.camera import Rectangle
from ..media.raster import Picture
from .face_grid import CELLS, FaceGrid
from .mouth_inside import MouthInside
from .skin_warp import NO_MAP, SkinWarp, SkinWarper

Array = NDArray[np.float64]
Plane = NDArray[np.float32]

_LEAST_SOFTNESS = 0.8
"""Half width in pixels of the soft edge of the lips."""
_MARGIN = 2
"""Cells around the open mouth in which the edges of the lips are drawn at the picture's resolution."""


class StillPainter:
    """Moves the skin of a picture, and paints the inside of its mouth.

    Args:
        picture: The picture as stored.
        grid: The face grid.
        warper: Makes the maps of the skin.
        inside: Paints the inside of the mouth.
        softness: Standard deviation of the picture's blur in pixels.
        grain: Standard deviation of its grain, from 0 to 1.
        region: The pixels that may change.

    Attributes:
        inside: Paints the inside of the mouth; another one may be put in its place.
    """

    def __init__(
        self,
        picture: Picture,
        grid: FaceGrid,
        warper: SkinWarper,
        inside: MouthInside,
        softness: float,
        grain: float,
        region: Rectangle,
    ) -> None:
        self._picture, self._grid, self._warper, self._box = picture, grid, warper, region
        self.inside = inside
        self._softness = float(np.hypot(_LEAST_SOFTNESS, 2.0 * softness))
        noise = np.random.default_rng(0).standard_normal((region.height, region.width), np.float32)
        self._grain = np.float32(grain) * noise
        self._to_pixels = grid.picture_from_grid[:, :2].astype(np.float32)

    def paint(self, offsets: Array, jaw: Array, number: int) -> Picture:
        """A frame.

        Args:
            offsets: float64 (41, 2) offsets of the control points from where they are in the picture, in cells.
            jaw: float64 (2,) cells by which the chin has moved from where it is with closed lips.
            number: Number of the frame in the line.
        """
        warp = self._warper.warp(offsets)
        box = self._box
        shift = self._pixels_of(warp.skin, box)
        mouth = self._mouth_box(warp)
        frame = self._picture.copy()
        part = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        if mouth is None:
            frame[part] = self._look_up(shift, box)
            return frame
        inner = (
            slice(mouth.top - box.top, mouth.top - box.top + mouth.height),
            slice(mouth.left - box.left, mouth.left - box.left + mouth.width),
        )
        upper, lower = self._pixels_of(warp.upper, mouth), self._pixels_of(warp.lower, mouth)
        above, under = self._upsample(warp.above, mouth), self._upsample(warp.under, mouth)
        shift[inner] = np.where((above >= under)[..., None], upper, lower)
        moved = self._look_up(shift, box)
        moved[inner] = self._with_inside(moved[inner], mouth, inner, above, under, jaw, number)
        frame[part] = moved
        return frame

    def _with_inside(
        self,
        skin: Picture,
        mouth: Rectangle,
        inner: tuple[slice, slice],
        above: Plane,
        under: Plane,
        jaw: Array,
        number: int,
    ) -> Picture:
        """Skin (h, w, C) around an open mouth, with the inside of the mouth."""
        depth = -np.maximum(above, under) * np.float32(self._grid.cell)
        alpha = np.clip(depth / np.float32(2 * self._softness) + np.float32(0.5), 0, 1)[..., None]
        alpha = alpha * alpha * (3 - 2 * alpha)
        colours = self.inside.paint(self._cells(mouth), above, under, jaw, number)
        colours = np.clip(colours + self._grain[inner][..., None], 0, 1)
        most = np.float32(np.iinfo(skin.dtype).max)
        painted = skin.copy()
        mixed = skin[..., :3] + alpha * (colours * most - skin[..., :3])
        painted[..., :3] = (mixed + np.float32(0.5)).astype(skin.dtype)
        return painted

    def _look_up(self, shift: Plane, box: Rectangle) -> Picture:
        """The picture at places that are shifted by pixels (h, w, 2) from those of a rectangle."""
        shift[..., 0] += np.arange(box.left, box.left + box.width, dtype=np.float32)
        shift[..., 1] += np.arange(box.top, box.top + box.height, dtype=np.float32)[:, None]
        return cv2.remap(self._picture, shift, NO_MAP, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    def _pixels_of(self, shift: Plane, box: Rectangle) -> Plane:
        """Shifts of the cells of the grid (cells, cells, 2) at the pixels of a rectangle, in pixels (h, w, 2)."""
        return self._upsample(np.asarray(shift @ self._to_pixels.T, np.float32), box)

    def _upsample(self, plane: Plane, box: Rectangle) -> Plane:
        """Values on the cells of the grid at the pixels of a rectangle."""
        matrix = self._grid.grid_from_picture
        inverse = matrix.copy()
        inverse[:, 2] = matrix[:, :2] @ [box.left + 0.5, box.top + 0.5] + matrix[:, 2] - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (box.width, box.height)
        return np.asarray(
            cv2.warpAffine(plane, inverse, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32
        )

    def _cells(self, box: Rectangle) -> Plane:
        """Positions in cells (h, w, 2) of the pixels of a rectangle."""
        x = np.arange(box.width, dtype=np.float32) + np.float32(box.left + 0.5)
        y = np.arange(box.height, dtype=np.float32) + np.float32(box.top + 0.5)
        matrix = self._grid.grid_from_picture.astype(np.float32)
        columns = [matrix[axis, 0] * x + (matrix[axis, 1] * y + matrix[axis, 2])[:, None] for axis in range(2)]
        return np.stack(columns, axis=-1)

    def _mouth_box(self, warp: SkinWarp) -> Rectangle | None:
        """The pixels of the open mouth, with a margin; None if it is closed."""
        margin = _MARGIN + self._softness / self._grid.cell
        rows, columns = np.nonzero(warp.hole > -margin)
        if not (warp.hole > 0.0).any():
            return None
        low, high = np.array([columns.min(), rows.min()]) - 1.0, np.array([columns.max(), rows.max()]) + 2.0
        return pixels_of(self._grid, low, high, self._box)


def pixels_of(grid: FaceGrid, low: Array, high: Array, within: Rectangle) -> Rectangle:
    """The pixels of a rectangle that cover the cells from ``low`` to ``high`` (2,)."""
    corners = np.array([[x, y] for x in (low[0], high[0]) for y in (low[1], high[1])])
    places = corners @ grid.picture_from_grid[:, :2].T + grid.picture_from_grid[:, 2]
    first = np.floor(places.min(axis=0)).astype(int)
    last = np.ceil(places.max(axis=0)).astype(int)
    edge = np.array([within.left, within.top]), np.array([within.left + within.width, within.top + within.height])
    first, last = np.clip(first, edge[0], edge[1] - 1), np.clip(last, edge[0] + 1, edge[1])
    return Rectangle(int(first[0]), int(first[1]), int(last[0] - first[0]), int(last[1] - first[1]))


def moving_box(grid: FaceGrid, moving: NDArray[np.bool_], width: int, height: int) -> Rectangle:
    """The pixels that cover the cells that may move, in a picture."""
    rows, columns = np.flatnonzero(moving.any(axis=1)), np.flatnonzero(moving.any(axis=0))
    low, high = np.array([columns[0], rows[0]]) - 1.0, np.array([columns[-1], rows[-1]]) + 2.0
    low, high = np.maximum(low, 0), np.minimum(high, CELLS)
    return pixels_of(grid, low, high, Rectangle(0, 0, width, height))
