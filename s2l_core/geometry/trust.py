"""How far a head may be turned: the poses that its footage tells about, and how poses beyond are led back to them.

What counts is the direction from which the head is seen, in its own axes: yaw and pitch. Roll turns the picture in its
plane and shows nothing new.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from .camera import Array, head_angles

_LEAST_MARGIN, _MOST_MARGIN = 10.0, 25.0
"""Degrees beyond the poses of the footage that are still trusted, where the depth has no confidence and where it has
all. True views of the embedded speaker, whose depth has 0.08, are met as well 15 degrees beyond as within."""
_FADE = 5.0
"""Degrees over which poses beyond the trusted ones are slowed down to a stop."""
_HALF_TRUST = 10.0
"""Degrees outside at which half of the trust is left, then a quarter, and so on."""


@dataclass(frozen=True)
class TrustRegion:
    """The convex hull of the directions from which the footage shows the head, with a margin around it.

    Attributes:
        hull: (K, 2) corners, yaw and pitch in degrees.
        margin: Degrees.
    """

    hull: Array
    margin: float

    def degrees_outside(self, pose: ArrayLike) -> float:
        """How far a pose camera_from_head lies outside of the region; 0 inside."""
        return max(0.0, self._beyond_hull(seen_angles(pose)[:2])[0] - self.margin)

    def trust(self, pose: ArrayLike) -> float:
        """1 inside of the region, falling to 0 with the distance from it."""
        return float(0.5 ** (self.degrees_outside(pose) / _HALF_TRUST))

    def nearest_trusted(self, pose: ArrayLike) -> Array:
        """The pose with the head turned back about its own origin as far as it lies outside, (4, 4).

        Inside it stays as it is. Beyond the border it follows ever more slowly, and stops 5 degrees outside, so that
        nothing jumps in a movement that leads out of the region.
        """
        pose = np.array(pose, np.float64)
        angles = seen_angles(pose)
        distance, nearest = self._beyond_hull(angles[:2])
        if distance <= self.margin:
            return pose
        limited = self.margin + _FADE * math.tanh((distance - self.margin) / _FADE)
        angles[:2] = nearest + (angles[:2] - nearest) * (limited / distance)
        pose[:3, :3] = _towards(pose[:3, 3]) @ Rotation.from_euler("ZXY", angles[::-1], degrees=True).as_matrix()
        return pose

    def _beyond_hull(self, direction: Array) -> tuple[float, Array]:
        """How far a direction lies outside of the hull, in degrees, and the nearest point of it."""
        starts, ends = self.hull, np.roll(self.hull, -1, axis=0)
        if len(starts) > 2 and cv2.pointPolygonTest(self.hull.astype(np.float32), tuple(direction), False) >= 0:
            return 0.0, direction
        edges = ends - starts
        along = ((direction - starts) * edges).sum(axis=1) / np.maximum(np.square(edges).sum(axis=1), 1e-12)
        feet = starts + along.clip(0.0, 1.0)[:, None] * edges
        distances = np.linalg.norm(direction - feet, axis=1)
        return float(distances.min()), feet[distances.argmin()]


def trust_region(angles: Array, confidence: float) -> TrustRegion:
    """The region that a speaker is trusted in.

    Args:
        angles: (N, 2 or more) yaw and pitch in degrees of the poses that the depth was learnt from.
        confidence: Of the depth in [0, 1], the mean over the head.
    """
    hull = cv2.convexHull(angles[:, :2].astype(np.float32))[:, 0].astype(np.float64)
    return TrustRegion(hull, _LEAST_MARGIN + (_MOST_MARGIN - _LEAST_MARGIN) * confidence)


def seen_angles(pose: ArrayLike) -> Array:
    """Yaw, pitch and roll (..., 3) in degrees as a camera would see the head that looks straight at its origin.

    A head beside the middle of the image is seen from another side than :func:`s2l_core.geometry.camera.head_angles`
    says.
    """
    pose = np.asarray(pose, np.float64)
    turned = np.zeros_like(pose)
    turned[..., :3, :3] = np.swapaxes(_towards(pose[..., :3, 3]), -1, -2) @ pose[..., :3, :3]
    return head_angles(turned)


def _towards(position: Array) -> Array:
    """Rotations (..., 3, 3) by the shortest way that take the camera's z axis to positions (..., 3)."""
    ray = position / np.linalg.norm(position, axis=-1, keepdims=True)
    axis = np.stack([-ray[..., 1], ray[..., 0], np.zeros_like(ray[..., 0])], axis=-1)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    vector = axis / np.maximum(sine, 1e-12) * np.arctan2(sine, ray[..., 2:])
    return np.asarray(Rotation.from_rotvec(vector.reshape(-1, 3)).as_matrix().reshape(*vector.shape[:-1], 3, 3))
