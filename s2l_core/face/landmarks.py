"""Landmarks of a face in a picture, from whichever back-end is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import LandmarksUnavailable
from .layout import IBUG68, MESH468, LandmarkLayout, mouth_opening

__all__ = [
    "IBUG68",
    "MESH468",
    "Face",
    "LandmarkDetector",
    "LandmarkLayout",
    "mouth_opening",
    "open_detector",
]


@dataclass(frozen=True)
class Face:
    """One face.

    Attributes:
        points: float32 (P, 3): x and y in image pixels with pixel centres at +0.5, z in the same scale from an
            arbitrary zero, smaller is nearer; z is 0 where the back-end has no depth.
        score: How sure the back-end is that this is a face, 0 to 1.
    """

    points: np.ndarray
    score: float


class Whereabouts:
    """Where one of several people is.

    Args:
        place: x and y in pixels, where the person is first seen.
    """

    def __init__(self, place: tuple[float, float]) -> None:
        self._first = self._last = np.array(place)

    def find(self, places: np.ndarray, sizes: np.ndarray) -> int | None:
        """Which of the faces at places (N, 2) with sizes (N,), in pixels, is the person's: the one that is nearest to
        where the person was seen last, or else first, and by less than its size.
        """
        for place in (self._last, self._first):
            distances = np.linalg.norm(places - place, axis=1)
            near = np.flatnonzero(distances < sizes)
            if len(near):
                return int(near[np.argmin(distances[near])])
        return None

    def saw(self, points: np.ndarray) -> None:
        """Remember landmarks (P, 3) of the person."""
        self._last = (points[:, :2].min(axis=0) + points[:, :2].max(axis=0)) / 2


class LandmarkDetector(ABC):
    """Finds the landmarks of one face in each picture of a sequence.

    Attributes:
        layout: Which landmark is which.
    """

    layout: LandmarkLayout
    _chosen: Whereabouts | None = None

    @abstractmethod
    def detect(self, image: np.ndarray) -> Face | None:
        """The face in a picture, uint8 (H, W, 3) RGB: the largest, the chosen, or the one found in the picture before.

        Returns:
            None where there is no face.
        """

    def track(self, image: np.ndarray) -> Face | None:
        """The face in a picture, uint8 (H, W, 3) RGB, that was found in the picture before; None also where the
        back-end looks at each picture anew.
        """
        return None

    def faces(self, image: np.ndarray) -> Iterator[Face]:
        """The faces that a picture, uint8 (H, W, 3) RGB, shows at first sight, the largest first, or the chosen one."""
        face = self.detect(image)
        return iter(()) if face is None else iter((face,))

    def small_faces(self, image: np.ndarray) -> Iterator[Face]:
        """Those that are too small for :meth:`faces` in a large picture, uint8 (H, W, 3) RGB: none where the back-end
        overlooks none. It takes longer by several times.
        """
        return iter(())

    def locate(self, image: np.ndarray, points: np.ndarray) -> Face | None:
        """The face in a picture, uint8 (H, W, 3) RGB, that lies about where the points (P, 3) of a face do in a picture
        shortly before or after it; None also where the back-end looks at each picture anew.
        """
        return None

    def choose(self, x: float, y: float) -> None:
        """Look for the face at this place, in pixels, and not for the largest; from then on, where it was last seen."""
        self._chosen = Whereabouts((x, y))

    def follow(self, points: np.ndarray) -> None:  # noqa: B027 (most know nothing of other pictures)
        """Go on after a picture in which these points (P, 3) were found, NaN where there was no face: what is found
        next is what :meth:`detect` would have found after that picture.
        """


INSTALLED = ("bundled", "face-alignment")
"""The back-ends that are no file of the user's."""


def open_detector(name: str, device: str = "cpu") -> LandmarkDetector:
    """The back-end of a name.

    Args:
        name: ``"bundled"`` (468 points; works offline), ``"face-alignment"`` (68 points; needs its weights), or the
            path of a MediaPipe face landmarker ``.task`` file (468 points).
        device: ``"cpu"`` or ``"cuda"``, for ``"face-alignment"``; the others are fast enough on the CPU.

    Raises:
        LandmarksUnavailable: There is no such back-end, or something it needs is missing.
        FileMissing: There is no such ``.task`` file.
    """
    if name == "bundled":
        from .mesh_detector import MeshDetector
        from .mesh_models import bundled_models

        return MeshDetector(bundled_models())
    if name == "face-alignment":
        from .alignment_detector import AlignmentDetector

        return AlignmentDetector(device)
    if name.lower().endswith(".task"):
        from .mesh_detector import MeshDetector
        from .mesh_models import task_models

        return MeshDetector(task_models(name))
    raise LandmarksUnavailable(
        f"There are no landmarks called {name[:200]!r}.", "Use 'bundled', 'face-alignment' or the path of a .task file."
    )
