"""Putting canonical lips into observed frames: C2O, soft mask, Blend-Net (paper sections 4.3 and 4.4)."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry.camera import Intrinsics
from ..geometry.mapping import CanonicalView, canonical_from_observed, sample
from ..media.raster import Picture

_FEATHER = 0.22
"""Share of the lip rectangle over which the mask falls from one to zero, on every side."""


class Placement(NamedTuple):
    """Where a batch of mouth regions lies in the canonical view.

    Attributes:
        pixels: (B, H, W, 2) canonical position of every pixel of the regions.
        mask: (B, 1, H, W) share of the generated lips, exactly zero outside of them.
    """

    pixels: Tensor
    mask: Tensor


def place(view: CanonicalView, intrinsics: Intrinsics, poses: Tensor, grids: Tensor) -> Placement:
    """Map mouth regions to the canonical view.

    Args:
        view: The lip rectangle.
        intrinsics: Camera of the frames.
        poses: (B, 4, 4) camera_from_head of the frames.
        grids: (B, H, W, 2) pixel positions of the regions in their frames.
    """
    pixels, valid, _ = canonical_from_observed(grids, view, intrinsics, poses)
    box = view.rectangle
    mask = soft_mask(box.height, box.width).to(grids)[None, None]
    return Placement(pixels, sample(mask, pixels, box) * valid[:, None])


def paste(lips: Tensor, regions: Tensor, placement: Placement, view: CanonicalView) -> Tensor:
    """Lips (B, 3, h, w), of any resolution, laid over regions (B, 3, H, W) with the soft mask."""
    box = view.rectangle
    scale = lips.shape[-1] / box.width
    position = (placement.pixels - placement.pixels.new_tensor([box.left, box.top])) * scale
    warped = sample(lips, position, padding="border")
    return torch.where(placement.mask > 0, torch.lerp(regions, warped, placement.mask), regions)


def extract_layer(new: Picture, old: Picture, mask: NDArray[np.uint8]) -> Picture:
    """What was pasted, taken off the frame again: laid over the old frame with its alpha, it gives the new one.

    Args:
        new: The frame with new lips.
        old: The frame as it was.
        mask: Alpha, uint8 (H, W), in true shape.

    Returns:
        (height, width, 4) with straight alpha, which no transparent part of the frame has; black where that is zero.
    """
    most = np.float32(np.iinfo(old.dtype).max)
    alpha = cv2.resize(mask, old.shape[1::-1], interpolation=cv2.INTER_AREA)[..., None] / np.float32(255.0)
    change = new[..., :3].astype(np.float32) - old[..., :3]
    colour = old[..., :3] + np.divide(change, alpha, out=np.zeros_like(change), where=alpha > 0)
    if old.shape[2] == 4:
        alpha = alpha * (old[..., 3:] / most)
    visible = np.where(alpha > 0, colour.round().clip(0, most), 0)
    return np.concatenate([visible, (alpha * most).round()], axis=-1).astype(old.dtype)


def soft_mask(height: int, width: int) -> Tensor:
    """(height, width), one in the middle and falling smoothly to zero at the border."""

    def profile(length: int) -> Tensor:
        middle = (torch.arange(length) + 0.5) / length
        rise = ((torch.minimum(middle, 1 - middle) - 0.5 / length) / _FEATHER).clamp(0, 1)
        return rise * rise * (3 - 2 * rise)

    return profile(height)[:, None] * profile(width)[None, :]
