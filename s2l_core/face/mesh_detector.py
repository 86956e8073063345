"""The 468-point face mesh: BlazeFace finds the face and a mesh network the landmarks, both run by LiteRT.

Source: Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video" (2019). Regions and scales follow the
conventions with which MediaPipe runs these models.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import LandmarksUnavailable
from ..media.video import Frame
from .blazeface import BlazeFace, Network, Region, cut_out, sigmoid
from .detector import Face, LandmarkDetector
from .layout import MESH468
from .mesh_models import MeshModels

_FACE_SCORE = 0.5
_CORRECTIONS = 4
_REFINEMENTS = 12
_FITS = 0.03
_LEFT_EYE, _RIGHT_EYE = MESH468.eye_corners[[0, 3]]


class MeshDetector(LandmarkDetector):
    """Follows one face: its region in a picture is computed from its landmarks in the previous picture.

    Args:
        models: Face detector and face mesh.

    Raises:
        LandmarksUnavailable: LiteRT is missing, or the files contain other models.
    """

    layout = MESH468

    def __init__(self, models: MeshModels) -> None:
        self._finder = BlazeFace(models.detector)
        self._mesh = Network(models.mesh)
        self._pixel_shift = 0.5 - models.pixel_centre
        if len(self._mesh.sizes) < 2 or self._mesh.sizes[0] % 3 or self._mesh.sizes[0] < MESH468.count * 3:
            raise LandmarksUnavailable("The face mesh model has fewer than 468 points.")
        self._region: Region | None = None

    def follow(self, points: NDArray[np.floating]) -> None:
        self._go_on_from(None if np.isnan(points).any() else points)

    def detect(self, image: NDArray[np.uint8]) -> Face | None:
        face = self.track(image) or next(self.faces(image), None)
        self._go_on_from(face.points if face else None)
        return face

    def track(self, image: NDArray[np.uint8] | Frame) -> Face | None:
        return self._follow(image, self._region) if self._region else None

    def faces(self, image: NDArray[np.uint8]) -> Iterator[Face]:
        return self._fit_all(image, self._finder.find(image))

    def small_faces(self, image: NDArray[np.uint8]) -> Iterator[Face]:
        return self._fit_all(image, self._finder.find_small(image))

    def locate(self, image: NDArray[np.uint8], points: NDArray[np.floating]) -> Face | None:
        region = region_of(points)
        face = self._follow(image, region)
        if face is None or not region.is_beside(found := region_of(face.points)):
            return None
        return face if self._finder.confirms(image, found) else None

    def find_all(self, image: NDArray[np.uint8]) -> list[Region]:
        """Regions of all faces in a picture, uint8 (H, W, 3) RGB, including small ones, the largest first."""
        found = self._finder.find(image)
        small = [region_of(face.points) for face in self.small_faces(image)]
        found += [region for region in small if not any(region.is_beside(larger) for larger in found)]
        return sorted(found, key=lambda region: -region.side)

    def detect_all(self, image: NDArray[np.uint8]) -> list[Face]:
        """All faces in a picture, uint8 (H, W, 3) RGB, the largest first, independently of other pictures."""
        faces = (self._follow(image, region) for region in self.find_all(image))
        return [face for face in faces if face is not None]

    def _go_on_from(self, points: NDArray[np.floating] | None) -> None:
        self._region = None if points is None else region_of(points)
        if self._chosen and points is not None:
            self._chosen.move_to(points)

    def _follow(self, image: NDArray[np.uint8] | Frame, region: Region) -> Face | None:
        """The face in an approximate region, corrected until it fits: after a cut, a wrong one may score as high."""
        for _ in range(_CORRECTIONS):
            face = self._place(image, region)
            if face is None or region.agrees(corrected := region_of(face.points)):
                return face
            region = corrected
        return None

    def _fit_all(self, image: NDArray[np.uint8], regions: list[Region]) -> Iterator[Face]:
        """The faces in regions of the detector, or only the chosen one."""
        if self._chosen is not None and regions:
            places = np.array([[region.x, region.y] for region in regions])
            found = self._chosen.nearest(places, np.array([region.face_side for region in regions]))
            regions = [] if found is None else [regions[found]]
        for region in regions:
            if face := self._fit(image, region):
                yield face

    def _fit(self, image: NDArray[np.uint8], region: Region) -> Face | None:
        """The face in a region of the detector, refined: the box of a small face may be wrong by its size, and in a
        region that is much too large, the landmarks still cover most of it.
        """
        face = self._follow(image, region)
        for _ in range(_REFINEMENTS):
            if face is None or region.agrees(corrected := region_of(face.points), _FITS):
                return face
            region = corrected
            face = self._place(image, region)
        return face

    def _place(self, image: NDArray[np.uint8] | Frame, region: Region) -> Face | None:
        if not region.is_within_reach:
            return None
        size = self._mesh.size
        to_image = region.to_image(size)
        outputs = self._mesh.run(cut_out(image, to_image, size) / np.float32(255))
        score = float(sigmoid(outputs[1].ravel()[0]))
        if score < _FACE_SCORE:
            return None
        points = outputs[0].reshape(-1, 3)[: MESH468.count]
        placed = np.empty((MESH468.count, 3), np.float32)
        placed[:, :2] = (points[:, :2] + self._pixel_shift) @ to_image[:, :2].T + to_image[:, 2]
        placed[:, 2] = points[:, 2] * (region.side / size)
        return Face(placed, score)


def region_of(points: NDArray[np.floating]) -> Region:
    """Region of a face with landmarks (468, 2 or 3) in pixels."""
    corners = np.stack([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
    return Region.around(corners, points[_LEFT_EYE, :2], points[_RIGHT_EYE, :2])
