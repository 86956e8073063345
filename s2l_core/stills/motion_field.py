"""How the skin of a face follows the lips and the chin: a harmonic field on a grid that is cut between the lips.

A membrane that is fixed at nose, eyes and beyond the outline of the face, and is moved at the lips and along the jaw,
nowhere moves further than what moves it, and does not fold. It is linear in the motion, so that it is solved once.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu

from ..face.layout import MESH468
from .face_grid import CELLS
from .lip_slit import Slit

Array = NDArray[np.float64]

CONTROLS = np.concatenate([MESH468.lips_outer, MESH468.lips_inner, MESH468.chin])
"""Landmarks that a :class:`MotionField` is moved by: the 40 of the lips and the chin."""
_CHIN = len(CONTROLS) - 1
_JAW = np.array([132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361])
"""Landmarks along the lower jaw, from below the left ear to below the right one."""
_NOSE = np.array([168, 122, 196, 236, 198, 209, 129, 64, 98, 97, 2, 326, 327, 294, 358, 429, 420, 456, 419, 351])
"""Landmarks around the nose, which holds still."""
_EYES = np.array([[33, 7, 163, 144, 145, 153, 154, 155, 133], [362, 382, 381, 380, 374, 373, 390, 249, 263]])
"""Landmarks along the lower lids, above which nothing moves."""
_OVAL = np.array(
    [234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454]
)
_SMOOTH = 1.2
"""Standard deviation in cells of a blur of the field."""
_TO_CORNER = 3.0
"""Cells from the corners of the mouth within which upper and lower skin come together: less leaves blunt corners."""
_ROUND = 2.0
"""Standard deviation in columns of a blur of the motion along the edges of the lips, which are bent at landmarks."""
_BESIDE, _BELOW = 0.1, 0.42
"""Distance beyond the outline of the face within which its surroundings are dragged along: beside the ears, in widths
of the face, and below the chin, in heights of the ears above it.
"""


@dataclass(frozen=True)
class MotionField:
    """Displacements of the cells of a face grid, linear in those of the control points.

    Attributes:
        cells: int64 (m,) flat indices of the cells that may move; all others hold still.
        upper: float32 (m, 41) weights of the controls for the skin above the slit between the lips, which continues
            below it as it is there.
        lower: float32 (m, 41) the same for the skin below the slit.
        moving: bool (cells, cells), the cells that may move.
    """

    cells: NDArray[np.int64]
    upper: NDArray[np.float32]
    lower: NDArray[np.float32]
    moving: NDArray[np.bool_]

    def displace(self, offsets: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Displacements float32 (cells, cells, 2) in cells of the upper and the lower skin, for offsets (41, 2)."""
        fields = []
        for weights in (self.upper, self.lower):
            field = np.zeros((CELLS * CELLS, 2), np.float32)
            field[self.cells] = weights @ offsets.astype(np.float32)
            fields.append(field.reshape(CELLS, CELLS, 2))
        return fields[0], fields[1]


def make_field(points: Array, slit: Slit) -> MotionField:
    """Solve the field for a face.

    Args:
        points: float64 (468, 2) landmarks in cells.
        slit: The cut between the lips.
    """
    moving = _moving_region(points)
    side = _sides(slit)
    domain = moving & (side != _HOLE)
    weights, known = _known_weights(points, slit, side, domain)
    solved = _solve(domain, side, weights, known)
    upper, lower = _continued(solved, slit)
    cells = np.flatnonzero(moving)
    return MotionField(cells, upper.reshape(-1, len(CONTROLS))[cells], lower.reshape(-1, len(CONTROLS))[cells], moving)


_NEITHER, _ABOVE, _UNDER, _HOLE = 0, 1, 2, 3


def _sides(slit: Slit) -> NDArray[np.int8]:
    """Whether cells lie above or below the slit, in it, or in no column of the mouth: int8 (cells, cells)."""
    centres = np.arange(CELLS) + 0.5
    across = (centres > slit.left) & (centres < slit.right)
    above = centres[:, None] < slit.upper_at(centres)
    under = centres[:, None] >= slit.lower_at(centres)
    side = np.where(above, _ABOVE, np.where(under, _UNDER, _HOLE))
    return np.where(across, side, _NEITHER).astype(np.int8)


def _moving_region(points: Array) -> NDArray[np.bool_]:
    """The cells that may move: the face below the eyes, with a margin beside it and below the chin."""
    oval, chin = points[_OVAL], points[MESH468.chin[0]]
    mouth = points[MESH468.mouth_corners].mean(axis=0)
    centre = (points[_OVAL[0]] + points[_OVAL[-1]]) / 2
    width, below = np.ptp(oval[:, 0]), _BELOW * (chin[1] - centre[1])
    low = np.clip((oval[:, 1] - mouth[1]) / (chin[1] - mouth[1]), 0.0, 1.0)[:, None]
    outward = (oval - centre) / np.linalg.norm(oval - centre, axis=1, keepdims=True)
    outline = oval + outward * (_BESIDE * width * (1 - low) + below * low)
    lids = [points[eye] + [0.0, 0.02 * width] for eye in _EYES]
    top = np.concatenate([lids[0], points[[6]], lids[1]])
    polygon = np.concatenate([outline, top[::-1]])
    mask = _polygon(polygon)
    mask[[0, -1]], mask[:, [0, -1]] = False, False
    return mask


def _polygon(corners: Array) -> NDArray[np.bool_]:
    """The cells inside of a polygon (n, 2)."""
    mask = np.zeros((CELLS, CELLS), np.uint8)
    cv2.fillPoly(mask, [np.round((corners - 0.5) * 16).astype(np.int32)], [1], shift=4)
    return mask.astype(bool)


def _known_weights(
    points: Array, slit: Slit, side: NDArray[np.int8], domain: NDArray[np.bool_]
) -> tuple[Array, NDArray[np.bool_]]:
    """Weights (cells, cells, 41) of the cells whose motion is given, and which these are: lips, jaw and nose."""
    sums, counts = np.zeros((CELLS, CELLS, len(CONTROLS))), np.zeros((CELLS, CELLS))

    def put(places: Array, weights: Array) -> None:
        column, row = np.floor(places).astype(int).T
        inside = (column >= 0) & (column < CELLS) & (row >= 0) & (row < CELLS)
        column, row, weights = column[inside], row[inside], weights[inside]
        np.add.at(sums, (row, column), weights)
        np.add.at(counts, (row, column), 1.0)

    eye = np.eye(len(CONTROLS))
    outer = np.r_[0:20, 0]
    put(*_along(points[MESH468.lips_outer][outer], eye[outer]))
    put(*_along(points[_JAW], _jaw_weights(points)[:, None] * eye[_CHIN]))
    nose = np.argwhere(_polygon(points[_NOSE]))[:, ::-1] + 0.5
    put(nose, np.zeros((len(nose), len(CONTROLS))))
    for numbers, height, which in (
        (np.arange(20, 31), slit.upper_at, _ABOVE),
        (np.r_[20, 39:29:-1], slit.lower_at, _UNDER),
    ):
        x, weights = _over_columns(points[CONTROLS[numbers], 0], eye[numbers], slit)
        rows = _edge_rows(side, np.floor(x).astype(int), which, height(x))
        sums[rows, np.floor(x).astype(int)], counts[rows, np.floor(x).astype(int)] = weights, 1.0
    known = (counts > 0) & domain
    return sums / np.maximum(counts, 1.0)[..., None], known


def _along(corners: Array, weights: Array) -> tuple[Array, Array]:
    """Places (k, 2) a third of a cell apart along a polyline (n, 2), and the interpolated weights of its corners."""
    lengths = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    position = np.concatenate([[0.0], np.cumsum(lengths)])
    fine = np.linspace(0.0, position[-1], int(3 * position[-1]) + 2)
    places = np.stack([np.interp(fine, position, corners[:, axis]) for axis in range(2)], axis=1)
    mixed = np.stack([np.interp(fine, position, column) for column in weights.T], axis=1)
    return places, mixed


def _over_columns(x: Array, weights: Array, slit: Slit) -> tuple[Array, Array]:
    """Centres of the columns between the corners of the mouth, and weights of the lip's landmarks at x (11,) there."""
    columns = np.arange(np.ceil(slit.left - 0.5), np.floor(slit.right - 0.5) + 1) + 0.5
    order = np.maximum.accumulate(x)
    mixed = np.stack([np.interp(columns, order, column) for column in weights.T], axis=1)
    return columns, gaussian_filter1d(mixed, _ROUND, axis=0, mode="nearest")


def _edge_rows(side: NDArray[np.int8], columns: NDArray[np.int64], which: int, heights: Array) -> NDArray[np.int64]:
    """Rows of the cells of one side that touch the slit."""
    if which == _ABOVE:
        return np.maximum((side[:, columns] == _ABOVE).sum(axis=0) - 1, 0)
    return CELLS - np.maximum((side[:, columns] == _UNDER).sum(axis=0), 1)


def _jaw_weights(points: Array) -> Array:
    """How far points along the jaw move with the chin: it turns about an axis below the ears."""
    heights = points[_JAW, 1]
    hinge, chin = (heights[0] + heights[-1]) / 2, points[MESH468.chin[0], 1]
    return np.clip((heights - hinge) / (chin - hinge), 0.0, 1.0) ** 1.5


def _solve(domain: NDArray[np.bool_], side: NDArray[np.int8], weights: Array, known: NDArray[np.bool_]) -> Array:
    """Weights (cells, cells, 41) of all cells of a domain: those known, and a harmonic interpolation between them."""
    number = np.full(domain.shape, -1)
    number[domain] = np.arange(domain.sum())
    pairs = []
    for axis in range(2):
        first, second = (np.take(number, range(k, CELLS - 1 + k), axis) for k in (0, 1))
        sides = [np.take(side, range(k, CELLS - 1 + k), axis) for k in (0, 1)]
        cut = ((sides[0] == _ABOVE) & (sides[1] == _UNDER)) | ((sides[0] == _UNDER) & (sides[1] == _ABOVE))
        joined = (first >= 0) & (second >= 0) & ~cut
        pairs.append(np.stack([first[joined], second[joined]], axis=1))
    ends = np.concatenate(pairs)
    ends = np.concatenate([ends, ends[:, ::-1]])
    count = int(domain.sum())
    links = csr_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (count, count))
    # A cell beside the domain holds still; the hole of an open mouth pulls at nothing.
    still = cv2.filter2D((~domain & (side != _HOLE)).astype(np.float32), -1, _CROSS, borderType=cv2.BORDER_CONSTANT)
    laplacian = diags(np.asarray(links.sum(axis=1)).ravel() + still[domain]) - links
    free, fixed = np.flatnonzero(~known[domain]), np.flatnonzero(known[domain])
    values = weights[domain]
    values[free] = 0.0
    system = laplacian.tocsr()
    right = -(system[free][:, fixed] @ values[fixed])
    values[free] = splu((system[free][:, free]).tocsc()).solve(right)
    solved = np.zeros((*domain.shape, values.shape[1]))
    solved[domain] = values
    return solved


_CROSS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32)


def _continued(solved: Array, slit: Slit) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights of the upper skin, continued below its edge, and of the lower skin, continued above it. Beside the mouth
    both are the same, so that no line is seen beyond its corners; towards these they come together.
    """
    centres, rows = np.arange(CELLS) + 0.5, np.arange(CELLS)[:, None]
    last = np.clip(np.ceil(slit.upper_at(centres) - 0.5) - 1, 0, CELLS - 1).astype(int)
    first = np.clip(np.ceil(slit.lower_at(centres) - 0.5), 0, CELLS - 1).astype(int)
    columns = np.arange(CELLS)
    upper, lower = solved[np.minimum(rows, last), columns], solved[np.maximum(rows, first), columns]
    whole, upper, lower = (_smoothed(field.astype(np.float32)) for field in (solved, upper, lower))
    share = np.clip(np.minimum(centres - slit.left, slit.right - centres) / _TO_CORNER, 0.0, 1.0)
    cut = share.astype(np.float32)[:, None]
    return whole + cut * (upper - whole), whole + cut * (lower - whole)


def _smoothed(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights (cells, cells, 41) without the steps of cells along the lips."""
    planes = [cv2.GaussianBlur(np.ascontiguousarray(plane), (0, 0), _SMOOTH) for plane in np.moveaxis(weights, -1, 0)]
    return np.stack(planes, axis=-1)
