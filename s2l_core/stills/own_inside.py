"""The inside of the mouth of a picture that shows its teeth: its own pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry.camera import Rectangle
from ..media.raster import Picture
from .face_grid import FaceGrid
from .light import FaceLight
from .lip_slit import Slit
from .mouth_inside import JAW_SHARE, IncludedInside, Plane

_LEAST_OPENING = 0.12
"""Opening, in widths of the mouth, from which a picture shows enough of its own mouth."""
_TEETH_SHARE, _TEETH_LEVEL, _TEETH_RED = 0.3, 0.55, 0.12
"""Least share of an open mouth that is teeth: pixels at least this bright, relative to white, and at most this much
redder than white.
"""
_INSET = 0.12
"""Share of the opening at either lip that is left out, since the landmarks of lips are not that accurate."""
_FADING = 0.25
"""How quickly what lies beyond the opening of the picture becomes dark, in heights of that opening."""
_DARK, _GAP = 0.5, 0.8
"""Brightness of lines across the opening, relative to the brightest one, up to which they show no teeth; and relative
to the brightest lines on both sides, up to which a line is between upper and lower teeth.
"""
_ABOVE, _BELOW = -1, 1
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def shows_teeth(face: NDArray[np.uint8], slit: Slit, light: FaceLight) -> bool:
    """Whether a picture's own mouth is open and shows teeth.

    Args:
        face: uint8 (cells, cells, 3) RGB, the face on the cells of its grid.
        slit: The edges of the lips.
        light: Its light.
    """
    if float((slit.lower - slit.upper).max()) < _LEAST_OPENING * (slit.right - slit.left):
        return False
    share = np.linspace(_INSET, 1.0 - _INSET, 9)[:, None]
    y = slit.upper + share * (slit.lower - slit.upper)
    x = np.broadcast_to(slit.columns, y.shape)
    colours = cv2.remap(face, (x - 0.5).astype(np.float32), (y - 0.5).astype(np.float32), cv2.INTER_LINEAR) / 255.0
    bright = colours @ _LUMA > _TEETH_LEVEL * float(light.white @ _LUMA)
    tint = (colours[..., 0] - colours[..., 1]) - (light.white[0] - light.white[1])
    middle = slice(len(slit.columns) // 5, -(len(slit.columns) // 5))
    return bool((bright & (tint < _TEETH_RED))[:, middle].mean() > _TEETH_SHARE)


class OwnInside:
    """The picture's own inside of the mouth: the upper teeth stay where they are, what is below them follows the jaw.

    Args:
        picture: The picture as stored.
        grid: Its face grid.
        slit: The edges of the lips.
        behind: The inside of the mouth that is included, which is seen where the picture shows nothing.
        box: The pixels that may change.
        jaw: float64 (2,) cells by which the chin lies below where it is with closed lips.
    """

    def __init__(
        self,
        picture: Picture,
        grid: FaceGrid,
        slit: Slit,
        behind: IncludedInside,
        box: Rectangle,
        jaw: NDArray[np.float64],
    ) -> None:
        part = picture[box.top : box.top + box.height, box.left : box.left + box.width, :3]
        self._colours = part.astype(np.float32) / np.float32(np.iinfo(picture.dtype).max)
        self._grid, self._slit, self._box, self._jaw = grid, slit, box, jaw
        self._behind = behind
        self._split = self._find_split()

    def paint(self, cells: Plane, above: Plane, under: Plane, jaw: NDArray[np.float64], number: int) -> Plane:
        shift = (JAW_SHARE * (jaw - self._jaw)).astype(np.float32)
        colours = self._behind.paint_behind_teeth(cells, above, under, jaw)
        if self._split < 1.0 - _INSET:
            lower, is_lower = self._look_up(cells - shift, self._split, 1.0 - _INSET, _BELOW)
            colours += is_lower * (lower - colours)
        if self._split > _INSET:
            upper, is_upper = self._look_up(cells, _INSET, self._split, _ABOVE)
            colours += is_upper * (upper - colours)
        return colours

    def _look_up(self, places: Plane, first: float, last: float, continued: int) -> tuple[Plane, Plane]:
        """Colours (h, w, 3) of a part of the opening, given by shares of its height, at places in cells; and how much
        of them is seen (h, w, 1). Above or below it, as ``continued`` says, it continues and becomes dark.
        """
        upper, lower = (edge(places[..., 0]).astype(np.float32) for edge in (self._slit.upper_at, self._slit.lower_at))
        height = np.maximum(lower - upper, np.float32(1e-3))
        share = (places[..., 1] - upper) / height
        inside = np.clip(share, np.float32(first), np.float32(last))
        beyond = share - inside
        kept = continued * beyond >= 0
        usual = max(float((self._slit.lower - self._slit.upper).max()), 1.0)
        distance = np.abs(beyond) * height / np.float32(usual)
        softness = np.float32(1.0) / np.float32(usual)
        seen = np.where(kept, np.exp(-distance / np.float32(_FADING)), np.clip(1 - distance / softness, 0, 1))
        matrix = self._grid.picture_from_grid.astype(np.float32)
        source = np.stack([places[..., 0], upper + inside * height], axis=-1) @ matrix[:, :2].T + matrix[:, 2]
        x, y = source[..., 0] - np.float32(self._box.left + 0.5), source[..., 1] - np.float32(self._box.top + 0.5)
        colours = cv2.remap(self._colours, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(colours, np.float32), seen[..., None].astype(np.float32)

    def _find_split(self) -> float:
        """Height of the lower edge of the upper teeth, as a share of the opening: of the darkest line, or of the lower
        lip if that is not between two brighter ones, or of the upper lip if the upper third shows no teeth.
        """
        shares = np.linspace(_INSET, 1.0 - _INSET, 24)
        columns = self._slit.columns[len(self._slit.columns) // 4 : -(len(self._slit.columns) // 4)]
        upper, lower = self._slit.upper_at(columns), self._slit.lower_at(columns)
        places = np.stack(
            [np.broadcast_to(columns, (len(shares), len(columns))), upper + shares[:, None] * (lower - upper)], axis=-1
        )
        matrix = self._grid.picture_from_grid
        source = (places @ matrix[:, :2].T + matrix[:, 2] - [self._box.left + 0.5, self._box.top + 0.5]).astype(
            np.float32
        )
        luma = cv2.remap(self._colours, source[..., 0], source[..., 1], cv2.INTER_LINEAR) @ _LUMA
        rows = luma.mean(axis=1)
        darkest = int(rows.argmin())
        if rows[: len(rows) // 3].max() < _DARK * rows.max():
            return float(shares[0])
        beside = min(rows[: darkest + 1].max(), rows[darkest:].max())
        return float(shares[darkest] if rows[darkest] < _GAP * beside else shares[-1])
