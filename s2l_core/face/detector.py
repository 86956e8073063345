"""Interface of the landmark back-ends, and the face that they detect."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..media.video import Frame
from .layout import LandmarkLayout


@dataclass(frozen=True)
class Face:
    """A detected face.

    Attributes:
        points: float32 (P, 3) landmarks: x and y in image pixels with pixel centres at +0.5, and z in the same unit
            with an arbitrary origin; smaller z is nearer, and 0 if the back-end has no depth.
        score: Confidence of the back-end that this is a face, 0 to 1.
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
        layout: Layout of the landmarks.
    """

    layout: LandmarkLayout
    _chosen: ChosenFace | None = None

    @abstractmethod
    def detect(self, image: NDArray[np.uint8]) -> Face | None:
        """Find a face in a picture, uint8 (H, W, 3) RGB: the one of the previous picture, the chosen, or the largest.

        Returns:
            None if there is no face.
        """

    def track(self, image: NDArray[np.uint8] | Frame) -> Face | None:
        """Find the face of the previous picture in a picture, uint8 (H, W, 3) RGB, or in a frame, of which only the
        part around that face is converted. Always None for back-ends that process each picture independently.
        """
        return None

    def faces(self, image: NDArray[np.uint8]) -> Iterator[Face]:
        """Faces found in the whole picture, uint8 (H, W, 3) RGB: the largest first, or only the chosen one."""
        face = self.detect(image)
        return iter(()) if face is None else iter((face,))

    def small_faces(self, image: NDArray[np.uint8]) -> Iterator[Face]:
        """Faces in a large picture, uint8 (H, W, 3) RGB, that are too small for :meth:`faces`. It takes several times
        as long. Always empty for back-ends that find small faces with :meth:`faces`.
        """
        return iter(())

    def locate(self, image: NDArray[np.uint8], points: NDArray[np.floating]) -> Face | None:
        """Find the face near given landmarks, float (P, 3), of a neighbouring picture in a picture, uint8 (H, W, 3)
        RGB. Always None for back-ends that process each picture independently.
        """
        return None

    def choose(self, x: float, y: float) -> None:
        """Choose the face at a position in pixels, instead of the largest one, and follow it from there."""
        self._chosen = ChosenFace((x, y))

    def follow(self, points: NDArray[np.floating]) -> None:  # noqa: B027 (optional)
        """Continue after a picture with landmarks float (P, 3), or NaN without a face: the next results are those that
        :meth:`detect` would have returned after that picture.
        """
