"""Millimetres of a mouth seen from the front, and where they lie in the face grid of a turned head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face.layout import MESH468
from .face_grid import FaceGrid
from .lip_slit import Slit
from .motion_field import CONTROLS
from .portrait import Portrait

Array = NDArray[np.float64]

_TEETH_DEPTH = 6.0
"""Distance of the front teeth behind the lips in millimetres."""
_ARCH = 1 / 30
"""Curvature of the row of teeth: they lie this times x squared millimetres deeper than in its middle."""
_RISE = 0.3
"""Where closed lips meet, between the edges of the upper (0) and the lower lip (1) of a mouth that is open: closing
mostly moves the jaw.
"""


@dataclass(frozen=True)
class MouthPlane:
    """The mouth of a portrait.

    Attributes:
        cells_from_mm: float64 (2, 3), cells by which a place moves with each millimetre of the head.
        tangents: float64 (41, 2, 2), cells by which a control point moves with each millimetre along the face, across
            and down as seen from the front.
        width_mm: Distance of the corners of the mouth in millimetres.
        middle: float64 (2,) cell between the closed lips, in the middle of the mouth.
        closing: float64 (41, 2) offsets in cells that close the mouth of the picture; 0 if it is closed.
    """

    cells_from_mm: Array
    tangents: Array
    width_mm: float
    middle: Array
    closing: Array

    def to_cells(self, offsets: NDArray[np.floating]) -> Array:
        """Offsets float64 (..., 41, 2) in cells from the lips in the picture, of offsets from closed lips in widths of
        the mouth.
        """
        return np.einsum("kij,...kj->...ki", self.tangents, self.width_mm * offsets.astype(np.float64)) + self.closing

    def teeth_mm(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """Millimetres float32 (..., 2) across and down, from between the closed lips, of teeth at places in cells."""
        inverse = np.linalg.inv(self.cells_from_mm[:, :2])
        slope = (inverse @ self.cells_from_mm[:, 2]).astype(np.float32)
        seen = (cells - self.middle.astype(np.float32)) @ inverse.T.astype(np.float32)
        depth = np.float32(_TEETH_DEPTH) + np.float32(_ARCH) * np.square(seen[..., :1])
        return seen - slope * depth

    @property
    def cells_per_mm(self) -> float:
        return float(np.sqrt(abs(np.linalg.det(self.cells_from_mm[:, :2]))))


def make_plane(portrait: Portrait, grid: FaceGrid, stretch: Array, points: Array, slit: Slit) -> MouthPlane:
    """The mouth of a portrait.

    Args:
        portrait: The face.
        grid: Its grid.
        stretch: float64 (2,), pixels of the stored picture per pixel of the image with square pixels.
        points: float64 (468, 2) landmarks in cells.
        slit: The edges of the lips.
    """
    cells_from_mm = grid.grid_from_picture[:, :2] @ (stretch[:, None] * portrait.image_from_head)
    slopes = _slopes(portrait)
    along = np.stack([np.stack([np.ones_like(slopes), np.zeros_like(slopes), slopes], axis=1)], axis=0)[0]
    down = np.tile([0.0, 1.0, 0.0], (len(slopes), 1))
    tangents = np.stack([along @ cells_from_mm.T, down @ cells_from_mm.T], axis=2)
    x = (slit.left + slit.right) / 2
    upper, lower = float(slit.upper_at(np.array(x))), float(slit.lower_at(np.array(x)))
    closing = _closing(points, slit) if slit.is_open else np.zeros((len(CONTROLS), 2))
    middle = np.array([x, upper + _RISE * (lower - upper)])
    return MouthPlane(cells_from_mm, tangents, portrait.mouth_width_mm, middle, closing)


def _slopes(portrait: Portrait) -> Array:
    """Depth in millimetres that each control point gains with a millimetre across, from a parabola through the lips."""
    lips = portrait.shape[MESH468.lips_outer]
    centre = lips[:, 0].mean()
    x = lips[:, 0] - centre
    curvature = np.linalg.lstsq(np.stack([np.ones_like(x), np.square(x)], axis=1), lips[:, 2], rcond=None)[0][1]
    slopes = 2.0 * curvature * (portrait.shape[CONTROLS, 0] - centre)
    slopes[-1] = 0.0
    return np.clip(slopes, -1.0, 1.0)


def _closing(points: Array, slit: Slit) -> Array:
    """Offsets of the control points that make the edges of an open mouth meet."""
    x = points[CONTROLS, 0]
    gap = slit.lower_at(x) - slit.upper_at(x)
    offsets = np.zeros((len(CONTROLS), 2))
    upper, lower = np.r_[1:10, 21:30], np.r_[11:20, 31:40]
    offsets[upper, 1] = _RISE * gap[upper]
    offsets[lower, 1] = -(1.0 - _RISE) * gap[lower]
    offsets[-1, 1] = 0.6 * offsets[lower, 1].min()
    return offsets
