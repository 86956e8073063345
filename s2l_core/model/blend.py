"""Blend-Net (paper section 4.4): joins the generated lips and the observed frame by a residual."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_WIDTH = 16


class BlendNet(nn.Module):
    """A small U-Net on the mouth region at half resolution; its residual is zero at the start.

    The paper predicts a residual that is added to the merged frame; here a soft mask confines it to the mouth, so
    that everything else stays what the source has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enter = _block(4 * 4, _WIDTH)
        self.down = _block(_WIDTH, 2 * _WIDTH, stride=2)
        self.bottom = _block(2 * _WIDTH, 2 * _WIDTH, stride=2)
        self.rise = _block(4 * _WIDTH, 2 * _WIDTH)
        self.leave = _block(3 * _WIDTH, _WIDTH)
        self.residual = nn.Conv2d(_WIDTH, 3 * 4, 3, padding=1)
        nn.init.zeros_(self.residual.weight)
        assert self.residual.bias is not None
        nn.init.zeros_(self.residual.bias)

    def forward(self, merged: Tensor, mask: Tensor) -> Tensor:
        """The blended region (B, 3, h, w), h and w multiples of 8.

        Args:
            merged: (B, 3, h, w) lips pasted on the observed frame.
            mask: (B, 1, h, w) in [0, 1], zero where the frame must stay as it is.
        """
        fine = self.enter(functional.pixel_unshuffle(torch.cat([merged, mask], dim=1), 2))
        middle = self.down(fine)
        coarse = self.bottom(middle)
        middle = self.rise(torch.cat([_double(coarse), middle], dim=1))
        fine = self.leave(torch.cat([_double(middle), fine], dim=1))
        return merged + mask * functional.pixel_shuffle(self.residual(fine), 2)


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
    )


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
