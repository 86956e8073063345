"""The skull under cap and hair, in polar coordinates about a point inside of it. NumPy only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from .head import Head

CENTRE = np.array([0.0, -45.0, 5.0])
_LOWEST = -60.0
_TABLE_STEP = 3.0  # degrees


def direction(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) in head axes; azimuth 0 looks to the camera, elevation is above the horizon; radians."""
    return np.stack(
        [np.sin(azimuth) * np.cos(elevation), -np.sin(elevation), -np.cos(azimuth) * np.cos(elevation)], axis=-1
    )


def angles(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth and elevation (...) of unit vectors (..., 3), radians."""
    x, y, z = np.moveaxis(directions, -1, 0)
    return np.arctan2(x, -z), -np.arcsin(np.clip(y, -1.0, 1.0))


def skull_radius(head: Head) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The smoothed distance of the skin from ``CENTRE``, mm, as a function of azimuth and elevation, without ears."""
    skin = head.rest[head.vertices_of("M_Face", "M_BackHead")]
    side, y, z = np.abs(skin[:, 0]), skin[:, 1], skin[:, 2]
    ear = (side > 70) & (z > -25) & (z < 45) & (y > -50) & (y < 45)
    skin = skin[~ear & (y < 60) & (z < 110)] - CENTRE
    radius = np.linalg.norm(skin, axis=1)
    azimuth, elevation = np.meshgrid(
        np.radians(np.arange(0.0, 360.0, _TABLE_STEP)), np.radians(np.arange(_LOWEST, 91.0, _TABLE_STEP)), indexing="ij"
    )
    _, near = cKDTree(skin / radius[:, None]).query(direction(azimuth, elevation), k=8)
    table = ndimage.gaussian_filter(np.median(radius[near], axis=-1), (2.0, 2.0), mode=("wrap", "nearest"))

    def radius_at(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
        column = np.degrees(azimuth) / _TABLE_STEP
        row = (np.clip(np.degrees(elevation), _LOWEST, 90.0) - _LOWEST) / _TABLE_STEP
        return ndimage.map_coordinates(table, np.stack([column, row]), order=1, mode="grid-wrap")

    return radius_at
