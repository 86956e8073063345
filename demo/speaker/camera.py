"""The camera that films the speaker: a fixed pinhole without distortion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZE = 384
DISTANCE = 770.0


@dataclass(frozen=True)
class Camera:
    """Square pixels, optical axis through the middle; the centre of the first pixel lies at 0.5."""

    focal_length: float = 900.0
    width: int = SIZE
    height: int = SIZE

    @property
    def matrix(self) -> np.ndarray:
        """Intrinsics (3, 3) in pixels."""
        focal = self.focal_length
        return np.array([[focal, 0.0, self.width / 2.0], [0.0, focal, self.height / 2.0], [0.0, 0.0, 1.0]])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3) in camera axes."""
        image = points @ self.matrix.T
        return image[..., :2] / image[..., 2:]


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels in a picture."""

    left: int
    top: int
    width: int
    height: int
