"""How far generated lips are from real ones as a set of pictures, which means of mouths cannot hide.

PSNR and LPIPS compare one frame with one frame, and a mean of ten mouths does well by both. The measures here compare
how the two sets of pictures are distributed, and how each changes from frame to frame.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..model.perception import Lpips

_LAYERS = 3
"""Convolutions of AlexNet whose features are compared."""
_GRID = 3, 4
"""Cells, down and across, that the features are averaged over."""
_BATCH = 32
_COMPONENTS = 60
_FOLDS = 5
_RIDGE = 0.01
_BRIGHT = 0.9
"""Quantile of the brightness inside the lips that stands for the teeth."""
_LEAST_PIXELS = 12
"""Pixels inside the lips that a mouth shows at least if it counts as open."""


@torch.no_grad()
def lip_features(perception: Lpips, lips: Tensor) -> NDArray[np.float64]:
    """Features of mouths: those of AlexNet's first three convolutions, of unit length at every position, averaged
    over a grid of 3 x 4 cells.

    Args:
        perception: With the AlexNet trunk.
        lips: uint8 (N, 3, h, w).

    Returns:
        (N, 7680)
    """
    shift, scale, device = perception.shift, perception.scale, perception.shift.device
    features = []
    for part in lips.split(_BATCH):
        values, layers = (part.to(device).float() / 255 - shift) / scale, []
        for layer in list(perception.layers)[:_LAYERS]:
            values = layer(values)
            unit = functional.normalize(values, dim=1)
            layers.append(functional.adaptive_avg_pool2d(unit, _GRID).flatten(1))
        features.append(torch.cat(layers, dim=1))
    return torch.cat(features).double().cpu().numpy()


def kernel_distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy of two sets of features (n, d) and (m, d) under the
    cubic polynomial kernel, times 1000: the kernel inception distance (KID) with these features.

    Binkowski et al., "Demystifying MMD GANs" (2018).
    """
    size = first.shape[1]

    def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((a @ b.T / size + 1.0) ** 3)

    within = 0.0
    for features in (first, second):
        values, count = kernel(features, features), len(features)
        within += float(values.sum() - np.trace(values)) / (count * (count - 1))
    return 1000.0 * (within - 2.0 * float(kernel(first, second).mean()))


def separability(real: NDArray[np.float64], generated: NDArray[np.float64]) -> float:
    """Area under the ROC curve of a ridge classifier that tells real features (n, d) from generated ones (n, d) of the
    same frames, mean over five contiguous folds that it did not see: 0.5 if it cannot tell them apart, 1 if it always
    can.

    Lopez-Paz and Oquab, "Revisiting classifier two-sample tests" (2017). The classifier sees 60 principal components.
    """
    areas = []
    for held_out in np.array_split(np.arange(len(real)), _FOLDS):
        seen = np.setdiff1d(np.arange(len(real)), held_out)
        inputs = np.concatenate([generated[seen], real[seen]])
        labels = np.repeat([-1.0, 1.0], len(seen))
        mean = inputs.mean(axis=0)
        _, deviations, axes = np.linalg.svd(inputs - mean, full_matrices=False)
        count = min(_COMPONENTS, int((deviations > 1e-9 * deviations[0]).sum()))
        project = axes[:count].T / deviations[:count] * np.sqrt(len(inputs))
        scores = (inputs - mean) @ project
        weights = np.linalg.solve(scores.T @ scores + _RIDGE * len(inputs) * np.eye(count), scores.T @ labels)
        told_real, told_generated = (((each[held_out] - mean) @ project) @ weights for each in (real, generated))
        above = told_real[:, None] - told_generated[None]
        areas.append(float(((above > 0) + 0.5 * (above == 0)).mean()))
    return float(np.mean(areas))


def flicker(lips: NDArray[np.uint8]) -> float:
    """Mean absolute change in levels between successive mouths (N, h, w, 3) that is left after the optical flow between
    them was undone (DIS, Kroeger et al. 2016). Divide by that of the real mouths.
    """
    flow_of = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    height, width = lips.shape[1:3]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    grey = [cv2.cvtColor(mouth, cv2.COLOR_RGB2GRAY) for mouth in lips]
    changes = []
    for before, after, mouth, following in zip(grey, grey[1:], lips, lips[1:], strict=False):
        flow = flow_of.calc(before, after, np.zeros((height, width, 2), np.float32))
        moved = cv2.remap(
            following, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        changes.append(float(np.abs(moved.astype(np.float32) - mouth).mean()))
    return float(np.mean(changes)) if changes else 0.0


def brightness_inside(picture: NDArray[np.uint8], inner_lips: NDArray[np.floating]) -> float:
    """The 90th percentile of the brightness inside the lips of a picture (H, W, 3), which is that of the teeth if they
    show, in [0, 1]; NaN if the mouth is closed.

    Args:
        picture: uint8 RGB.
        inner_lips: (n, 2) pixels along the inner outline of the lips.
    """
    if not np.isfinite(inner_lips).all():
        return float("nan")
    inside = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(inner_lips).astype(np.int32)], (1,))
    if int(inside.sum()) < _LEAST_PIXELS:
        return float("nan")
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return float(np.quantile(grey[inside > 0], _BRIGHT)) / 255
