"""The interface of the landmark back-ends, and what they find: a face."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .layout import LandmarkLayout


@dataclass(frozen=True)
class Face:
    """One face.

    Attributes:
        points: float32 (P, 3): x and y in image pixels with pixel centres at +0.5, z in the same scale from an
            arbitrary zero, smaller is nearer; z is 0 where the back-end has no depth.
        score: How sure the back-end is that this is a face, 0 to 1.
    """

    points: NDArray[np.float32]
    score: float


class ChosenFace:
    """Place of the face that was chosen among several, as it moves from picture to picture.

    Args:
        place: x and y in pixels of the face when it was chosen.
    """

    def __init__(self, place: tuple[float, float]) -> None:
        self._first = self._last = np.array(place)

    def nearest(self, places: NDArray[np.floating], sizes: NDArray[np.floating]) -> int | None:
        """Index of the chosen face among N faces: the one nearest to where it was last seen, if it is there within its
        own size, or else the one nearest to where it was first seen.

        Args:
            places: float (N, 2) pixels.
            sizes: float (N,) pixels.

        Returns:
            None if no face is close enough.
        """
        for place in (self._last, self._first):
            distances = np.linalg.norm(places - place, axis=1)
            near = np.flatnonzero(distances < sizes)
            if len(near):
                return int(near[np.argmin(distances[near])])
        return None

    def move_to(self, points: NDArray[np.floating]) -> None:
        """Move to the centre of the landmarks float (P, 3) in which the face was found."""
        self._last = (points[:, :2].min(axis=0) + points[:, :2].max(axis=0)) / 2


class LandmarkDetector(ABC):
    """Finds the landmarks of one face in each picture of a sequence.

    Attributes:
        layout: Which landmark is which.
    """

    layout: LandmarkLayout
    _chosen: ChosenFace | None = None

    @abstractmethod
    def detect(self, image: NDArray[np.uint8]) -> Face | None:
        """The face in a picture, uint8 (H, W, 3) RGB: the largest, the chosen, or the one found in the picture before.

        Returns:
            None where there is no face.
        """

    def track(self, image: NDArray[np.uint8]) -> Face | None:
        """The face in a picture, uint8 (H, W, 3) RGB, that was found in the picture before; None also where the
        back-end looks at each picture anew.
        """
        return None

    def faces(self, image: NDArray[np.uint8]) -> Iterator[Face]:
        """The faces that a picture, uint8 (H, W, 3) RGB, shows at first sight, the largest first, or the chosen one."""
        face = self.detect(image)
        return iter(()) if face is None else iter((face,))

    def small_faces(self, image: NDArray[np.uint8]) -> Iterator[Face]:
        """Those that are too small for :meth:`faces` in a large picture, uint8 (H, W, 3) RGB: none where the back-end
        overlooks none. It takes longer by several times.
        """
        return iter(())

    def locate(self, image: NDArray[np.uint8], points: NDArray[np.floating]) -> Face | None:
        """The face in a picture, uint8 (H, W, 3) RGB, that lies about where the points (P, 3) of a face do in a picture
        shortly before or after it; None also where the back-end looks at each picture anew.
        """
        return None

    def choose(self, x: float, y: float) -> None:
        """Look for the face at this place, in pixels, and not for the largest; from then on, where it was last seen."""
        self._chosen = ChosenFace((x, y))

    def follow(self, points: NDArray[np.floating]) -> None:  # noqa: B027 (most know nothing of other pictures)
        """Go on after a picture in which these points (P, 3) were found, NaN where there was no face: what is found
        next is what :meth:`detect` would have found after that picture.
        """
