"""A full head with ears, skull and neck, fitted to the landmarks of a face: the shape of what they do not cover.

The model is in :mod:`.head_prior`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_filter1d, map_coordinates
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from ..canonical.head_outline import head_in_matte, jaw_line
from ..canonical.view import CanonicalHead, mesh_depth
from ..face.layout import LandmarkLayout
from ..face.mesh import fill_depth, rasterise_depth
from ..footage import Footage
from ..geometry.camera import Intrinsics, Rectangle, transform
from .head_prior import load_head_prior

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_ITERATIONS = 20
_SPREAD = 1.5
"""Millimetres by which landmarks typically differ from the model: a larger value keeps the average person's shape."""
_FARTHEST = 12.0
"""Millimetres beyond which a landmark has no counterpart on the model."""
_SOFT_PARTS = 6.0
"""Millimetres around the lips within which landmarks are ignored, since the model's mouth is closed."""

_SECTORS = 360
_TURN = 4.0
"""Standard deviation of the smoothing of radii over directions, in degrees."""
_INNER = 0.9
"""Share of the radius of the landmarks' mesh within which nothing is moved."""
_SMOOTHED = 0.1
"""Standard deviation of the smoothing of the depth, relative to the square root of the mesh's area. The model has steps
beside ears and jaw, where a turned head would have holes: without smoothing, the embedded speaker at 5 to 20 degrees is
worse by 1 to 1.5 dB.
"""
_SCALES = (0.3, 1.6)
"""Limits of the ratio by which the model's outline is moved."""


@dataclass(frozen=True)
class FullHead:
    """A head in head axes, in millimetres.

    Attributes:
        vertices: float64 (V, 3).
        triangles: int64 (T, 3) indices of vertices, anticlockwise from outside.
    """

    vertices: Array
    triangles: NDArray[np.int64]


def fit_full_head(shape: Array, layout: LandmarkLayout) -> FullHead:
    """Fit place, size and identity of the model to landmarks, by iterated closest points.

    Args:
        shape: float64 (P, 3) landmarks in head axes.
        layout: Layout of the landmarks.
    """
    vertices, identity, triangles, anchors = load_head_prior()
    left, right = (shape[half].mean(axis=0) for half in np.split(layout.eye_corners, 2))
    wanted = np.stack([left, right, shape[layout.mouth_corners].mean(axis=0)])
    rotation, scale, moved = _similarity(anchors, wanted)
    lips = shape[layout.lips_outer]
    apart = np.linalg.norm(shape[:, None] - lips[None], axis=-1).min(axis=1)
    points = shape[apart > _SOFT_PARTS]

    amounts = np.zeros(len(identity))
    for _ in range(_ITERATIONS):
        own = vertices + np.tensordot(amounts, identity, 1)
        placed = scale * own @ rotation.T + moved
        distance, nearest = KDTree(placed).query(points)
        near = distance < _FARTHEST
        normals = _normals(placed, triangles)[nearest[near]]
        gap = ((points[near] - placed[nearest[near]]) * normals).sum(axis=-1)
        amounts, rotation, scale, moved = _step(
            (amounts, rotation, scale, moved), own[nearest[near]], identity[:, nearest[near]], normals, gap
        )
    own = vertices + np.tensordot(amounts, identity, 1)
    return FullHead(scale * own @ rotation.T + moved, triangles)


def _step(
    state: tuple[Array, Array, float, Array], own: Array, identity: Array, normals: Array, gap: Array
) -> tuple[Array, Array, float, Array]:
    """A Gauss-Newton step of the distances ``gap`` (n,) along the normals (n, 3) of points (n, 3) of the model."""
    amounts, rotation, scale, moved = state
    placed = scale * own @ rotation.T
    by_identity = np.einsum("knd,nd->nk", scale * identity @ rotation.T, normals)
    columns = [by_identity, np.cross(placed, normals), (placed * normals).sum(axis=-1)[:, None], normals]
    system = np.concatenate(columns, axis=1) / _SPREAD
    count = len(amounts)
    prior = np.zeros((count, system.shape[1]))
    prior[:, :count] = np.eye(count)
    change = np.linalg.lstsq(np.concatenate([system, prior]), np.concatenate([gap / _SPREAD, -amounts]), rcond=None)[0]
    turn = Rotation.from_rotvec(change[count : count + 3]).as_matrix()
    return amounts + change[:count], turn @ rotation, scale * (1 + change[count + 3]), moved + change[count + 4 :]


def _similarity(source: Array, target: Array) -> tuple[Array, float, Array]:
    """Rotation (3, 3), scale and translation (3,) that map points (n, 3) to others best."""
    middle, other = source.mean(axis=0), target.mean(axis=0)
    rotation = Rotation.align_vectors(target - other, source - middle)[0].as_matrix()
    scale = float(np.linalg.norm(target - other) / np.linalg.norm(source - middle))
    return rotation, scale, other - scale * rotation @ middle


def _normals(vertices: Array, triangles: NDArray[np.int64]) -> Array:
    """Unit normals (V, 3) of a mesh."""
    first, second, third = vertices[triangles].transpose(1, 0, 2)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], np.cross(second - first, third - first))
    return np.asarray(normals / np.linalg.norm(normals, axis=-1, keepdims=True).clip(1e-12))


def complete_head(head: CanonicalHead, footage: Footage, matte: NDArray[np.float32]) -> CanonicalHead:
    """Give a head the outline that a matte shows, and beyond the landmarks' mesh the depth of the full-head model.

    Args:
        head: The head, as :func:`s2l_core.canonical.view.choose_canonical` gives it.
        footage: The footage that it was chosen from.
        matte: float32 (h, w) matte of the person in the canonical frame, in the rectangle of the head.
    """
    view, shape, layout = head.view, footage.track.shape, footage.layout
    pose, mesh = view.pose.cpu().double().numpy(), head.mask.cpu().numpy()
    jaw = jaw_line(mesh, view, shape, layout)
    mask = head_in_matte(matte, mesh, jaw)
    full = fit_full_head(shape, layout)
    beyond = fitted_depth(full, mask, mesh, jaw, pose, view.intrinsics, view.rectangle)
    depth = fill_depth(mesh_depth(footage, pose, view.intrinsics, view.rectangle), beyond)
    device = view.depth.device
    return replace(
        head, view=replace(view, depth=torch.from_numpy(depth).to(device)), mask=torch.from_numpy(mask).to(device)
    )


def fitted_depth(
    head: FullHead, mask: Mask, mesh: Mask, jaw: Array, pose: Array, intrinsics: Intrinsics, rectangle: Rectangle
) -> NDArray[np.float32]:
    """Depth map of a full head, stretched so that its outline is that of a mask: what stands between the two is hair.

    Each pixel takes the depth of the model in the same direction from the middle of the face. Beyond the face, its
    distance is scaled by the ratio of the two outlines.

    Args:
        head: The fitted head.
        mask: bool (h, w) mask of the head in the rectangle.
        mesh: bool (h, w) mesh of the landmarks.
        jaw: float64 (w,) rows below which the neck is seen.
        pose: float64 (4, 4) camera_from_head.
        intrinsics: The camera.
        rectangle: The part of the image to render.

    Returns:
        float32 (h, w) depth along the camera's z axis in millimetres.
    """
    depth = rasterise_depth(transform(head.vertices, pose), head.triangles, intrinsics, rectangle)
    rows, columns = np.indices(mask.shape)
    own = (depth > 0) & (rows + 0.5 < jaw)
    middle = np.argwhere(mesh).mean(axis=0)
    distance = np.hypot(rows - middle[0], columns - middle[1])
    sector = np.floor((np.arctan2(rows - middle[0], columns - middle[1]) / (2 * np.pi) + 0.5) * _SECTORS)
    sector = sector.astype(int) % _SECTORS
    face, model, seen = (_radii(each, distance, sector) for each in (mesh, own, mask))
    inner = _INNER * face
    ratio = ((model - inner) / np.maximum(seen - inner, 1.0)).clip(*_SCALES)[sector]
    beyond = np.maximum(distance - inner[sector], 0.0)
    shrunk = (distance - beyond + ratio * beyond) / np.maximum(distance, 1e-6)
    places = np.stack([middle[0] + shrunk * (rows - middle[0]), middle[1] + shrunk * (columns - middle[1])])
    nearest = distance_transform_edt(depth == 0, return_distances=False, return_indices=True)
    fitted = map_coordinates(depth[tuple(nearest)], places, order=1, mode="nearest")
    return np.asarray(gaussian_filter(fitted, _SMOOTHED * np.sqrt(np.count_nonzero(mesh)), mode="nearest"), np.float32)


def _radii(mask: Mask, distance: Array, sector: NDArray[np.int64]) -> Array:
    """Largest distance (_SECTORS,) of a mask's pixels in each direction, smoothed."""
    radii = np.zeros(_SECTORS)
    np.maximum.at(radii, sector[mask], distance[mask])
    return np.asarray(gaussian_filter1d(radii, _TURN * _SECTORS / 360, mode="wrap"))
