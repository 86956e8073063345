"""The inside of the mouth of a trained speaker: real mouths of the footage, in the light of the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..model.exemplars import Exemplars
from ..mouth.exemplar_choice import choose_exemplars
from .light import FaceLight
from .lip_slit import LOWER_POINTS, UPPER_POINTS
from .mouth_inside import Plane
from .mouth_plane import MouthPlane
from .speaker_motion import SpeakerLine

_INSET = 0.06
"""Share of an exemplar's opening at either lip that is left out."""
_GAINS = (0.5, 2.0)
"""Limits of the factor from the speaker's colours to those of the picture."""
_BESIDE = 0.12
"""Share of the sides of an exemplar, at its edges, that shows skin."""


class SpeakerInside:
    """Paints mouths of a speaker, which are chosen for the frames of a line.

    An exemplar is laid over the mouth where it lies in the speaker's head, so that the upper teeth stay where they are.
    Where the speaker's lips would be seen, what is next to them inside of the mouth is.

    Args:
        line: The line.
        plane: The mouth of the portrait.
        light: Its light.
    """

    def __init__(self, line: SpeakerLine, plane: MouthPlane, light: FaceLight) -> None:
        self._exemplars: Exemplars = line.motion.exemplars
        self._chosen = choose_exemplars(self._exemplars, line.codes)
        self._plane, self._skin = plane, light.skin.astype(np.float32)
        self._lips = self._exemplars.outlines(self._exemplars.codes + self._exemplars.offsets)
        corners = self._exemplars.outline[[0, 10]].cpu().double().numpy()
        self._middle = corners.mean(axis=0)
        self._per_mm = float(corners[1, 0] - corners[0, 0]) / plane.width_mm

    def paint(self, cells: Plane, above: Plane, under: Plane, jaw: NDArray[np.float64], number: int) -> Plane:
        chosen = int(self._chosen[number])
        picture = self._exemplars.picture(chosen)
        height, width = picture.shape[:2]
        places = self._plane.teeth_mm(cells) * np.float32(self._per_mm)
        x = np.float32(self._middle[0]) + places[..., 0]
        y = np.float32(self._middle[1]) + places[..., 1] * np.float32(width / height)
        inner = self._lips[chosen, 20:]
        upper, lower = (
            np.interp(x, np.maximum.accumulate(edge[:, 0]), edge[:, 1]).astype(np.float32)
            for edge in (inner[UPPER_POINTS], inner[LOWER_POINTS])
        )
        inset = np.float32(_INSET) * np.maximum(lower - upper, 0)
        y = np.clip(y, upper + inset, np.maximum(lower - inset, upper + inset))
        shown = (x * np.float32(width) - np.float32(0.5), y * np.float32(height) - np.float32(0.5))
        colours = cv2.remap(picture, *shown, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) / np.float32(255)
        return np.clip(colours * self._gain(picture), 0, 1)

    def _gain(self, picture: NDArray[np.uint8]) -> Plane:
        """Factor (3,) from the light of an exemplar to that of the portrait."""
        width = picture.shape[1]
        edge = max(1, round(_BESIDE * width))
        skin = np.concatenate([picture[:, :edge].reshape(-1, 3), picture[:, -edge:].reshape(-1, 3)])
        return np.clip(self._skin / np.maximum(np.median(skin, axis=0) / 255, 1e-2), *_GAINS).astype(np.float32)
