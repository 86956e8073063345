"""Compositing canonical lips into observed frames: C2O and the soft mask (paper sections 4.3 and 4.4)."""

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
"""Width of the soft border of the mask on every side, as a share of the lip rectangle."""


class Placement(NamedTuple):
    """Where a batch of mouth regions lies in the canonical view.

    Attributes:
        pixels: float32 (B, H, W, 2) canonical position of every pixel of the regions.
        mask: float32 (B, 1, H, W) opacity of the generated lips, exactly zero outside the lip rectangle.
    """

    pixels: Tensor
    mask: Tensor


def place(view: CanonicalView, intrinsics: Intrinsics, poses: Tensor, grids: Tensor) -> Placement:
    """Map mouth regions to the canonical view.

    Args:
        view: The lip rectangle.
        intrinsics: Camera of the frames.
        poses: float32 (B, 4, 4) camera_from_head of the frames.
        grids: float32 (B, H, W, 2) pixel positions of the regions in their frames.
    """
    pixels, valid, _ = canonical_from_observed(grids, view, intrinsics, poses)
    box = view.rectangle
    mask = soft_mask(box.height, box.width).to(grids)[None, None]
    return Placement(pixels, sample(mask, pixels, box) * valid[:, None])


def warp(lips: Tensor, placement: Placement, view: CanonicalView) -> Tensor:
    """Lips (B, 3, h, w), of any resolution, as mouth regions (B, 3, H, W)."""
    box = view.rectangle
    scale = lips.shape[-1] / box.width
    position = (placement.pixels - placement.pixels.new_tensor([box.left, box.top])) * scale
    return sample(lips, position, padding="border")


def composite(warped: Tensor, regions: Tensor, mask: Tensor) -> Tensor:
    """Lay lips (B, 3, H, W) over regions with the soft mask (B, 1, H, W)."""
    return torch.where(mask > 0, torch.lerp(regions, warped, mask), regions)


def paste(lips: Tensor, regions: Tensor, placement: Placement, view: CanonicalView) -> Tensor:
    """Composite lips (B, 3, h, w), of any resolution, over regions (B, 3, H, W) with the soft mask."""
    return composite(warp(lips, placement, view), regions, placement.mask)


def extract_layer(new: Picture, old: Picture, mask: NDArray[np.uint8]) -> Picture:
    """Extract what was composited into a frame as a layer with alpha, which gives the new frame when it is laid over
    the old one.

    Args:
        new: The frame with new lips.
        old: The frame without them.
        mask: uint8 (H, W) alpha, with square pixels.

    Returns:
        (height, width, 4) with straight alpha, in the type of the frame. Alpha is zero in transparent parts of the
        frame, and colours are black where it is zero.
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
    """float32 (height, width), one in the middle and falling smoothly to zero at the border."""

    def profile(length: int) -> Tensor:
        middle = (torch.arange(length) + 0.5) / length
        rise = ((torch.minimum(middle, 1 - middle) - 0.5 / length) / _FEATHER).clamp(0, 1)
        return rise * rise * (3 - 2 * rise)

    return profile(height)[:, None] * profile(width)[None, :]
