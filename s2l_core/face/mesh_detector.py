"""The 468-point face mesh: BlazeFace finds the face, a mesh network places the points, both run by LiteRT.

Sources: Bazarevsky et al., "BlazeFace" (2019); Kartynnik et al., "Real-time Facial Surface Geometry from Monocular
Video" (2019). Regions, anchors and scales follow the conventions with which MediaPipe runs these models.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ..errors import LandmarksUnavailable
from .landmarks import Face, LandmarkDetector
from .layout import MESH468
from .mesh_models import MeshModels

_FACE_SCORE = 0.5
_OVERLAP = 0.3
_REGION_SCALE = 1.5
_REGION_CHANGE = 0.15
_CORRECTIONS = 4
_LEFT_EYE, _RIGHT_EYE = MESH468.eye_corners[[0, 3]]


@dataclass(frozen=True)
class Region:
    """A square of the image around a face, half as large again as that and turned with it by ``angle`` radians: centre
    and side in pixels.
    """

    x: float
    y: float
    side: float
    angle: float

    @classmethod
    def around(cls, corners: np.ndarray, left_eye: np.ndarray, right_eye: np.ndarray) -> Region:
        """The square in which the mesh network expects a face with this bounding box (2, 2) and this line of eyes."""
        x, y = corners.mean(axis=0)
        across, down = right_eye - left_eye
        side = _REGION_SCALE * float(np.max(corners[1] - corners[0]))
        return cls(float(x), float(y), side, float(np.arctan2(down, across)))

    @classmethod
    def of(cls, points: np.ndarray) -> Region:
        """The square around a face with landmarks (468, 2 or 3) in pixels."""
        corners = np.stack([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
        return cls.around(corners, points[_LEFT_EYE, :2], points[_RIGHT_EYE, :2])

    @property
    def face_side(self) -> float:
        """Of the face in it, in pixels."""
        return self.side / _REGION_SCALE

    def to_image(self, size: int) -> np.ndarray:
        """Matrix (2, 3) from the pixels of the cut-out, ``size`` across, to those of the image."""
        scale = self.side / size
        cosine, sine = scale * np.cos(self.angle), scale * np.sin(self.angle)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        corner = np.array([self.x, self.y]) - turn @ np.array([size / 2, size / 2])
        return np.column_stack([turn, corner])

    def agrees(self, other: Region) -> bool:
        """The same face is seen nearly as well through either."""
        shift = np.hypot(self.x - other.x, self.y - other.y) / self.side
        turn = abs((self.angle - other.angle + np.pi) % (2 * np.pi) - np.pi)
        return bool(max(shift, abs(other.side / self.side - 1), turn) < _REGION_CHANGE)


class MeshDetector(LandmarkDetector):
    """Follows one face: its region in a picture comes from its points in the picture before.

    Args:
        models: Face detector and face mesh.

    Raises:
        LandmarksUnavailable: LiteRT is missing, or the models are not those two.
    """

    layout = MESH468

    def __init__(self, models: MeshModels) -> None:
        self._detector = _Network(models.detector)
        self._mesh = _Network(models.mesh)
        self._pixel_shift = 0.5 - models.pixel_centre
        self._anchors = _anchors(self._detector.size)
        if self._detector.sizes[:2] != [len(self._anchors) * 16, len(self._anchors)]:
            raise LandmarksUnavailable("The face detector is not a BlazeFace model of 896 anchors.")
        if self._mesh.sizes[0] < MESH468.count * 3:
            raise LandmarksUnavailable("The face mesh model gives fewer than 468 points.")
        self._region: Region | None = None

    def follow(self, points: np.ndarray) -> None:
        self._go_on_from(None if np.isnan(points).any() else points)

    def detect(self, image: np.ndarray) -> Face | None:
        face = self._follow(image, self._region) if self._region else None
        if face is None:
            region = self._find(image)
            face = self._follow(image, region) if region else None
        self._go_on_from(face.points if face else None)
        return face

    def find_all(self, image: np.ndarray) -> list[Region]:
        """The regions of all faces in a picture, uint8 (H, W, 3) RGB, the largest first."""
        size = self._detector.size
        height, width = image.shape[:2]
        to_image = Region(width / 2, height / 2, max(width, height), 0.0).to_image(size)
        outputs = self._detector.run(_cut_out(image, to_image, size) / np.float32(127.5) - 1)
        scores = _sigmoid(outputs[1].ravel())
        likely = scores > _FACE_SCORE
        boxes = outputs[0].reshape(-1, 8, 2)[likely]  # centre, extent, then six key points, the eyes first
        boxes[:, [0, *range(2, 8)]] += self._anchors[likely][:, None]
        return [_region_of_box(box, to_image) for box in _distinct(boxes, scores[likely])]

    def detect_all(self, image: np.ndarray) -> list[Face]:
        """All faces in a picture, uint8 (H, W, 3) RGB, the largest first; what was found in the picture before does
        not matter, nor does this for the next one.
        """
        faces = (self._follow(image, region) for region in self.find_all(image))
        return [face for face in faces if face is not None]

    def _go_on_from(self, points: np.ndarray | None) -> None:
        self._region = None if points is None else Region.of(points)
        if self._chosen and points is not None:
            self._chosen.saw(points)

    def _follow(self, image: np.ndarray, region: Region) -> Face | None:
        """The face in about this region, corrected until it fits: after a cut the network scores a bad one as high."""
        for _ in range(_CORRECTIONS):
            face = self._place(image, region)
            if face is None or region.agrees(corrected := Region.of(face.points)):
                return face
            region = corrected
        return None

    def _place(self, image: np.ndarray, region: Region) -> Face | None:
        size = self._mesh.size
        to_image = region.to_image(size)
        outputs = self._mesh.run(_cut_out(image, to_image, size) / np.float32(255))
        score = float(_sigmoid(outputs[1].ravel()[0]))
        if score < _FACE_SCORE:
            return None
        points = outputs[0].reshape(-1, 3)[: MESH468.count]
        placed = np.empty((MESH468.count, 3), np.float32)
        placed[:, :2] = (points[:, :2] + self._pixel_shift) @ to_image[:, :2].T + to_image[:, 2]
        placed[:, 2] = points[:, 2] * (region.side / size)
        return Face(placed, score)

    def _find(self, image: np.ndarray) -> Region | None:
        """The region of the largest face in the image, or of the chosen one."""
        regions = self.find_all(image)
        if not regions or self._chosen is None:
            return regions[0] if regions else None
        places = np.array([[region.x, region.y] for region in regions])
        found = self._chosen.find(places, np.array([region.face_side for region in regions]))
        return None if found is None else regions[found]


class _Network:
    """A TFLite model with one square picture as its input.

    Attributes:
        size: Side of the picture in pixels.
        sizes: Number of values in each output.
    """

    def __init__(self, model: bytes) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise LandmarksUnavailable(
                "The runtime of the landmark models is missing: the package ai-edge-litert is not installed.",
                "Install it with: python -m pip install ai-edge-litert",
            ) from error
        try:
            self._interpreter: Any = Interpreter(model_content=model, num_threads=2)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise LandmarksUnavailable(f"A landmark model cannot be loaded: {error}.") from error
        (picture,) = self._interpreter.get_input_details()
        self._input = picture["index"]
        self.size = int(picture["shape"][1])
        outputs = self._interpreter.get_output_details()
        self._outputs = [output["index"] for output in outputs]
        self.sizes = [int(np.prod(output["shape"])) for output in outputs]

    def run(self, picture: np.ndarray) -> list[np.ndarray]:
        """Outputs for a picture float32 (size, size, 3)."""
        self._interpreter.set_tensor(self._input, picture[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def _cut_out(image: np.ndarray, to_image: np.ndarray, size: int) -> np.ndarray:
    """The picture (size, size, 3) of a region; black where it leaves the image.

    A region much larger than the picture is shrunk by averaging first: sampling alone would alias, and landmarks
    would jitter.
    """
    factor = int(np.linalg.norm(to_image[:, 0]))
    if factor > 1:
        height, width = image.shape[0] // factor, image.shape[1] // factor
        image = cv2.resize(image[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA)
        to_image = to_image / factor
    centred = to_image.copy()
    centred[:, 2] += to_image[:, :2].sum(axis=1) / 2 - 0.5  # cv2 has pixel centres at whole numbers
    return cv2.warpAffine(image, centred, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _anchors(size: int) -> np.ndarray:
    """Centres (896, 2) of BlazeFace's anchors in pixels of its picture: 2 on each cell of 16 x 16, 6 on 8 x 8."""
    grids = []
    for cells, repeats in ((16, 2), (8, 6)):
        centres = (np.arange(cells) + 0.5) * (size / cells)
        x, y = np.meshgrid(centres, centres)
        grids.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), repeats, axis=0))
    return np.concatenate(grids).astype(np.float32)


def _distinct(boxes: np.ndarray, scores: np.ndarray) -> Iterator[np.ndarray]:
    """The faces among overlapping boxes (N, 8, 2), the largest first: each the mean, weighted by score, of the boxes
    that overlap the largest of those that are left.
    """
    while len(boxes):
        best = int(np.argmax(boxes[:, 1].prod(axis=1) * scores))
        low, high = boxes[:, 0] - boxes[:, 1] / 2, boxes[:, 0] + boxes[:, 1] / 2
        shared = np.clip(np.minimum(high, high[best]) - np.maximum(low, low[best]), 0, None).prod(axis=1)
        union = boxes[:, 1].prod(axis=1) + boxes[best, 1].prod() - shared
        overlaps = shared > _OVERLAP * union
        weights = scores * overlaps
        yield np.einsum("n,nij->ij", weights / weights.sum(), boxes)
        boxes, scores = boxes[~overlaps], scores[~overlaps]


def _region_of_box(box: np.ndarray, to_image: np.ndarray) -> Region:
    points = box @ to_image[:, :2].T
    points[[0, 2, 3]] += to_image[:, 2]
    corners = np.stack([points[0] - points[1] / 2, points[0] + points[1] / 2])
    return Region.around(corners, points[2], points[3])


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -80, 80)))
