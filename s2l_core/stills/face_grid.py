"""The upright square around a face in which the motion of a picture is computed, whatever the picture's resolution."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..face.layout import MESH468
from .portrait import Portrait

Array = NDArray[np.float64]

CELLS = 256
"""Number of cells along each side of the square."""
_SIDE = 1.3
"""Side of the square, relative to the width of the face or the height of its lower half, whichever is larger."""
_BELOW = 0.55
"""Distance from the chin to the lower side of the square, relative to that from the eyes to the chin."""


@dataclass(frozen=True)
class FaceGrid:
    """A square that is rotated with the face. Coordinates in it are in cells, with cell centres at +0.5.

    Attributes:
        grid_from_picture: float64 (2, 3), maps pixels of the stored picture to cells.
        picture_from_grid: float64 (2, 3), the inverse.
    """

    grid_from_picture: Array
    picture_from_grid: Array

    @property
    def cell(self) -> float:
        """Side of a cell in pixels of the picture."""
        return float(np.sqrt(abs(np.linalg.det(self.picture_from_grid[:, :2]))))

    def to_grid(self, points: Array) -> Array:
        """Positions in cells (..., 2) of positions in pixels (..., 2)."""
        return points @ self.grid_from_picture[:, :2].T + self.grid_from_picture[:, 2]


def make_grid(portrait: Portrait, stretch: Array) -> FaceGrid:
    """The square around the lower half of a face, from the eyes to the neck.

    Args:
        portrait: The face, in pixels of the image with square pixels.
        stretch: float64 (2,), pixels of the stored picture per pixel of that image.
    """
    eyes, chin = portrait.points[MESH468.eye_corners].mean(axis=0), portrait.points[MESH468.chin[0]]
    left, right = portrait.points[MESH468.eye_corners[[0, 3]]]
    across = (right - left) / np.linalg.norm(right - left)
    down = np.array([-across[1], across[0]])
    length = float((chin - eyes) @ down)
    side = _SIDE * max(portrait.width, (1.0 + _BELOW) * length / _SIDE)
    centre_across = portrait.points.mean(axis=0) @ across
    bottom = chin @ down + _BELOW * length
    corner = (centre_across - side / 2) * across + (bottom - side) * down
    image_from_grid = np.column_stack([across * side / CELLS, down * side / CELLS, corner])
    picture_from_grid = image_from_grid * stretch[:, None]
    return FaceGrid(cv2.invertAffineTransform(picture_from_grid), picture_from_grid)
