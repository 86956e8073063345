"""Layouts of landmarks: the two public numberings that the back-ends use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LandmarkLayout:
    """Named indices of a set of landmarks. Left and right are those of the picture, not of the person.

    Attributes:
        name: ``"mesh468"`` or ``"ibug68"``.
        count: Number of landmarks.
        rigid: Points that speech and blinking do not move: forehead without brows, temples, eye corners, nose.
        lips_outer: Closed outline of the lips, clockwise from the left corner.
        lips_inner: Closed outline of the mouth opening, clockwise from the left corner.
        inner_top: Middle of the upper lip's inner edge.
        inner_bottom: Middle of the lower lip's inner edge, each point below the corresponding one of ``inner_top``.
        mouth_corners: Left and right corner of the mouth.
        eye_corners: Outer and inner of the left eye, inner and outer of the right eye.
        nose_base: Middle of the line where nose and upper lip meet.
        upper_lids: Middle of the upper lid's edge, (2, k) for the left and the right eye.
        lower_lids: Middle of the lower lid's edge, each point below the corresponding one of ``upper_lids``.
        chin: Lowest point of the chin.
        face_top: Highest point in the middle of the face.
    """

    name: str
    count: int
    rigid: NDArray[np.int64]
    lips_outer: NDArray[np.int64]
    lips_inner: NDArray[np.int64]
    inner_top: NDArray[np.int64]
    inner_bottom: NDArray[np.int64]
    mouth_corners: NDArray[np.int64]
    eye_corners: NDArray[np.int64]
    nose_base: NDArray[np.int64]
    upper_lids: NDArray[np.int64]
    lower_lids: NDArray[np.int64]
    chin: NDArray[np.int64]
    face_top: NDArray[np.int64]


def _indices(*values: int | tuple[int, ...]) -> NDArray[np.int64]:
    indices = np.array(values)
    indices.flags.writeable = False
    return indices


_FOREHEAD = (10, 109, 67, 103, 54, 21, 338, 297, 332, 284, 251, 151, 108, 69, 104, 68, 71, 337, 299, 333, 298, 301)
_TEMPLES = (127, 162, 139, 34, 156, 143, 356, 389, 368, 264, 383, 372)
_EYE_SURROUNDINGS = (33, 130, 226, 133, 243, 244, 112, 190, 263, 359, 446, 362, 463, 464, 341, 414)
_NOSE = (
    *(8, 168, 6, 197, 195, 5, 4, 1),
    *(193, 245, 188, 174, 122, 196, 236, 198, 3, 51, 217, 114, 128, 131, 134, 45),
    *(417, 465, 412, 399, 351, 419, 456, 420, 248, 281, 437, 343, 357, 360, 363, 275),
)

MESH468 = LandmarkLayout(
    name="mesh468",
    count=468,
    rigid=_indices(*_FOREHEAD, *_TEMPLES, *_EYE_SURROUNDINGS, *_NOSE),
    lips_outer=_indices(61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146),
    lips_inner=_indices(78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95),
    inner_top=_indices(82, 13, 312),
    inner_bottom=_indices(87, 14, 317),
    mouth_corners=_indices(61, 291),
    eye_corners=_indices(33, 133, 362, 263),
    nose_base=_indices(2),
    upper_lids=_indices((160, 159, 158), (385, 386, 387)),
    lower_lids=_indices((144, 145, 153), (380, 374, 373)),
    chin=_indices(152),
    face_top=_indices(10),
)

IBUG68 = LandmarkLayout(
    name="ibug68",
    count=68,
    rigid=_indices(0, 1, 15, 16, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 39, 42, 45),
    lips_outer=_indices(*range(48, 60)),
    lips_inner=_indices(*range(60, 68)),
    inner_top=_indices(61, 62, 63),
    inner_bottom=_indices(67, 66, 65),
    mouth_corners=_indices(48, 54),
    eye_corners=_indices(36, 39, 42, 45),
    nose_base=_indices(33),
    upper_lids=_indices((37, 38), (43, 44)),
    lower_lids=_indices((41, 40), (47, 46)),
    chin=_indices(8),
    face_top=_indices(27),
)

LAYOUTS = {layout.count: layout for layout in (MESH468, IBUG68)}
"""Layouts by their number of landmarks."""


def mouth_opening(points: NDArray[np.floating], layout: LandmarkLayout) -> NDArray[np.floating]:
    """Opening of the mouth: distance of the inner lips divided by the height of the face from eyes to chin.

    Args:
        points: float (..., P, 2 or 3) landmarks in any unit of length.
        layout: Layout of the landmarks.

    Returns:
        float (...), 0 if the lips touch, about 0.3 if the mouth is wide open, NaN if a landmark is NaN.
    """
    lips = np.linalg.norm(points[..., layout.inner_bottom, :] - points[..., layout.inner_top, :], axis=-1).mean(axis=-1)
    eye_line = points[..., layout.eye_corners, :].mean(axis=-2)
    chin = points[..., layout.chin, :].mean(axis=-2)
    return lips / np.linalg.norm(chin - eye_line, axis=-1)
