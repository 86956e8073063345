"""How far the mouth opens: predictions of least squares are timid, and made bolder here."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_DAMPING = 0.01
_LOWEST, _HIGHEST = 0.05, 0.99
"""Quantiles of the footage's openings between which the mouth stays: a closed one is not closed further."""


class Articulation(nn.Module):
    """Stretches codes along the mouth's opening and leaves alone what does not vary with it.

    Args:
        size: Numbers in a code.
    """

    reading: Tensor
    direction: Tensor
    gain: Tensor
    limits: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("reading", torch.zeros(size))
        self.register_buffer("direction", torch.zeros(size))
        self.register_buffer("gain", torch.ones(()))
        self.register_buffer("limits", torch.zeros(2))

    def forward(self, codes: Tensor) -> Tensor:
        """Codes (..., size) with openings ``gain`` times as far from the mean, within the limits of the footage.

        Least squares give a quantity that is predicted with the correlation r only r times its deviation.
        """
        return self._stretch(codes, self.gain)

    def match(self, codes: Tensor, true: Tensor) -> Tensor:
        """Codes (N, size) with openings that deviate from their mean as much as those of true codes (N, size)."""
        return self._stretch(codes, (true @ self.reading).std() / (codes @ self.reading).std().clamp(min=1e-9))

    def limit(self, codes: Tensor, true: Tensor) -> None:
        """Lower the gain so that the openings of codes (N, size) deviate no more than those of true codes (M, size)."""
        most = (true @ self.reading).std() / (codes @ self.reading).std().clamp(min=1e-9)
        self.gain.clamp_(max=float(most))

    def _stretch(self, codes: Tensor, gain: Tensor) -> Tensor:
        opening = codes @ self.reading
        bold = (gain * opening).clamp(self.limits[0], self.limits[1])
        return codes + (bold - opening)[..., None] * self.direction

    def fit(self, codes: Tensor, openings: Tensor, gain: float) -> None:
        """Learn how codes (N, size) tell the openings (N,), and the codes that an opening goes with on average."""
        spread = codes.T @ codes / len(codes)
        damping = _DAMPING * torch.eye(len(spread), device=codes.device)
        reading = torch.linalg.solve(spread + damping, codes.T @ (openings - openings.mean()) / len(codes))
        self.reading.copy_(reading)
        self.direction.copy_(spread @ reading / (reading @ spread @ reading).clamp(min=1e-9))
        self.gain.fill_(gain)
        self.limits.copy_((codes @ reading).quantile(codes.new_tensor([_LOWEST, _HIGHEST])))
