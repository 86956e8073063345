"""Correcting the opening of the mouth, since least-squares predictions vary too little."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_DAMPING = 0.01
_LOWEST, _HIGHEST = 0.05, 0.99
"""Quantiles of the footage's openings to which the opening is limited: a closed mouth does not close further."""


class Articulation(nn.Module):
    """Scales codes along the opening of the mouth, and other components less or not at all.

    Args:
        size: Size of a code.
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

    def forward(self, codes: Tensor, others: bool = False) -> Tensor:
        """Codes (..., size) whose openings deviate ``gain`` times as much from the mean, within the footage's limits.

        A least-squares prediction with the correlation r has only r times the standard deviation of the true value.

        Args:
            codes: Predicted codes.
            others: Whether the other components deviate more from their means too, by half of the additional share.
                Exemplars are chosen by all components, and those near the mean move little.
        """
        if not others:
            return self._stretch(codes, self.gain)
        factor = (1 + self.gain) / 2
        return self._stretch(factor * codes, self.gain / factor)

    def match(self, codes: Tensor, true: Tensor) -> Tensor:
        """Scale codes (N, size) so that their openings have the standard deviation of those of true codes (N, size)."""
        return self._stretch(codes, (true @ self.reading).std() / (codes @ self.reading).std().clamp(min=1e-9))

    def limit(self, codes: Tensor, true: Tensor) -> None:
        """Reduce the gain so that openings of codes (N, size) vary no more than those of true codes (M, size)."""
        most = (true @ self.reading).std() / (codes @ self.reading).std().clamp(min=1e-9)
        self.gain.clamp_(max=float(most))

    def _stretch(self, codes: Tensor, gain: Tensor) -> Tensor:
        opening = codes @ self.reading
        bold = (gain * opening).clamp(self.limits[0], self.limits[1])
        return codes + (bold - opening)[..., None] * self.direction

    def fit(self, codes: Tensor, openings: Tensor, gain: float) -> None:
        """Fit the openings (N,) as a function of codes (N, size), and the mean code for an opening."""
        spread = codes.T @ codes / len(codes)
        damping = _DAMPING * torch.eye(len(spread), device=codes.device)
        reading = torch.linalg.solve(spread + damping, codes.T @ (openings - openings.mean()) / len(codes))
        self.reading.copy_(reading)
        self.direction.copy_(spread @ reading / (reading @ spread @ reading).clamp(min=1e-9))
        self.gain.fill_(gain)
        self.limits.copy_((codes @ reading).quantile(codes.new_tensor([_LOWEST, _HIGHEST])))
