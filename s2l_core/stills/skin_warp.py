"""The backward map of the skin of a face: from where in the picture each place of a frame shows skin."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .face_grid import CELLS
from .lip_slit import Slit
from .motion_field import MotionField

_STEPS, _STEP = 11, 0.55
"""Number and length of the steps of the fixed-point iteration x = y - d(x) that inverts a displacement d. Shorter ones
converge where skin is stretched more: up to 2.6 times.
"""
_BEYOND = 4.0
"""Cells by which the edge of a lip recedes for each cell beyond the corner of the mouth, where skin is whole."""

NO_MAP: NDArray[np.float32] = np.empty(0, np.float32)
"""The second map of a remap whose first one has both coordinates."""

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class SkinWarp:
    """Where the skin of one frame comes from, on the cells of a face grid.

    Attributes:
        upper: float32 (cells, cells, 2) what is added to a place in the frame to get that in the picture, in cells, if
            it shows the skin above the mouth.
        lower: float32 (cells, cells, 2) the same if it shows the skin below the mouth.
        above: float32 (cells, cells) cells by which the place lies above the edge of the upper lip; negative below it.
        under: float32 (cells, cells) cells by which it lies below the edge of the lower lip; negative above it.
    """

    upper: Plane
    lower: Plane
    above: Plane
    under: Plane

    @property
    def skin(self) -> Plane:
        """float32 (cells, cells, 2) of the skin that is seen at a place: the upper or the lower one."""
        return np.where((self.above >= self.under)[..., None], self.upper, self.lower)

    @property
    def hole(self) -> Plane:
        """float32 (cells, cells) depth of a place inside the open mouth in cells; negative on the skin."""
        return -np.maximum(self.above, self.under)


class SkinWarper:
    """Makes the maps of frames.

    Args:
        field: How the skin follows lips and chin.
        slit: The edges of the lips in the picture.
    """

    def __init__(self, field: MotionField, slit: Slit) -> None:
        self._field, self._slit = field, slit
        rows, columns = np.flatnonzero(field.moving.any(axis=1)), np.flatnonzero(field.moving.any(axis=0))
        self._part = slice(rows[0] - 1, rows[-1] + 2), slice(columns[0] - 1, columns[-1] + 2)
        centres = np.arange(CELLS, dtype=np.float32)
        self._x, self._y = np.meshgrid(centres[self._part[1]], centres[self._part[0]])
        self._places = np.stack([self._x, self._y], axis=-1)
        self._centres = np.arange(CELLS) + 0.5
        self._edges = np.stack([slit.upper_at(self._centres), slit.lower_at(self._centres)]).astype(np.float32)

    def warp(self, offsets: NDArray[np.floating]) -> SkinWarp:
        """The map for offsets (41, 2) of the control points, in cells."""
        upper, lower = (self._inverse(field) for field in self._field.displace(offsets))
        above = self._whole(self._heights(upper, 0), -1.0)
        under = self._whole(-self._heights(lower, 1), -1.0)
        return SkinWarp(self._whole(upper, 0.0), self._whole(lower, 0.0), above, under)

    def _inverse(self, displacement: Plane) -> Plane:
        """Backward displacement of the part of the grid that moves."""
        shift = np.float32(-_STEP) * displacement[self._part]
        places, moved = np.empty_like(shift), np.empty_like(shift)
        for _ in range(_STEPS):
            cv2.add(self._places, shift, dst=places)
            cv2.remap(displacement, places, NO_MAP, cv2.INTER_LINEAR, dst=moved)
            cv2.addWeighted(shift, 1.0 - _STEP, moved, -_STEP, 0.0, dst=shift)
        return shift

    def _heights(self, shift: Plane, lip: int) -> Plane:
        """Cells by which places lie above an edge of the slit in the picture."""
        x, y = self._x + shift[..., 0] + 0.5, self._y + shift[..., 1] + 0.5
        edge = np.interp(x, self._centres, self._edges[lip]).astype(np.float32)
        beyond = np.maximum(np.maximum(self._slit.left - x, x - self._slit.right), 0.0).astype(np.float32)
        sign = 1.0 if lip == 0 else -1.0
        return edge - y + np.float32(sign * _BEYOND) * beyond

    def _whole(self, part: Plane, outside: float) -> Plane:
        """The values of a part of the grid on all of it: outside of it, skin that does not move."""
        shape = (CELLS, CELLS, *part.shape[2:])
        whole = np.zeros(shape, np.float32) if outside == 0.0 else np.full(shape, CELLS, np.float32)
        whole[self._part] = part
        return whole
