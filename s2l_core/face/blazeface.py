"""Where faces are in a picture: BlazeFace, run by LiteRT on the whole picture, and on tiles of it for small faces.

Source: Bazarevsky et al., "BlazeFace" (2019). Anchors follow the conventions with which MediaPipe runs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import cv2
import numpy as np

from ..errors import LandmarksUnavailable
from ..events import checkpoint

_REGION_SCALE = 1.5
_SCORE = 0.5
_TILE_SCORE = 0.3
"""In tiles, faces are found by few of the network's pixels, and what was found is looked at again."""
_SURROUNDINGS = 4
"""Side of the square, in sides of the face, in which the network is surest of it."""
_OVERLAP = 0.3
_SMALLEST_FACE = 60
"""Pixels across: what the README promises."""
_FINDABLE = 16
"""Pixels across in the network's picture: a face that large is found, also a dark or tilted one."""
_MARGIN = _SMALLEST_FACE
"""Around the picture: what lies in the corner of a tile is found less surely."""
_HEAD = 1.2
"""Height of what the network looks at, in widths of the face."""
_FARTHEST = 100_000.0
"""Pixels, beyond all pictures: a region that lies there comes from a model that is damaged, or another one."""
_LARGEST_REDUCTION = 4
"""From one size of tiles to the next: the larger it is, the more neighbouring tiles must overlap."""


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

    @property
    def face_side(self) -> float:
        """Of the face in it, in pixels."""
        return self.side / _REGION_SCALE

    @property
    def is_within_reach(self) -> bool:
        """Whether a picture can show a face there; False also where a value is no number."""
        return abs(self.x) < _FARTHEST and abs(self.y) < _FARTHEST and 1.0 <= self.side < _FARTHEST

    def to_image(self, size: int) -> np.ndarray:
        """Matrix (2, 3) from the pixels of the cut-out, ``size`` across, to those of the image."""
        scale = self.side / size
        cosine, sine = scale * np.cos(self.angle), scale * np.sin(self.angle)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        corner = np.array([self.x, self.y]) - turn @ np.array([size / 2, size / 2])
        return np.column_stack([turn, corner])

    def agrees(self, other: Region, change: float = 0.15) -> bool:
        """The same face is seen nearly as well through either: place, side and angle differ by less than a share."""
        shift = np.hypot(self.x - other.x, self.y - other.y) / self.side
        turn = abs((self.angle - other.angle + np.pi) % (2 * np.pi) - np.pi)
        return bool(max(shift, abs(other.side / self.side - 1), turn) < change)

    def is_beside(self, other: Region) -> bool:
        """So close to the other, and so like it in size, that both hold the same face, perhaps a moment later."""
        shorter, longer = sorted((self.side, other.side))
        return longer < 2 * shorter and bool(np.hypot(self.x - other.x, self.y - other.y) < shorter / 2)


class Network:
    """A TFLite model with one square picture as its input.

    Attributes:
        size: Side of the picture in pixels.
        sizes: Number of values in each output.

    Raises:
        LandmarksUnavailable: LiteRT is missing, or the model is damaged or another one.
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
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        shapes = [tuple(map(int, each["shape"])) for each in inputs]
        self.size = shapes[0][1] if shapes and len(shapes[0]) == 4 else 0
        if shapes != [(1, self.size, self.size, 3)] or {each["dtype"] for each in [*inputs, *outputs]} != {np.float32}:
            raise LandmarksUnavailable("The input of the landmark model is not a picture.")
        self._input = inputs[0]["index"]
        self._outputs = [output["index"] for output in outputs]
        self.sizes = [int(np.prod(output["shape"])) for output in outputs]

    def run(self, picture: np.ndarray) -> list[np.ndarray]:
        """Outputs for a picture float32 (size, size, 3).

        Raises:
            LandmarksUnavailable: The model is damaged: it cannot be run, or computes NaN or infinity.
        """
        checkpoint()
        try:
            self._interpreter.set_tensor(self._input, picture[None])
            self._interpreter.invoke()
            results = [self._interpreter.get_tensor(index) for index in self._outputs]
        except (ValueError, RuntimeError) as error:
            raise LandmarksUnavailable(f"The landmark model cannot be run: {error}.") from error
        if not all(np.isfinite(result).all() for result in results):
            raise LandmarksUnavailable("The landmark model returned NaN or infinity.")
        return results


class BlazeFace:
    """The face detector.

    Args:
        model: Its TFLite file.

    Raises:
        LandmarksUnavailable: LiteRT is missing, or the model is another one.
    """

    def __init__(self, model: bytes) -> None:
        self._network = Network(model)
        self._anchors = _anchors(self._network.size)
        if self._network.sizes[:2] != [len(self._anchors) * 16, len(self._anchors)]:
            raise LandmarksUnavailable("The face detector is not a BlazeFace model with 896 anchors.")

    def find(self, image: np.ndarray) -> list[Region]:
        """The regions of all faces that the whole picture shows, uint8 (H, W, 3) RGB, the largest first."""
        return self._find(image, _SCORE)

    def find_small(self, image: np.ndarray) -> list[Region]:
        """The regions of all faces that tiles of the picture show, down to 60 pixels, the largest first."""
        framed = cv2.copyMakeBorder(image, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_REPLICATE)
        found = [
            replace(region, x=region.x + left - _MARGIN, y=region.y + top - _MARGIN)
            for left, top, side in self._tiles(*image.shape[:2])
            for region in self._find(framed[top : top + side, left : left + side], _TILE_SCORE)
        ]
        distinct: list[Region] = []
        for region in sorted(found, key=lambda region: -region.side):
            if not any(region.is_beside(larger) for larger in distinct) and self.confirms(image, region):
                distinct.append(region)
        return distinct

    def confirms(self, image: np.ndarray, region: Region) -> bool:
        """Whether the region still looks like a face from as near as it is seen best, turned upright."""
        side = _SURROUNDINGS * region.face_side
        reach = math.ceil(side)  # the corner of a turned square is at most 0.71 sides away from its centre
        left, top = max(0, int(region.x) - reach), max(0, int(region.y) - reach)
        near = image[top : int(region.y) + reach, left : int(region.x) + reach]
        if min(near.shape) == 0:
            return False
        inside = replace(region, x=region.x - left, y=region.y - top)
        found = self._find_in(near, replace(inside, side=side), _SCORE, cv2.BORDER_REPLICATE)
        return any(inside.is_beside(other) for other in found)

    def _find(self, image: np.ndarray, least_score: float) -> list[Region]:
        height, width = image.shape[:2]
        return self._find_in(image, Region(width / 2, height / 2, max(width, height), 0.0), least_score)

    def _find_in(
        self, image: np.ndarray, square: Region, least_score: float, border: int = cv2.BORDER_CONSTANT
    ) -> list[Region]:
        size = self._network.size
        to_image = square.to_image(size)
        outputs = self._network.run(cut_out(image, to_image, size, border) / np.float32(127.5) - 1)
        scores = sigmoid(outputs[1].ravel())
        boxes = outputs[0].reshape(-1, 8, 2)  # centre, extent, then six key points, the eyes first
        likely = (scores > least_score) & _are_possible(boxes)
        boxes = boxes[likely]
        boxes[:, [0, *range(2, 8)]] += self._anchors[likely][:, None]
        regions = (_region_of_box(box, to_image) for box in _distinct(boxes, scores[likely]))
        return [region for region in regions if region.is_within_reach]

    def _tiles(self, height: int, width: int) -> Iterator[tuple[int, int, int]]:
        """Left, top and side of squares that cover a picture with its margins, in sizes from the whole, excluded, down
        to that in which the smallest face is large enough. They overlap by the largest face that may be missed in the
        next larger size.
        """
        whole = max(height, width)
        smallest = _SMALLEST_FACE * self._network.size / _FINDABLE
        sizes = math.ceil(math.log(max(1.0, whole / smallest), _LARGEST_REDUCTION) - 1e-9)
        for number in range(1, sizes + 1):
            reduction = (whole / smallest) ** (1 / sizes)
            side = round(whole / reduction**number)
            overlap = _HEAD * reduction * _FINDABLE / self._network.size
            starts = (_starts(length, side, overlap) for length in (height + 2 * _MARGIN, width + 2 * _MARGIN))
            yield from ((left, top, side) for top, left in product(*starts))


def cut_out(image: np.ndarray, to_image: np.ndarray, size: int, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """The picture (size, size, 3) of a region; black where it leaves the image, or what OpenCV's ``border`` says.

    A region much larger than the picture is shrunk by averaging first: sampling alone would alias, and landmarks
    would jitter.
    """
    factor = min(int(np.linalg.norm(to_image[:, 0])), *image.shape[:2])
    if factor > 1:
        height, width = image.shape[0] // factor, image.shape[1] // factor
        image = cv2.resize(image[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA)
        to_image = to_image / factor
    centred = to_image.copy()
    centred[:, 2] += to_image[:, :2].sum(axis=1) / 2 - 0.5  # cv2 has pixel centres at whole numbers
    return cv2.warpAffine(
        image, centred, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border
    )


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -80, 80)))


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin that cover a length evenly, overlapping by a share of their side at least."""
    steps = math.ceil(max(0, length - side) / (side * (1 - overlap)))
    return [round(step * (length - side) / steps) for step in range(steps + 1)] if steps else [0]


def _anchors(size: int) -> np.ndarray:
    """Centres (896, 2) of BlazeFace's anchors in pixels of its picture: 2 on each cell of 16 x 16, 6 on 8 x 8."""
    grids = []
    for cells, repeats in ((16, 2), (8, 6)):
        centres = (np.arange(cells) + 0.5) * (size / cells)
        x, y = np.meshgrid(centres, centres)
        grids.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), repeats, axis=0))
    return np.concatenate(grids).astype(np.float32)


def _are_possible(boxes: np.ndarray) -> np.ndarray:
    """Which of the boxes (N, 8, 2) have an extent that a picture can have, and numbers throughout."""
    extents = boxes[:, 1]
    return (np.abs(boxes) < _FARTHEST).all(axis=(1, 2)) & (extents > 0).all(axis=1)


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
        overlaps[best] = True  # also where a box is so small that its area is rounded to nothing
        weights = scores * overlaps
        yield np.einsum("n,nij->ij", weights / weights.sum(), boxes)
        boxes, scores = boxes[~overlaps], scores[~overlaps]


def _region_of_box(box: np.ndarray, to_image: np.ndarray) -> Region:
    points = box @ to_image[:, :2].T
    points[[0, 2, 3]] += to_image[:, 2]
    corners = np.stack([points[0] - points[1] / 2, points[0] + points[1] / 2])
    return Region.around(corners, points[2], points[3])
