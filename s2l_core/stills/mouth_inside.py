"""What is seen in an opened mouth: teeth, gums and tongue that are included, in the light of the picture.

The pictures are made by ``demo/make_teeth.py`` from ICT-FaceKit. What belongs to the skull stays where it is while the
lips move; what belongs to the jaw moves with the chin.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import EngineIncomplete
from .light import FaceLight
from .mouth_plane import MouthPlane

Plane = NDArray[np.float32]

_SCALE, _LEFT_MM, _TOP_MM = 8.0, 30.0, 16.0
"""Pixels of the pictures per millimetre, and their origin in millimetres from their left and upper edges."""
JAW_SHARE = 0.95
"""How far the lower teeth move, relative to the chin."""
_LOWER_REST = 1.8
"""Millimetres by which the lower teeth lie lower than in the model, whose resting ones reach the line of the lips."""
_UPPER_SHADE, _UPPER_REACH = 0.35, 2.0
_LOWER_SHADE, _LOWER_REACH = 0.4, 1.5
"""Depth of the shade that the upper and the lower lip cast, and how far it reaches in millimetres."""
_FULL_LIGHT, _LEAST_LIGHT = 6.0, 0.85
"""Opening in millimetres from which all light gets in, and share of it that always does."""
_CREASE, _CREASE_MM = (0.5, 0.27, 0.27), 1.8
"""Colour between lips that nearly touch, relative to that of the skin, and opening in millimetres from which the inside
of the mouth is seen instead: in narrow slits, and in the corners, light comes through the lips.
"""
_FINER = 1.5
"""Resolution of the included pictures relative to that of the picture, above which they are reduced."""


class MouthInside(Protocol):
    """Paints the inside of a mouth."""

    def paint(self, cells: Plane, above: Plane, under: Plane, jaw: NDArray[np.float64], number: int) -> Plane:
        """Colours float32 (h, w, 3) from 0 to 1 at places in the mouth.

        Args:
            cells: float32 (h, w, 2) the places, in cells.
            above: float32 (h, w) cells by which they lie above the edge of the upper lip; negative in the mouth.
            under: float32 (h, w) cells by which they lie below the edge of the lower lip; negative in the mouth.
            jaw: float64 (2,) cells by which the chin has moved from where it is with closed lips.
            number: Number of the frame in the line.
        """


class IncludedInside:
    """The inside of the mouth that is included.

    Args:
        plane: The mouth of the portrait.
        light: Its light.
        pixels_per_mm: Resolution of the picture at the mouth.
        soft: Standard deviation in pixels of the picture of a blur.
    """

    def __init__(self, plane: MouthPlane, light: FaceLight, pixels_per_mm: float, soft: float) -> None:
        self._plane, self._light = plane, light
        self._scale = min(_SCALE, _FINER * pixels_per_mm)
        blur = soft * self._scale / pixels_per_mm
        self._upper, self._lower = (_prepare(layer, self._scale / _SCALE, blur) for layer in _layers())

    def paint(self, cells: Plane, above: Plane, under: Plane, jaw: NDArray[np.float64], number: int) -> Plane:
        places = self._plane.teeth_mm(cells)
        lower = self._look_up(self._lower, places - self._jaw_mm(jaw))
        upper = self._look_up(self._upper, places)
        seen = lower[..., :3] * (1 - upper[..., 3:]) + upper[..., :3]  # colours are multiplied by their alpha
        return self._lit(seen, above, under)

    def paint_behind_teeth(self, cells: Plane, above: Plane, under: Plane, jaw: NDArray[np.float64]) -> Plane:
        """As :meth:`paint`, without what belongs to the skull."""
        lower = self._look_up(self._lower, self._plane.teeth_mm(cells) - self._jaw_mm(jaw))
        return self._lit(lower[..., :3], above, under)

    def _jaw_mm(self, jaw: NDArray[np.float64]) -> Plane:
        """Millimetres (2,) by which what belongs to the jaw lies lower than in the pictures."""
        moved = np.linalg.inv(self._plane.cells_from_mm[:, :2]) @ (JAW_SHARE * jaw)
        return np.asarray(moved + [0.0, _LOWER_REST], np.float32)

    def _lit(self, seen: Plane, above: Plane, under: Plane) -> Plane:
        """Colours in the light of the picture, of those in white light, (h, w, 3)."""
        if not self._light.colourful:
            seen = np.repeat(seen.mean(axis=-1, keepdims=True), 3, axis=-1)
        tones = seen * self._shade(above, under)[..., None]
        white, dark = self._light.white.astype(np.float32), self._light.dark.astype(np.float32)
        lit = np.clip(dark + tones * (white - dark), 0.0, 1.0)
        red = np.array(_CREASE if self._light.colourful else [np.mean(_CREASE)] * 3, np.float32)
        crease = red * self._light.skin.astype(np.float32)
        share = np.clip(sum(self._depths_mm(above, under)) / np.float32(_CREASE_MM), 0.0, 1.0)[..., None]
        return np.asarray(crease + share * (lit - crease), np.float32)

    def _look_up(self, layer: Plane, places: Plane) -> Plane:
        x, y = (
            (places[..., axis] + np.float32(edge)) * np.float32(self._scale)
            for axis, edge in enumerate((_LEFT_MM, _TOP_MM))
        )
        return np.asarray(cv2.remap(layer, x - np.float32(0.5), y - np.float32(0.5), cv2.INTER_LINEAR), np.float32)

    def _depths_mm(self, above: Plane, under: Plane) -> tuple[Plane, Plane]:
        """Distances in millimetres of places in the mouth from the upper and the lower lip."""
        upper, lower = (np.maximum(-each, 0) / np.float32(self._plane.cells_per_mm) for each in (above, under))
        return upper, lower

    def _shade(self, above: Plane, under: Plane) -> Plane:
        """Share of the light that reaches places in the mouth."""
        from_upper, from_lower = self._depths_mm(above, under)
        shade = 1 - np.float32(_UPPER_SHADE) * np.exp(-from_upper / np.float32(_UPPER_REACH))
        shade *= 1 - np.float32(_LOWER_SHADE) * np.exp(-from_lower / np.float32(_LOWER_REACH))
        opening = (from_upper + from_lower) / np.float32(_FULL_LIGHT)
        return shade * np.clip(opening, np.float32(_LEAST_LIGHT), np.float32(1.0))


@cache
def _layers() -> tuple[Plane, Plane]:
    """The included pictures of skull and jaw: float32 (h, w, 4) RGB that is multiplied by alpha, and alpha."""
    content = files(__package__).joinpath("teeth.png").read_bytes()
    stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise EngineIncomplete("The included inside of the mouth is damaged.")
    picture = cv2.cvtColor(stored, cv2.COLOR_BGRA2RGBA).astype(np.float32) / np.float32(255)
    picture[..., :3] *= picture[..., 3:]
    upper, lower = np.split(picture, 2)
    return upper, lower


def _prepare(layer: Plane, reduction: float, blur: float) -> Plane:
    if reduction < 1.0:
        reduced = cv2.resize(layer, None, fx=reduction, fy=reduction, interpolation=cv2.INTER_AREA)
        layer = np.asarray(reduced, np.float32)
    return np.asarray(cv2.GaussianBlur(layer, (0, 0), blur), np.float32) if blur > 0.1 else layer
