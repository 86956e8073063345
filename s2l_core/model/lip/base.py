"""Interface of the speech-driven lip model of paper section 4.2: c = f(u, v, speech, time), equation (1).

The colour of the canonical lips is a function of a point (u, v) of the lip rectangle and of a *motion code*. Speech
determines the code; the time of the frame and the look of the face around the mouth correct it if they are known.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...speech.encoder import MelEncoder

SPOKEN_SIZE = 64
"""Length of a spoken code, as in the paper's AudioNet."""

_TIME_FREQUENCIES = 10

Painter = Callable[[Tensor], Tensor]
"""Maps motion codes (B, code) to pictures (B, 3, h, w), or to the colours (B, n, 3) of points."""


class LipModel(nn.Module, ABC):
    """A lip model f(u, v, speech, time) for one speaker.

    Args:
        width: Width of the canonical lips in pixels (u).
        height: Height in pixels (v).

    Attributes:
        speech: Speech encoder: log-mel to spoken codes.
        time: Encoder of the time of a frame.
        end_to_end: Whether speech is trained through the pictures alone. Otherwise codes are coefficients of the
            principal components of the lips, on which the speech encoder is trained first.
    """

    speech: MelEncoder
    time: nn.Module
    end_to_end: ClassVar[bool] = False

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self.width = width
        self.height = height

    @abstractmethod
    def start(self, mean: Tensor, axes: Tensor) -> None:
        """Initialise from the principal components of the lips: mean (3, h, w) and axes (64, 3, h, w)."""

    @abstractmethod
    def fit_time(self, seconds: float) -> None:
        """Set the scale of the time code by the length of the training footage in seconds, before training."""

    @abstractmethod
    def code(self, spoken: Tensor, times: Tensor | None = None) -> Tensor:
        """Motion codes (..., code) of spoken codes (..., 64).

        Args:
            spoken: float32 (..., 64) spoken codes plus the offsets of the look model.
            times: (...) seconds from the start of the training footage; NaN for frames without a time, or None if no
                frame has one.
        """

    @abstractmethod
    def painter(self, x_edges: Tensor, y_edges: Tensor) -> Painter:
        """A function that renders pictures on a lattice of cells: equation (2) for the middle of every cell. Everything
        that does not depend on the frame is computed once, in this call.

        Args:
            x_edges: float32 (w + 1,) edges of the cells along u in [0, 1], ascending.
            y_edges: float32 (h + 1,) edges along v.
        """

    def pixel_painter(self, scale: int = 1) -> Painter:
        """:meth:`painter` of the whole rectangle at ``scale`` times its resolution."""
        device = next(self.parameters()).device
        columns = torch.linspace(0, 1, scale * self.width + 1, device=device)
        rows = torch.linspace(0, 1, scale * self.height + 1, device=device)
        return self.painter(columns, rows)


class ImplicitLipModel(LipModel):
    """A lip model that gives the colour of single points, and therefore renders any rectangle at any resolution."""

    @abstractmethod
    def field(self, points: Tensor) -> Painter:
        """A function that evaluates equation (1) at points (n, 2) in [0, 1]². Everything that does not depend on the
        frame is computed once, in this call.
        """

    def colour(self, points: Tensor, code: Tensor) -> Tensor:
        """Equation (1): colours (B, n, 3) of points (n, 2) in [0, 1]² for motion codes (B, code)."""
        return self.field(points)(code)

    def area_colour(self, points: Tensor, areas: Tensor, code: Tensor) -> Tensor:
        """Equation (2): the colours of rectangles, as the mean of their corners' colours, each weighted by the area of
        the diagonally opposite part of the rectangle.

        Args:
            points: (n, 2) in [0, 1]², inside their rectangles.
            areas: (n, 4) left, top, right, bottom.
            code: (B, code) motion codes.

        Returns:
            Colours (B, n, 3).
        """
        corners, weights = corner_weights(points, areas)
        colours = self.colour(corners.reshape(-1, 2), code)
        return torch.einsum("bnkc,nk->bnc", colours.unflatten(1, (len(points), 4)), weights)

    def painter(self, x_edges: Tensor, y_edges: Tensor) -> Painter:
        lattice = torch.stack(torch.meshgrid(x_edges, y_edges, indexing="xy"), dim=-1)
        colours = self.field(lattice.reshape(-1, 2))

        def paint(code: Tensor) -> Tensor:
            return average_corners(colours(code).unflatten(1, lattice.shape[:2]).permute(0, 3, 1, 2))

        return paint


class TimeCode(nn.Module):
    """Encodes the time of a frame, the ``t`` of equation (1), as an addition to its code that explains the slow drift
    of a take.

    Only frames of the training footage have a time. In training it is left out at random, so that codes are complete
    without it.
    """

    frequencies: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.zeros(_TIME_FREQUENCIES))
        self.weights = nn.Linear(2 * _TIME_FREQUENCIES, size)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)

    def fit_scale(self, seconds: float) -> None:
        """Set the period of the slowest wave to twice the length of the footage; each further wave is twice as fast."""
        waves = torch.arange(_TIME_FREQUENCIES, dtype=torch.float32)
        self.frequencies.copy_(math.pi / seconds * 2.0**waves)

    def forward(self, times: Tensor) -> Tensor:
        """Codes (..., size) of times (...) in seconds from the start of the footage; zero where a time is NaN."""
        known = times.isfinite()[..., None]
        phase = times.nan_to_num()[..., None] * self.frequencies
        code = self.weights(torch.cat([phase.sin(), phase.cos()], dim=-1))
        return torch.where(known, code, torch.zeros_like(code))


def corner_weights(points: Tensor, areas: Tensor) -> tuple[Tensor, Tensor]:
    """The corners of rectangles and their weights in equation (2): S_ij / S.

    Args:
        points: (n, 2) inside the rectangles.
        areas: (n, 4) left, top, right, bottom.

    Returns:
        Corners (n, 4, 2) and weights (n, 4), which sum to one.
    """
    left, top, right, bottom = areas.unbind(-1)
    x, y = points.unbind(-1)
    corners = torch.stack([torch.stack([cx, cy], dim=-1) for cy in (top, bottom) for cx in (left, right)], dim=-2)
    across, down = (x - left) / (right - left), (y - top) / (bottom - top)
    weights = torch.stack([wx * wy for wy in (1 - down, down) for wx in (1 - across, across)], dim=-1)
    return corners, weights


def average_corners(corners: Tensor) -> Tensor:
    """Cells (n, c, h, w) of a lattice with corners (n, c, h + 1, w + 1). Neighbouring cells share corners, so each
    corner is evaluated only once. The sums are those of an average pooling, which takes five times as long.
    """
    top, bottom = corners[:, :, :-1], corners[:, :, 1:]
    return (top[..., :-1] + top[..., 1:] + bottom[..., :-1] + bottom[..., 1:]) / 4
