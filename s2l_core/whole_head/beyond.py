"""What is beyond the borders of a picture: it continues, the more blurred the farther away.

A mirrored or stretched border is seen at once, and flickers as the grain of the border does. A blur that grows with the
distance hides both, and looks as if the rest were out of focus.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ..geometry.mapping import sample

_SOFTER = 0.4
"""Number of pixels of the picture that are averaged along each axis, for each pixel of distance from its border."""
_SMALLEST = 4
"""Least number of pixels along a side of the smoothest picture."""


def ever_smoother(picture: Tensor, farthest: float = math.inf) -> list[Tensor]:
    """A picture float32 (C, H, W), followed by smoother ones, each with half the pixels along each side, as many as
    :func:`sample_blurred` needs up to a distance.
    """
    levels = [picture]
    while min(levels[-1].shape[1:]) >= 2 * _SMALLEST and 2 ** (len(levels) - 1) < 1 + _SOFTER * farthest:
        levels.append(functional.avg_pool2d(levels[-1], 4, stride=2, padding=1, count_include_pad=False))
    return levels


def outside(pixels: Tensor, width: int, height: int) -> Tensor:
    """Whether positions (..., 2) are beyond the borders of a picture: bool (...)."""
    return ((pixels < 0) | (pixels > pixels.new_tensor([width, height]))).any(dim=-1)


def sample_blurred(levels: list[Tensor], pixels: Tensor, distance: Tensor) -> Tensor:
    """Sample a picture with a blur that grows with a distance: float32 (C, n).

    Args:
        levels: The picture, see :func:`ever_smoother`.
        pixels: float32 (n, 2) positions in the picture; beyond its borders, the nearest pixel is sampled.
        distance: float32 (n,) distance in pixels to the border of the picture.
    """
    wanted = (1 + _SOFTER * distance).log2().clamp(max=len(levels) - 1)
    result = levels[0].new_zeros(len(levels[0]), len(pixels))
    for level, smooth in enumerate(levels):
        share = (1 - (wanted - level).abs()).clamp(min=0)
        used = share.nonzero()[:, 0]
        if len(used):
            found = sample(smooth[None], pixels[used][None, None] * 0.5**level, padding="border")[0, :, 0]
            result[:, used] += share[used] * found
    return result


def mirrored(pixels: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Positions (n, 2), mirrored at the borders of a picture until they are inside, and their distance (n,) in pixels
    to the picture.
    """
    size = pixels.new_tensor([width, height])
    distance = (pixels - pixels.clamp(min=0).minimum(size)).norm(dim=-1)
    folded = torch.remainder(pixels, 2 * size)
    return torch.minimum(folded, 2 * size - folded), distance
