"""The learned depth of a head as a mesh: a grid of vertices whose border follows the outline."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, label, map_coordinates

from ..canonical.view import CanonicalHead
from ..geometry.camera import Array, invert_pose, transform, unproject

Mask = NDArray[np.bool_]

_LEAST_SIDE = 256
_SMOOTHED = 1.5
"""Standard deviation, in canonical pixels, of the Gaussian that smooths the outline of the mask."""
_BACK = 95.0
"""Millimetres from the outline of a head, which is about that of the ears, to its back."""
_STEPS = 3
_FARTHEST = 2.0
"""Largest displacement of a border vertex, in cells of the grid."""


class HeadMesh(NamedTuple):
    """A grid of vertices. Four neighbours that all belong to the head form a face of the mesh.

    Attributes:
        vertices: float64 (h, w, 3) in head axes, millimetres; h and w are 256 or more.
        back: float64 (h, w, 3) the same grid on the back of the head, which makes the mesh a closed one. Its border is
            that of ``vertices``.
        mask: bool (h, w), which vertices belong to the head. Border vertices lie on its outline.
        confidence: float32 (h, w) in [0, 1].
        uv: float32 (h, w, 2) texture coordinates in the canonical picture, from 0 to 1, v upwards.
    """

    vertices: Array
    back: Array
    mask: Mask
    confidence: NDArray[np.float32]
    uv: NDArray[np.float32]


def head_mesh(head: CanonicalHead) -> HeadMesh:
    """The mesh of a head, upsampled from its depth by cubic interpolation."""
    view, camera = head.view, head.view.intrinsics
    depth, confidence = view.depth.cpu().double().numpy(), head.confidence.cpu().double().numpy()
    inside = gaussian_filter(_in_one_piece(head.mask.cpu().numpy()).astype(np.float64), _SMOOTHED, mode="nearest")
    finer = max(1, math.ceil(_LEAST_SIDE / min(depth.shape)))
    rows, columns = (np.indices([finer * length for length in depth.shape]) + 0.5) / finer - 0.5
    places = np.stack([rows, columns])  # in pixels of the depth map, whose first pixel has its centre at 0
    mask = _without_loose_vertices(_sample(inside, places) > 0.5)
    border = mask & ~_surrounded(mask)
    places[:, border] = _on_outline(places[:, border], inside, _FARTHEST / finer)

    pixels = places[::-1].transpose(1, 2, 0) + 0.5 + [view.rectangle.left, view.rectangle.top]
    points = unproject(pixels, _sample(depth, places), camera)
    pose = view.pose.cpu().double().numpy()
    vertices = transform(points, invert_pose(pose))
    uv = pixels / [camera.width, camera.height] * [1, -1] + [0, 1]
    trusted = map_coordinates(confidence, places, order=1, mode="nearest").clip(0.0, 1.0)
    back = transform(unproject(pixels, _back_depth(points[..., 2], mask), camera), invert_pose(pose))
    return HeadMesh(vertices, back, mask, trusted.astype(np.float32), uv.astype(np.float32))


def _back_depth(depth: Array, mask: Mask) -> Array:
    """Depth (h, w) of the back of a head: half an ellipsoid behind its outline, at most as deep as a skull."""
    cells = np.pad(mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:], 1)
    border = mask & ~(cells[:-1, :-1] & cells[1:, :-1] & cells[:-1, 1:] & cells[1:, 1:])
    _, (rows, columns) = distance_transform_edt(~border, return_indices=True)
    outline = gaussian_filter(depth[rows, columns], _SMOOTHED)
    inner = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] - 1
    share = np.clip(inner / max(inner.max(), 1.0), 0.0, 1.0)
    behind = np.maximum(outline + _BACK * np.sqrt(1.0 - np.square(1.0 - share)), depth)
    return np.where(border, depth, behind)


def _in_one_piece(mask: Mask) -> Mask:
    """The largest connected component of a mask, with its holes filled."""
    pieces, _ = label(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(binary_fill_holes(pieces == sizes.argmax()), np.bool_)


def _without_loose_vertices(mask: Mask) -> Mask:
    """The vertices of a mask that belong to a face."""
    whole = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]
    kept = np.zeros_like(mask)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            kept[rows, columns] |= whole
    return kept


def _surrounded(mask: Mask) -> Mask:
    """Vertices whose eight neighbours all belong to the mask, or lie outside the picture."""
    padded = np.pad(mask, 1, mode="edge")
    height, width = mask.shape
    neighbours = [padded[row : row + height, column : column + width] for row in range(3) for column in range(3)]
    return np.asarray(np.logical_and.reduce(neighbours))


def _on_outline(places: Array, inside: Array, farthest: float) -> Array:
    """Positions (2, n) moved to where the smooth mask ``inside`` is one half, by Newton's method along its gradient."""
    slopes = np.gradient(inside)
    start = places
    for _ in range(_STEPS):
        slope = np.stack([map_coordinates(along, places, order=1, mode="nearest") for along in slopes])
        steepness = np.square(slope).sum(axis=0)
        places = places + (0.5 - _sample(inside, places)) / np.maximum(steepness, 1e-9) * slope
    far = np.linalg.norm(places - start, axis=0) > farthest
    return np.where(far, start, places)


def _sample(layer: Array, places: Array) -> Array:
    return np.asarray(map_coordinates(layer, places, order=3, mode="nearest"))
