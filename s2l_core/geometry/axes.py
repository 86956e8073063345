"""Conversion between the axes of the library and those of Blender.

The library has OpenCV's camera axes (x right, y down, z forward) and millimetres. Blender's cameras have OpenGL's (x
right, y up, looking along -z), and a unit of its scenes is a metre.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .camera import Array

MILLIMETRES = 1000.0
"""Millimetres in a metre."""
_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


def poses_to_blender(poses: ArrayLike) -> Array:
    """Convert rigid matrices float64 (..., 4, 4) from the library's axes and unit to Blender's, on both sides."""
    result = _FLIP @ np.asarray(poses, np.float64) @ _FLIP
    result[..., :3, 3] /= MILLIMETRES
    return np.asarray(result)


def poses_from_blender(poses: ArrayLike) -> Array:
    """The inverse of :func:`poses_to_blender`."""
    result = _FLIP @ np.asarray(poses, np.float64) @ _FLIP
    result[..., :3, 3] *= MILLIMETRES
    return np.asarray(result)


def points_to_blender(points: ArrayLike) -> Array:
    """Convert points float64 (..., 3) from the library's axes and unit to Blender's."""
    return np.asarray(points, np.float64) * np.diag(_FLIP)[:3] / MILLIMETRES
