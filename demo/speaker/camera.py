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

    @property
    def matrix(self) -> np.ndarray:
        """Intrinsics (3, 3) in pixels."""
        middle = SIZE / 2.0
        return np.array([[self.focal_length, 0.0, middle], [0.0, self.focal_length, middle], [0.0, 0.0, 1.0]])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3) in camera axes."""
        image = points @ self.matrix.T
        return image[..., :2] / image[..., 2:]
