"""The face of a picture, prepared so that any shape of its lips can be painted."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ..media.raster import Picture
from ..media.single_picture import SinglePicture
from .face_grid import CELLS, FaceGrid, make_grid
from .light import measure_light
from .lip_slit import find_slit
from .motion_field import make_field
from .mouth_inside import IncludedInside, MouthInside
from .mouth_plane import make_plane
from .own_inside import OwnInside, shows_teeth
from .painter import StillPainter, moving_box
from .portrait import Portrait
from .skin_warp import SkinWarper
from .speaker_inside import SpeakerInside
from .speaker_motion import SpeakerLine

Array = NDArray[np.float64]
InsideName = Literal["picture", "speaker", "included"]

_FEATHER = 0.03
"""Width of the soft border of an overlay, relative to the side of the face grid."""


class SpeakingFace:
    """A face whose lips move.

    Args:
        source: The picture.
        portrait: The face in it.
        line: A line of a trained speaker, whose mouths are seen; None means the inside of the mouth that is included.

    Attributes:
        mouth_inside: What an opened mouth shows.
        opening: How far the mouth is open in the picture, in widths of the mouth.
        box: The pixels outside of which nothing changes.
        mask: uint8 (height, width) opacity of an overlay, above 0 wherever a pixel may change.
        painter: Paints the frames.
    """

    def __init__(self, source: SinglePicture, portrait: Portrait, line: SpeakerLine | None = None) -> None:
        height, width = source.picture.shape[:2]
        stretch = np.array([width / source.image.shape[1], height / source.image.shape[0]])
        grid = make_grid(portrait, stretch)
        points = grid.to_grid(portrait.points * stretch)
        shown = on_grid(source.image, grid, stretch)
        slit = find_slit(points, shown)
        field = make_field(points, slit)
        plane = make_plane(portrait, grid, stretch, points, slit)
        light = measure_light(source.image, portrait)
        blur = float(np.sqrt(stretch.prod())) * light.blur
        self.opening = float((slit.lower - slit.upper).max()) / (slit.right - slit.left)
        self.box = moving_box(grid, field.moving, width, height)
        included = IncludedInside(plane, light, plane.cells_per_mm * grid.cell, blur)
        inside: MouthInside
        self.mouth_inside: InsideName
        if shows_teeth(shown, slit, light):
            self.mouth_inside = "picture"
            inside = OwnInside(source.picture, grid, slit, included, self.box, -plane.closing[-1])
        elif line is not None:
            self.mouth_inside, inside = "speaker", SpeakerInside(line, plane, light)
        else:
            self.mouth_inside, inside = "included", included
        self.mask = _soft_mask(grid, field.moving, width, height)
        self._plane = plane
        warper = SkinWarper(field, slit)
        self.painter = StillPainter(source.picture, grid, warper, inside, blur, light.grain, self.box)

    def paint(self, offsets: NDArray[np.floating], number: int = 0) -> Picture:
        """The picture with other lips.

        Args:
            offsets: float (41, 2) offsets of the 40 points of the lips and of the chin from closed lips, in widths of
                the mouth, as seen from the front, right and down.
            number: Number of the frame in the line.
        """
        cells = self._plane.to_cells(offsets)
        return self.painter.paint(cells, cells[-1] - self._plane.closing[-1], number)


def on_grid(image: NDArray[np.uint8], grid: FaceGrid, stretch: Array) -> NDArray[np.uint8]:
    """An image (H, W, 3) with square pixels on the cells of a grid: uint8 (cells, cells, 3)."""
    matrix = grid.grid_from_picture.copy()
    matrix[:, :2] *= stretch
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    factor = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if factor < 0.5:  # several pixels fall into a cell
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 / factor), np.uint8)
    return np.asarray(cv2.warpAffine(image, matrix, (CELLS, CELLS), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _soft_mask(grid: FaceGrid, moving: NDArray[np.bool_], width: int, height: int) -> NDArray[np.uint8]:
    """Opacity of an overlay, uint8 (height, width): above 0 wherever a pixel may change."""
    inner = cv2.distanceTransform(moving.astype(np.uint8), cv2.DIST_L2, 5)
    share = np.clip(inner / (_FEATHER * CELLS), 0.0, 1.0)
    soft = 1.0 + 254.0 * share * share * (3.0 - 2.0 * share)
    soft = np.where(cv2.dilate(moving.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0, soft, 0.0)
    matrix = grid.picture_from_grid.copy()
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return np.ceil(cv2.warpAffine(soft.astype(np.float32), matrix, (width, height))).astype(np.uint8)
