"""The outline of the head in the canonical view, from the matte of the person: above the jaw, with hair and ears."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, gaussian_filter, gaussian_filter1d, label

from ..face.layout import LandmarkLayout
from ..geometry.camera import project
from ..geometry.mapping import CanonicalView

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]

_BELOW_JAW = 0.08
"""Distance below the landmarks of the jaw at which the neck begins, relative to the square root of the mesh's area."""
_SMOOTHED, _ROUNDED = 0.03, 0.012
"""Standard deviations of the smoothing of that border, and of the outline, in the same unit."""


def jaw_line(
    mesh: Mask, view: CanonicalView, shape: NDArray[np.float64], layout: LandmarkLayout
) -> NDArray[np.float64]:
    """The row (w,) of the view's rectangle in each column below which the neck or the shoulders are seen.

    Within the face it follows the jaw. Beside the face it stays at the height of the mouth, where the ear lobes end.

    Args:
        mesh: bool (h, w) mesh of the landmarks.
        view: The view.
        shape: float64 (P, 3) landmarks in head axes.
        layout: Layout of the landmarks.
    """
    corners = project(shape[layout.mouth_corners], view.pose.cpu().double().numpy(), view.intrinsics)
    beside = float(corners[:, 1].mean()) - view.rectangle.top
    size = float(np.sqrt(np.count_nonzero(mesh)))
    rows = np.arange(len(mesh))[:, None]
    jaw = np.where(mesh, rows, -1).max(axis=0) + 1 + _BELOW_JAW * size
    return np.asarray(gaussian_filter1d(np.maximum(jaw, beside), _SMOOTHED * size, mode="nearest"))


def head_in_matte(matte: NDArray[np.float32], mesh: Mask, jaw: Array) -> Mask:
    """Bool (h, w), the head in the canonical view, with hair and ears, without the neck.

    Args:
        matte: float32 (h, w) matte of the person in the canonical frame.
        mesh: bool (h, w) mesh of the landmarks.
        jaw: float64 (w,) rows of :func:`jaw_line`.
    """
    above = np.arange(len(matte))[:, None] + 0.5 < jaw
    shown = ((matte > 0.5) & above) | mesh
    smooth = gaussian_filter(shown.astype(np.float32), _ROUNDED * float(np.sqrt(np.count_nonzero(mesh)))) > 0.5
    pieces, _ = label(smooth | mesh)
    return np.asarray(binary_fill_holes(np.isin(pieces, np.unique(pieces[mesh]))), np.bool_)
