"""The pixel loss (Chen et al. 2018)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def pixel_loss(generated: Tensor, real: Tensor) -> Tensor:
    """Mean absolute error of generated and real videos (B, 3, T, 64, 64) in [-1, 1]."""
    return functional.l1_loss(generated, real)
