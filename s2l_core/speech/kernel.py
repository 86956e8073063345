"""Kernel ridge regression from speech to codes, in closed form, which works well for short footage."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..device import in_double
from ..events import checkpoint

BLOCK_ROWS = 4
"""Number of rows of log-mel, one every 10 ms, that are averaged to one input."""
BLOCKS = 8
"""Number of inputs: from 160 ms before a moment to 160 ms after it."""

_COMPONENTS = 96
_CENTRES = 1024
_REACH = 0.3
"""Inverse square of the kernel's width, for inputs with a mean square of 1."""
_PENALTY = 1.0
_JITTER = 1e-6


def heard_around(features: Tensor) -> Tensor:
    """The inputs (B, t, 8, bands) of a regression around the times of every fourth row of features (B, 4 t, bands)."""
    blocks = features.unflatten(1, (-1, BLOCK_ROWS)).mean(dim=2)
    padded = functional.pad(blocks, (0, 0, BLOCKS // 2, BLOCKS // 2 - 1))
    return padded.unfold(1, BLOCKS, 1).transpose(2, 3)


class KernelRegression(nn.Module):
    """Gaussian kernels on the principal components of the sound around a moment, with centres chosen among the training
    moments (Nyström's method).

    Args:
        size: Size of a code.
        bands: Number of bands of log-mel.
    """

    mean: Tensor
    axes: Tensor
    centres: Tensor
    weights: Tensor
    offset: Tensor

    def __init__(self, size: int, bands: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(BLOCKS * bands))
        self.register_buffer("axes", torch.zeros(BLOCKS * bands, _COMPONENTS))
        self.register_buffer("centres", torch.zeros(_CENTRES, _COMPONENTS))
        self.register_buffer("weights", torch.zeros(_CENTRES, size))
        self.register_buffer("offset", torch.zeros(size))

    def forward(self, mel: Tensor) -> Tensor:
        """Codes (B, t, size) of scaled log-mel (B, 4 t, bands); code i belongs to the time of row 4 i."""
        return self.answer(heard_around(mel))

    def answer(self, heard: Tensor) -> Tensor:
        """Codes (..., size) for inputs (..., 8, bands) around a moment, which is between the middle two."""
        return self._kernel((heard.flatten(-2) - self.mean) @ self.axes) @ self.weights + self.offset

    def fit(self, heard: Tensor, codes: Tensor) -> None:
        """Fit to the inputs (N, 8, bands) around N moments and their codes (N, size)."""
        checkpoint()
        heard = heard.flatten(1)
        chosen = torch.linspace(0, len(heard) - 1, min(_CENTRES, len(heard)), device=heard.device).round().long()
        self.mean.copy_(heard.mean(dim=0))
        centred = heard - self.mean
        axes = torch.linalg.svd(centred[chosen], full_matrices=False).Vh[:_COMPONENTS].T
        self.axes.zero_()
        self.axes[:, : axes.shape[1]] = axes * (_REACH / (centred @ axes).square().sum(dim=1).mean()).sqrt()
        self.offset.copy_(codes.mean(dim=0))

        inputs = centred @ self.axes
        count = len(chosen)
        checkpoint()
        self.centres.zero_()
        self.centres[:count] = inputs[chosen]
        kernel = in_double(self._kernel(inputs)[:, :count])
        squares = kernel.T @ kernel + _PENALTY * kernel[chosen.to(kernel.device)]
        squares += _JITTER * len(inputs) * torch.eye(count, dtype=squares.dtype, device=squares.device)
        checkpoint()
        self.weights.zero_()
        self.weights[:count] = torch.linalg.solve(squares, kernel.T @ in_double(codes - self.offset)).float()

    def _kernel(self, inputs: Tensor) -> Tensor:
        """exp(-|a - b|²) for inputs a (..., c) and the centres b: (..., 1024)."""
        squares = inputs.square().sum(dim=-1, keepdim=True) + self.centres.square().sum(dim=-1)
        return (2 * inputs @ self.centres.T - squares).clamp(max=0).exp()
