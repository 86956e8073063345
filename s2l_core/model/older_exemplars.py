"""Exemplars in speaker files before schema 8, which tell the motion of the lips by a lattice instead of by outlines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from torch import Tensor

from ..canonical.view import from_description
from ..face.layout import LAYOUTS
from ..geometry.camera import project
from ..geometry.mapping import CanonicalView
from .lip.base import SPOKEN_SIZE
from .speaker_fields import read_known_head

Array = NDArray[np.float64]

_INTERVALS = 24
"""Intervals of the lattice along each side of the lip rectangle."""
_INSIDE = 0.5
"""Share of the way from the inner to the outer outline at which the motion of the inner outline is read, since the
lattice blurs the motion of both lips where they meet.
"""


def with_outlines(fields: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a file of today's schema, from those of a file with a lattice.

    The outline of codes that are 0 is that of the speaker's mean lips, and its motion is read from the lattice.

    Args:
        fields: The header of the file.
        tensors: Its tensors. ``exemplars.shifts`` (64, 2, 25, 25) tells how far a unit of each code moves the lips,
            right and down as shares of the lip rectangle's sides.

    Raises:
        KeyError, OverflowError, TypeError, ValueError: The file is damaged.
    """
    changed = dict(tensors)
    shifts = changed.pop("exemplars.shifts")
    if shifts.shape != (SPOKEN_SIZE, 2, _INTERVALS + 1, _INTERVALS + 1) or shifts.dtype != torch.float32:
        raise ValueError("not a lattice")
    view = from_description(fields["face"], changed).lips
    shape = read_known_head(fields["known_head"], changed).shape
    outline = _mean_outline(view, shape, changed["look.shape.mean"].double().numpy())
    changed["exemplars.outline"] = torch.from_numpy(outline).float()
    changed["exemplars.motion"] = torch.from_numpy(_motion(shifts.double().numpy(), outline)).float()
    return changed


def _mean_outline(view: CanonicalView, shape: Array, lips: Array) -> Array:
    """Outlines (L, 2) in shares of the lip rectangle's sides, of a head (P, 3) and mean lips (2 L,) in millimetres."""
    layout, box = LAYOUTS[len(shape)], view.rectangle
    depth = shape[np.concatenate([layout.lips_outer, layout.lips_inner]), 2]
    points = np.column_stack([lips.reshape(-1, 2), depth])
    pixels = project(points, view.pose.cpu().double().numpy(), view.intrinsics)
    return np.asarray((pixels - [box.left, box.top]) / [box.width, box.height])


def _motion(shifts: Array, outline: Array) -> Array:
    """Motion (64, L, 2) of outlines (L, 2) by a unit of each code, in shares of the lip rectangle's sides."""
    outer, inner = np.array_split(outline, 2)
    places = _INTERVALS * np.concatenate([outer, inner + _INSIDE * (outer - inner)])
    moved = np.array([[map_coordinates(way, places.T[::-1], order=1) for way in code] for code in shifts])
    return np.ascontiguousarray(moved.transpose(0, 2, 1))
