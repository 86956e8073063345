"""The range of poses in which a head can be rendered reliably, and limiting poses to it.

It depends on the direction from which the head is seen, in its own axes: yaw and pitch. Roll only rotates the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from .camera import Array, head_angles

_MARGIN = 10.0
"""Margin around the poses of the footage in degrees. For both rendered speakers, turning a frame by 10 degrees costs
2 dB more than turning it by 5, and 20 degrees another 2 dB, although the head of one turns by 12 degrees in his footage
and that of the other by 4, and parallax tells the depth of the former only.
"""
_EASING = 5.0
"""Largest angle in degrees by which a limited pose lies outside of the region: it approaches this smoothly."""
_HALF_TRUST = 10.0
"""Degrees outside of the region by which the trust is halved."""


@dataclass(frozen=True)
class TrustRegion:
    """Convex hull of the directions from which the footage shows the head, with a margin.

    Attributes:
        hull: float64 (K, 2) corners of the hull, yaw and pitch in degrees.
        margin: Margin in degrees. A larger one allows the head to be turned farther, at lower quality.
    """

    hull: Array
    margin: float

    def degrees_outside(self, pose: ArrayLike) -> float:
        """Angle in degrees by which a pose camera_from_head is outside of the region; 0 inside."""
        return max(0.0, self._beyond_hull(seen_angles(pose)[:2])[0] - self.margin)

    def trust(self, pose: ArrayLike) -> float:
        """Trust in a pose: 1 inside of the region, and decreasing to 0 with the distance from it."""
        return float(0.5 ** (self.degrees_outside(pose) / _HALF_TRUST))

    def nearest_trusted(self, pose: ArrayLike) -> Array:
        """Limit a pose float64 (4, 4) to the region by rotating the head about its origin.

        A pose inside is unchanged. Outside, it approaches a limit of 5 degrees beyond the border smoothly, so that a
        movement out of the region has no jump.
        """
        pose = np.array(pose, np.float64)
        angles = seen_angles(pose)
        distance, nearest = self._beyond_hull(angles[:2])
        if distance <= self.margin:
            return pose
        limited = self.margin + _EASING * math.tanh((distance - self.margin) / _EASING)
        angles[:2] = nearest + (angles[:2] - nearest) * (limited / distance)
        pose[:3, :3] = _towards(pose[:3, 3]) @ Rotation.from_euler("ZXY", angles[::-1], degrees=True).as_matrix()
        return pose

    def _beyond_hull(self, direction: Array) -> tuple[float, Array]:
        """Distance of a direction from the hull in degrees, and the nearest point of the hull."""
        starts, ends = self.hull, np.roll(self.hull, -1, axis=0)
        if len(starts) > 2 and cv2.pointPolygonTest(self.hull.astype(np.float32), tuple(direction), False) >= 0:
            return 0.0, direction
        edges = ends - starts
        along = ((direction - starts) * edges).sum(axis=1) / np.maximum(np.square(edges).sum(axis=1), 1e-12)
        feet = starts + along.clip(0.0, 1.0)[:, None] * edges
        distances = np.linalg.norm(direction - feet, axis=1)
        return float(distances.min()), feet[distances.argmin()]


def trust_region(angles: Array) -> TrustRegion:
    """The trust region of a head.

    Args:
        angles: float64 (N, 2 or more) yaw and pitch in degrees of the poses that the footage shows.
    """
    hull = cv2.convexHull(angles[:, :2].astype(np.float32))[:, 0].astype(np.float64)
    return TrustRegion(hull, _MARGIN)


def seen_angles(pose: ArrayLike) -> Array:
    """Yaw, pitch and roll float64 (..., 3) in degrees, relative to a camera that looks straight at the head's origin.

    For a head that is not at the centre of the image, they differ from :func:`s2l_core.geometry.camera.head_angles`.
    """
    pose = np.asarray(pose, np.float64)
    turned = np.zeros_like(pose)
    turned[..., :3, :3] = np.swapaxes(_towards(pose[..., :3, 3]), -1, -2) @ pose[..., :3, :3]
    return head_angles(turned)


def _towards(position: Array) -> Array:
    """Shortest rotations (..., 3, 3) from the camera's z axis to the directions of positions (..., 3)."""
    ray = position / np.linalg.norm(position, axis=-1, keepdims=True)
    axis = np.stack([-ray[..., 1], ray[..., 0], np.zeros_like(ray[..., 0])], axis=-1)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    vector = axis / np.maximum(sine, 1e-12) * np.arctan2(sine, ray[..., 2:])
    return np.asarray(Rotation.from_rotvec(vector.reshape(-1, 3)).as_matrix().reshape(*vector.shape[:-1], 3, 3))
