"""Triangle mesh of a head over its landmarks, and depth maps of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import Delaunay
from scipy.spatial.distance import cdist

from ..errors import LandmarksUnavailable
from ..geometry.camera import Intrinsics, Rectangle

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

# Ratio of height to outer edge below which a triangle on the rim is a sliver.
_SLIVER = 0.1
_ROUGH, _SOFT = 0.04, 0.08
"""Distance from the rim within which depth is inaccurate, and over which it is averaged, in half widths of the mesh."""
# Centre and semi-axes of an average skull in head axes, in millimetres.
_SKULL_CENTRE = np.array([0.0, -10.0, 40.0])
_SKULL_AXES = np.array([80.0, 115.0, 95.0])
# Number of (triangle, pixel) pairs that are tested at a time, which limits memory.
_PAIRS = 1_000_000


def triangulate(shape: Array) -> Indices:
    """Triangles (T, 3) over landmarks (P, 3) in head axes: Delaunay triangulation of their frontal projection.

    The triangles also cover the interior of the mouth and the eyes, where the canonical depth must be known, since
    pixels of an open mouth are warped like any other; a flat surface between the lips keeps them in place when the head
    turns. Slivers of the convex hull along the rim join points that are not neighbours on the head, and are removed.
    """
    points = shape[:, :2]
    triangles = Delaunay(points).simplices.astype(np.int64)
    while (sliver := _rim_slivers(points, triangles)).any():
        triangles = triangles[~sliver]
    return triangles


def rasterise_depth(
    vertices: Array, triangles: Indices, intrinsics: Intrinsics, rectangle: Rectangle | None = None
) -> NDArray[np.float32]:
    """Depth map of a mesh.

    If triangles overlap, the nearest one is visible. Inside a triangle, 1/z is interpolated linearly in the image,
    which is exact for a perspective camera.

    Args:
        vertices: float64 (P, 3) in camera coordinates, in millimetres.
        triangles: int (T, 3) indices of vertices; triangles that extend behind the camera are ignored.
        intrinsics: The camera.
        rectangle: The part of the image to render; None means all of it.

    Returns:
        float32 (rectangle.height, rectangle.width) depth at pixel centres along the camera's z axis in millimetres, 0
        for pixels without mesh.
    """
    rectangle = rectangle or intrinsics.rectangle
    triangles = triangles[(vertices[triangles, 2] > 0).all(axis=1)]
    corners = vertices[triangles]
    x = corners[..., 0] / corners[..., 2] * intrinsics.fx + intrinsics.cx - rectangle.left
    y = corners[..., 1] / corners[..., 2] * intrinsics.fy + intrinsics.cy - rectangle.top
    columns, rows = _span(x, rectangle.width), _span(y, rectangle.height)
    pairs = (columns[1] - columns[0]) * (rows[1] - rows[0])
    barycentric = _barycentric(x, y)

    nearness = np.zeros(rectangle.height * rectangle.width)
    for chunk in np.split(np.arange(len(triangles)), np.flatnonzero(np.diff(np.cumsum(pairs) // _PAIRS)) + 1):
        triangle = np.repeat(chunk, pairs[chunk])
        number = np.arange(len(triangle)) - np.repeat(np.cumsum(pairs[chunk]) - pairs[chunk], pairs[chunk])
        width = (columns[1] - columns[0])[triangle]
        column, row = columns[0][triangle] + number % width, rows[0][triangle] + number // width
        centre = np.stack([column + 0.5, row + 0.5, np.ones(len(triangle))], axis=-1)
        weights = (barycentric[triangle] @ centre[..., None])[..., 0]
        inside = (weights >= -1e-9).all(axis=1)
        near = (weights / corners[triangle, :, 2]).sum(axis=1)
        np.maximum.at(nearness, (row * rectangle.width + column)[inside], near[inside])

    seen = nearness > 0
    depth = np.divide(1.0, nearness, out=np.zeros_like(nearness), where=seen)
    return depth.reshape(rectangle.height, rectangle.width).astype(np.float32)


def skull_depth(pose: Array, intrinsics: Intrinsics, rectangle: Rectangle) -> NDArray[np.float32]:
    """Depth map of an average skull: an ellipsoid behind the landmarks.

    Args:
        pose: float64 (4, 4) camera_from_head.
        intrinsics: The camera.
        rectangle: The part of the image to render.

    Returns:
        float32 (rectangle.height, rectangle.width) depth along the camera's z axis in millimetres; beside the skull, of
        the point on the ray that is closest to it.
    """
    x = (np.arange(rectangle.width) + rectangle.left + 0.5 - intrinsics.cx) / intrinsics.fx
    y = (np.arange(rectangle.height) + rectangle.top + 0.5 - intrinsics.cy) / intrinsics.fy
    rays = np.stack([*np.meshgrid(x, y), np.ones((len(y), len(x)))], axis=-1)
    # In units of its semi-axes, the ellipsoid is the unit sphere.
    origin = (-pose[:3, :3].T @ pose[:3, 3] - _SKULL_CENTRE) / _SKULL_AXES
    rays = rays @ pose[:3, :3] / _SKULL_AXES
    square, half = np.square(rays).sum(axis=-1), rays @ origin
    root = np.square(half) - square * (origin @ origin - 1.0)
    return ((-half - np.sqrt(np.maximum(root, 0.0))) / square).astype(np.float32)


def round_depth(
    outline: NDArray[np.bool_], pose: Array, intrinsics: Intrinsics, rectangle: Rectangle
) -> NDArray[np.float32]:
    """Depth map of a head without a face, with a known outline and the profile of half an ellipsoid.

    Args:
        outline: bool (rectangle.height, rectangle.width) mask of the head.
        pose: float64 (4, 4) camera_from_head.
        intrinsics: The camera.
        rectangle: The part of the image to render.

    Returns:
        float32 (rectangle.height, rectangle.width) depth along the camera's z axis in millimetres; outside of the head
        that of its outline, which is as deep as the centre of an average skull.
    """
    middle = float((pose[:3, :3] @ _SKULL_CENTRE + pose[:3, 3])[2])
    width = max(outline.shape)
    padded = np.pad(outline, width, mode="edge")  # the border of the image is not an outline
    inner = distance_transform_edt(padded)[width:-width, width:-width]
    share = np.minimum(inner / inner.max(), 1.0)
    profile = gaussian_filter(np.sqrt(1.0 - np.square(1.0 - share)), _SOFT * inner.max())
    radius = inner.max() * middle / intrinsics.fx
    return (middle - profile * radius * _SKULL_AXES[2] / _SKULL_AXES[0]).astype(np.float32)


def fill_depth(depth: NDArray[np.float32], beyond: NDArray[np.float32]) -> NDArray[np.float32]:
    """Complete the depth map of a mesh with that of another surface, so that each pixel has a depth.

    At the rim of the mesh, the other surface is shifted to be continuous; the shift decreases to 0 within about half of
    the mesh's width. The depth of the outermost triangles, which are seen from the side, is inaccurate and is replaced
    as well.

    Args:
        depth: float32 (h, w) depth of the mesh in millimetres, 0 for pixels without mesh.
        beyond: float32 (h, w) depth of the other surface in millimetres.

    Returns:
        float32 (h, w) in millimetres.

    Raises:
        LandmarksUnavailable: The mesh covers next to no pixel: its landmarks do not have the shape of a face.
    """
    reach = 0.5 * np.sqrt(np.count_nonzero(depth))
    inner = distance_transform_edt(depth > 0)
    known = inner > _ROUGH * reach
    if not known.any():
        raise LandmarksUnavailable("The landmarks do not have the shape of a face.")
    rim = known & (inner <= _ROUGH * reach + 1.0)
    square = cdist(np.argwhere(~known), np.argwhere(rim), "sqeuclidean")
    weights = (square + (_SOFT * reach) ** 2) ** -1.5
    gap = (weights @ (depth - beyond)[rim].astype(np.float64)) / weights.sum(axis=1)
    filled = depth.copy()
    filled[~known] = beyond[~known] + np.exp(-square.min(axis=1) / reach**2) * gap
    return filled


def _rim_slivers(points: Array, triangles: Indices) -> NDArray[np.bool_]:
    """Whether triangles have their longest edge on the rim and a small height over it: bool (T,)."""
    ends = np.sort(triangles[:, [[1, 2], [2, 0], [0, 1]]], axis=-1)
    _, edge, count = np.unique(ends.reshape(-1, 2), axis=0, return_inverse=True, return_counts=True)
    length = np.linalg.norm(points[ends[..., 1]] - points[ends[..., 0]], axis=-1)
    longest = length.argmax(axis=1)
    each = np.arange(len(triangles))
    on_rim = count[edge.reshape(-1, 3)][each, longest] == 1
    first, second, third = points[triangles].transpose(1, 0, 2)
    doubled_area = np.abs(np.cross(second - first, third - first))
    return on_rim & (doubled_area < _SLIVER * length[each, longest] ** 2)


def _span(coordinates: Array, limit: int) -> tuple[Indices, Indices]:
    """First pixel, and the one after the last, whose centres triangles (T, 3) may cover along one axis of the image."""
    first = np.ceil(np.clip(coordinates.min(axis=1) - 0.5, 0, limit)).astype(np.int64)
    end = np.floor(np.clip(coordinates.max(axis=1) - 0.5, -1, limit - 1)).astype(np.int64) + 1
    return first, np.maximum(first, end)


def _barycentric(x: Array, y: Array) -> Array:
    """Matrices (T, 3, 3) that take (column, row, 1) to barycentric weights; NaN for triangles without area."""
    corners = np.stack([x, y, np.ones_like(x)], axis=1)
    empty = np.abs(np.linalg.det(corners)) < 1e-9
    corners[empty] = np.eye(3)
    matrices = np.linalg.inv(corners)
    matrices[empty] = np.nan
    return matrices
