"""Face detection with BlazeFace, run by LiteRT on the whole picture, and on tiles of it for small faces.

Source: Bazarevsky et al., "BlazeFace" (2019). Anchors follow the conventions with which MediaPipe runs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import LandmarksUnavailable
from ..events import checkpoint
from ..geometry.camera import Rectangle
from ..media.planes import Part
from ..media.video import Frame

_REGION_SCALE = 1.5
_SCORE = 0.5
_LARGEST = 1e5
"""Numbers below which all outputs lie: pixels of the input, logits and probabilities."""
Array = NDArray[np.floating]

_TILE_SCORE = 0.3
"""Least score in tiles, where faces cover few of the network's pixels; detections are confirmed afterwards."""
_SURROUNDINGS = 4
"""Side of the square around a face, relative to the face, in which the network gives the highest score."""
_OVERLAP = 0.3
_SMALLEST_FACE = 60
"""Width in pixels of the smallest face that is detected, as stated in the README."""
_FINDABLE = 16
"""Width of a face in the network's input from which it is detected, even if it is dark or tilted."""
_MARGIN = _SMALLEST_FACE
"""Margin around the picture in pixels, since detection is less reliable in the corners of a tile."""
_HEAD = 1.2
"""Height of the region that the network evaluates, relative to the width of the face."""
_FARTHEST = 100_000.0
"""Largest coordinate of a region in pixels: larger ones come from a damaged or unsuitable model."""
_BESIDE_CUT_OUT = 2
"""Pixels beside a cut-out that linear interpolation may need, after rounding."""
_LARGEST_REDUCTION = 4
"""Largest ratio between two sizes of tiles. A larger ratio makes neighbouring tiles overlap more."""


@dataclass(frozen=True)
class Region:
    """A square of the image around a face, 1.5 times as large as the face and rotated with it.

    Centre and side are in pixels, and ``angle`` in radians.
    """

    x: float
    y: float
    side: float
    angle: float

    @classmethod
    def around(cls, corners: Array, left_eye: Array, right_eye: Array) -> Region:
        """The square in which the mesh network expects a face with a bounding box (2, 2) and two eye positions (2,)."""
        x, y = corners.mean(axis=0)
        across, down = right_eye - left_eye
        side = _REGION_SCALE * float(np.max(corners[1] - corners[0]))
        return cls(float(x), float(y), side, float(np.arctan2(down, across)))

    @property
    def face_side(self) -> float:
        """Size of the face in pixels."""
        return self.side / _REGION_SCALE

    @property
    def is_within_reach(self) -> bool:
        """Whether a picture can show a face in this region; False if a value is NaN."""
        return abs(self.x) < _FARTHEST and abs(self.y) < _FARTHEST and 1.0 <= self.side < _FARTHEST

    def to_image(self, size: int) -> Array:
        """Matrix (2, 3) from pixels of the cut-out of ``size`` x ``size`` to pixels of the image."""
        scale = self.side / size
        cosine, sine = scale * np.cos(self.angle), scale * np.sin(self.angle)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        corner = np.array([self.x, self.y]) - turn @ np.array([size / 2, size / 2])
        return np.column_stack([turn, corner])

    def agrees(self, other: Region, change: float = 0.15) -> bool:
        """Whether two regions are nearly equal: position, side and angle differ by less than ``change``."""
        shift = np.hypot(self.x - other.x, self.y - other.y) / self.side
        turn = abs((self.angle - other.angle + np.pi) % (2 * np.pi) - np.pi)
        return bool(max(shift, abs(other.side / self.side - 1), turn) < change)

    def is_beside(self, other: Region) -> bool:
        """Whether position and size are so close that both regions contain the same face, perhaps a moment later."""
        shorter, longer = sorted((self.side, other.side))
        return longer < 2 * shorter and bool(np.hypot(self.x - other.x, self.y - other.y) < shorter / 2)


class Network:
    """A TFLite model whose input is a square picture.

    Attributes:
        size: Side of the input picture in pixels.
        sizes: Number of values in each output.

    Raises:
        LandmarksUnavailable: LiteRT is missing, or the model is damaged or has another input.
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
            self._interpreter: Any = Interpreter(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise LandmarksUnavailable(f"A landmark model cannot be loaded: {error}.") from error
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        shapes = [tuple(map(int, each["shape"])) for each in inputs]
        self.size = shapes[0][1] if shapes and len(shapes[0]) == 4 else 0
        if shapes != [(1, self.size, self.size, 3)] or {each["dtype"] for each in [*inputs, *outputs]} != {np.float32}:
            raise LandmarksUnavailable("The input of the landmark model is not a picture.")
        self._running = Lock()
        self._input = inputs[0]["index"]
        self._outputs = [output["index"] for output in outputs]
        self.sizes = [int(np.prod(output["shape"])) for output in outputs]

    def run(self, picture: Array) -> list[Array]:
        """Outputs float32 (n,) for a picture float32 (size, size, 3).

        Raises:
            LandmarksUnavailable: The model is damaged: it cannot be run, or returns NaN, infinity or absurd numbers.
        """
        checkpoint()
        try:
            with self._running:
                self._interpreter.set_tensor(self._input, picture[None])
                self._interpreter.invoke()
                results = [self._interpreter.get_tensor(index) for index in self._outputs]
        except (ValueError, RuntimeError) as error:
            raise LandmarksUnavailable(f"The landmark model cannot be run: {error}.") from error
        if not all((np.abs(result) < _LARGEST).all() for result in results):  # which NaN is not, either
            raise LandmarksUnavailable("The landmark model returned NaN or infinity, or places far from the picture.")
        return results


class BlazeFace:
    """The face detector.

    Args:
        model: Content of its TFLite file.

    Raises:
        LandmarksUnavailable: LiteRT is missing, or the file contains another model.
    """

    def __init__(self, model: bytes) -> None:
        self._network = Network(model)
        self._anchors = _anchors(self._network.size)
        if self._network.sizes[:2] != [len(self._anchors) * 16, len(self._anchors)]:
            raise LandmarksUnavailable("The face detector is not a BlazeFace model with 896 anchors.")

    def find(self, image: NDArray[np.uint8]) -> list[Region]:
        """Regions of all faces found in the whole picture, uint8 (H, W, 3) RGB, the largest first."""
        return self._find(image, _SCORE)

    def find_small(self, image: NDArray[np.uint8]) -> list[Region]:
        """Regions of all faces found in tiles of the picture, down to a width of 60 pixels, the largest first."""
        framed: NDArray[Any] = cv2.copyMakeBorder(image, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_REPLICATE)
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

    def confirms(self, image: NDArray[np.uint8], region: Region) -> bool:
        """Whether a face is found again in the upright cut-out in which the network gives the highest score."""
        side = _SURROUNDINGS * region.face_side
        reach = math.ceil(side)  # the corner of a rotated square is at most 0.71 sides away from its centre
        left, top = max(0, int(region.x) - reach), max(0, int(region.y) - reach)
        near = image[top : int(region.y) + reach, left : int(region.x) + reach]
        if min(near.shape) == 0:
            return False
        inside = replace(region, x=region.x - left, y=region.y - top)
        found = self._find_in(near, replace(inside, side=side), _SCORE, cv2.BORDER_REPLICATE)
        return any(inside.is_beside(other) for other in found)

    def _find(self, image: NDArray[np.uint8], least_score: float) -> list[Region]:
        height, width = image.shape[:2]
        return self._find_in(image, Region(width / 2, height / 2, max(width, height), 0.0), least_score)

    def _find_in(
        self, image: NDArray[np.uint8], square: Region, least_score: float, border: int = cv2.BORDER_CONSTANT
    ) -> list[Region]:
        size = self._network.size
        to_image = square.to_image(size)
        outputs = self._network.run(cut_out(image, to_image, size, border) / np.float32(127.5) - 1)
        scores = sigmoid(outputs[1].ravel())
        boxes = outputs[0].reshape(-1, 8, 2)  # centre, extent, then six key points, of which the eyes come first
        likely = (scores > least_score) & _are_possible(boxes)
        boxes = boxes[likely]
        boxes[:, [0, *range(2, 8)]] += self._anchors[likely][:, None]
        regions = (_region_of_box(box, to_image) for box in _distinct(boxes, scores[likely]))
        return [region for region in regions if region.is_within_reach]

    def _tiles(self, height: int, width: int) -> Iterator[tuple[int, int, int]]:
        """Left, top and side of square tiles that cover a picture with its margins, in decreasing sizes below that of
        the picture, to the one in which the smallest face is large enough. Tiles overlap by the largest face that may
        be missed in the next larger size.
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


def cut_out(image: NDArray[Any] | Frame, to_image: Array, size: int, border: int = cv2.BORDER_CONSTANT) -> NDArray[Any]:
    """Cut a region out of an image (H, W, 3), or out of a frame, of which only that part is converted:
    (size, size, 3), with OpenCV's ``border`` outside of it.

    A region much larger than ``size`` is first reduced by averaging, since aliasing would make landmarks jitter.
    """
    factor = min(int(np.linalg.norm(to_image[:, 0])), *image.shape[:2])
    if factor > 1 or isinstance(image, Frame):
        image, to_image = _reduced(image, to_image, size, max(factor, 1))
    centred = to_image.copy()
    centred[:, 2] += to_image[:, :2].sum(axis=1) / 2 - 0.5  # pixel centres of OpenCV are at integers
    return cv2.warpAffine(
        image, centred, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border
    )


def _reduced(image: NDArray[Any] | Frame, to_image: Array, size: int, factor: int) -> tuple[NDArray[Any], Array]:
    """The part of an image that a cut-out shows, reduced by averaging, and the matrix (2, 3) that refers to it.

    Blocks are averaged where they would be in the whole image, and the part reaches beyond the cut-out by as much as it
    is interpolated with, so that the part gives the same cut-out.
    """
    corners = np.array([[0, size, 0, size], [0, 0, size, size]])
    reach = to_image[:, :2] @ corners + to_image[:, 2:]
    ends = np.array([image.shape[1], image.shape[0]]) // factor
    low = np.clip(np.floor(reach.min(axis=1) / factor).astype(int) - _BESIDE_CUT_OUT, 0, ends - 1)
    high = np.clip(np.ceil(reach.max(axis=1) / factor).astype(int) + _BESIDE_CUT_OUT, low + 1, ends)
    (left, top), (width, height) = (low * factor).tolist(), (high - low).tolist()
    box = Rectangle(left, top, width * factor, height * factor)
    part = image.part(box) if isinstance(image, Frame) else Part.of(image, box)
    moved = to_image / factor
    moved[:, 2] -= low
    return cv2.resize(part.pixels, (width, height), interpolation=cv2.INTER_AREA) if factor > 1 else part.pixels, moved


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-np.clip(values, -80, 80)))


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Start positions of evenly spaced tiles that cover a length, and overlap by at least ``overlap`` of their side."""
    steps = math.ceil(max(0, length - side) / (side * (1 - overlap)))
    return [round(step * (length - side) / steps) for step in range(steps + 1)] if steps else [0]


def _anchors(size: int) -> Array:
    """Centres (896, 2) of BlazeFace's anchors in pixels: 2 for each cell of a 16 x 16 grid, and 6 of an 8 x 8 grid."""
    grids = []
    for cells, repeats in ((16, 2), (8, 6)):
        centres = (np.arange(cells) + 0.5) * (size / cells)
        x, y = np.meshgrid(centres, centres)
        grids.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), repeats, axis=0))
    return np.concatenate(grids).astype(np.float32)


def _are_possible(boxes: Array) -> NDArray[np.bool_]:
    """Whether boxes (N, 8, 2) have a possible extent and contain no NaN: bool (N,)."""
    extents = boxes[:, 1]
    return (np.abs(boxes) < _FARTHEST).all(axis=(1, 2)) & (extents > 0).all(axis=1)


def _distinct(boxes: Array, scores: Array) -> Iterator[Array]:
    """Merge overlapping boxes (N, 8, 2) to faces, the largest first: each is the mean, weighted by score, of the boxes
    that overlap the largest of the remaining ones.
    """
    while len(boxes):
        best = int(np.argmax(boxes[:, 1].prod(axis=1) * scores))
        low, high = boxes[:, 0] - boxes[:, 1] / 2, boxes[:, 0] + boxes[:, 1] / 2
        shared = np.clip(np.minimum(high, high[best]) - np.maximum(low, low[best]), 0, None).prod(axis=1)
        union = boxes[:, 1].prod(axis=1) + boxes[best, 1].prod() - shared
        overlaps = shared > _OVERLAP * union
        overlaps[best] = True  # even if the area of a box is rounded to 0
        weights = scores * overlaps
        yield np.einsum("n,nij->ij", weights / weights.sum(), boxes)
        boxes, scores = boxes[~overlaps], scores[~overlaps]


def _region_of_box(box: Array, to_image: Array) -> Region:
    points = box @ to_image[:, :2].T
    points[[0, 2, 3]] += to_image[:, 2]
    corners = np.stack([points[0] - points[1] / 2, points[0] + points[1] / 2])
    return Region.around(corners, points[2], points[3])
