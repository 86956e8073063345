"""Whether a camera sees a head from a direction that its footage shows, as in :mod:`s2l_core.geometry.trust`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Matrix, Vector

LEAST_DEGREES = 0.5
"""Degrees outside of the trusted directions at which a warning is given."""


def degrees_outside(pose: Sequence[float], head: bpy.types.PropertyGroup) -> float:
    """The angle between a view of a head and the trusted directions, in degrees; 0 inside of them.

    Yaw and pitch of the head are measured relative to the ray from the camera to the head's origin.

    Args:
        pose: camera_from_head as 16 numbers row by row, OpenCV's axes.
        head: The properties of the head, ``Object.s2l``.
    """
    matrix = Matrix([pose[row : row + 4] for row in (0, 4, 8, 12)])
    towards = Vector((0.0, 0.0, 1.0)).rotation_difference(matrix.translation).to_matrix()
    pitch, yaw, _ = (towards.inverted() @ matrix.to_3x3()).to_euler("YXZ")
    return max(0.0, _degrees_beyond_hull(math.degrees(yaw), math.degrees(pitch), head.directions) - head.margin)


def _degrees_beyond_hull(yaw: float, pitch: float, corners: Sequence[bpy.types.PropertyGroup]) -> float:
    """The distance of a direction from a convex polygon in degrees; its corners may go round it in either direction."""
    starts = np.array([corner.angles[:] for corner in corners])
    edges, offsets = np.roll(starts, -1, axis=0) - starts, (yaw, pitch) - starts
    sides = edges[:, 0] * offsets[:, 1] - edges[:, 1] * offsets[:, 0]
    if len(starts) > 2 and (np.all(sides >= 0.0) or np.all(sides <= 0.0)):
        return 0.0
    along = (offsets * edges).sum(axis=1) / np.maximum(np.square(edges).sum(axis=1), 1e-12)
    return float(np.linalg.norm(offsets - along.clip(0.0, 1.0)[:, None] * edges, axis=1).min())
