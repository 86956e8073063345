"""What is just outside of the outline of a surface: its depth and other planes, continued by some pixels."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

_INSIDE, _OUTSIDE = 0.99, 0.5
"""Coverage above which a pixel is inside of the outline, and below which its planes are continued."""


def continued(planes: Tensor, coverage: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """Continue planes beyond the outline of a surface, as at the nearest pixel inside.

    Args:
        planes: float32 (B, C, H, W).
        coverage: float32 (B, H, W) in [0, 1], share of each pixel that the surface covers.
        reach: Distance from the outline up to which they are continued, relative to the size of the surface: the square
            root of its area.

    Returns:
        The planes (B, C, H, W), and weights float32 (B, H, W) in [0, 1]: 1 outside of the outline, falling to 0 from
        half of that distance on; 0 inside.
    """
    planes, weights = planes.clone(), torch.zeros_like(coverage)
    for own, covered, weight in zip(planes, coverage, weights, strict=True):
        inside = covered.cpu().numpy() > _INSIDE
        if not inside.any():
            continue
        distance, labels = cv2.distanceTransformWithLabels(
            (~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        farthest = reach * float(covered.sum()) ** 0.5
        around = np.flatnonzero((distance > 0) & (distance < farthest))
        place = np.zeros(int(labels.max()) + 1, np.int64)
        place[labels[inside]] = np.flatnonzero(inside)
        here, nearest = (torch.from_numpy(each).to(own.device) for each in (around, place[labels.ravel()[around]]))
        share = (2 - 2 * distance.ravel()[around] / farthest).clip(0, 1)
        weight.view(-1)[here] = torch.from_numpy(share).to(weight)
        outside, flat = covered.flatten()[here] < _OUTSIDE, own.flatten(1)
        flat[:, here[outside]] = flat[:, nearest[outside]]
    return planes, weights
