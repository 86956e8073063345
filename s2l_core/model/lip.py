"""The speech-driven implicit lip model of paper section 4.2: c = f(u, v, speech, time), equation (1).

The colour of the canonical lips is a continuous function of a point (u, v) of the lip rectangle and of a motion
code. Speech gives the code; the time of the frame and the look of the face around the mouth correct it where they
are known. Space enters through learnable grids of low rank,

    f(u, v, code) = base(u, v) + sum_k code_k basis_k(u, v),

which a principal component analysis of the training lips initialises. Given the right codes, that start alone shows the
held-out lips of a 71 s clip at 36 dB; a network with FiLM layers on a warped grid came to 31 dB after 70 s of training
on two cores, and to the same 26.5 dB as this one with codes that speech predicts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..speech.encoder import SpeechEncoder

CODE_SIZE = 64
_TIME_FREQUENCIES = 10


class LipModel(nn.Module):
    """f(u, v, speech, time) for one speaker.

    Args:
        width: Cells of the grids along u; the grids' nodes are the corners of the cells.
        height: Cells along v.
        size: Numbers in a code.
    """

    def __init__(self, width: int, height: int, size: int = CODE_SIZE) -> None:
        super().__init__()
        self.base = nn.Parameter(torch.zeros(1, 3, height + 1, width + 1))
        self.basis = nn.Parameter(torch.zeros(size, 3, height + 1, width + 1))
        self.speech = SpeechEncoder(size)
        self.time = TimeCode(size)

    @property
    def width(self) -> int:
        return self.base.shape[-1] - 1

    @property
    def height(self) -> int:
        return self.base.shape[-2] - 1

    @property
    def code_size(self) -> int:
        return self.basis.shape[0]

    def colour(self, points: Tensor, code: Tensor) -> Tensor:
        """Equation (1): colours (B, n, 3) of points (n, 2) in [0, 1]² for codes (B, size)."""
        layers = self._layers_at(points)
        return layers[0] + torch.einsum("bk,knc->bnc", code, layers[1:])

    def area_colour(self, points: Tensor, areas: Tensor, code: Tensor) -> Tensor:
        """Equation (2): the colours of rectangles, as the mean of their four corners' colours, each weighted by the
        part of the rectangle that lies diagonally opposite as seen from the point.

        Args:
            points: (n, 2) in [0, 1]², inside their rectangles.
            areas: (n, 4) left, top, right, bottom.
            code: (B, size)

        Returns:
            (B, n, 3)
        """
        corners, weights = corner_weights(points, areas)
        colours = self.colour(corners.reshape(-1, 2), code)
        return torch.einsum("bnkc,nk->bnc", colours.unflatten(1, (len(points), 4)), weights)

    def layers(self, x_edges: Tensor, y_edges: Tensor) -> Tensor:
        """Base and basis averaged over the cells of a lattice: equation (2) for the middle of every cell at once.

        Neighbouring cells share their corners, so that each corner is evaluated only once. The result depends on no
        frame: it is computed once for all frames that share the lattice.

        Args:
            x_edges: (w + 1,) borders of the cells along u, in [0, 1].
            y_edges: (h + 1,) borders along v.

        Returns:
            (1 + size, 3, h, w)
        """
        lattice = torch.stack(torch.meshgrid(x_edges, y_edges, indexing="xy"), dim=-1)
        corners = self._layers_at(lattice.reshape(-1, 2)).unflatten(1, lattice.shape[:2]).permute(0, 3, 1, 2)
        return functional.avg_pool2d(corners, 2, stride=1)

    def pixel_layers(self, scale: int = 1) -> Tensor:
        """:meth:`layers` of the whole rectangle at ``scale`` times the grids' resolution."""
        device = self.base.device
        columns = torch.linspace(0, 1, scale * self.width + 1, device=device)
        rows = torch.linspace(0, 1, scale * self.height + 1, device=device)
        return self.layers(columns, rows)

    def _layers_at(self, points: Tensor) -> Tensor:
        """Base and basis (1 + size, n, 3) at points (n, 2) in [0, 1]², bilinear between the nodes."""
        nodes = torch.cat([self.base, self.basis]).flatten(0, 1)[None]
        values = functional.grid_sample(nodes, 2 * points[None, None] - 1, align_corners=True, padding_mode="border")
        return values[0, :, 0].unflatten(0, (-1, 3)).transpose(1, 2)


class TimeCode(nn.Module):
    """What the time of a frame adds to its code (the ``t`` of equation (1)): the slow drift of a take.

    Only frames of the training footage have such a time. In training it is left out at random, so that speech alone
    gives a whole code.
    """

    frequencies: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.zeros(_TIME_FREQUENCIES))
        self.weights = nn.Linear(2 * _TIME_FREQUENCIES, size)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)

    def fit_scale(self, seconds: float) -> None:
        """Let the slowest wave take twice the length of the footage; each further one is twice as fast."""
        waves = torch.arange(_TIME_FREQUENCIES, dtype=torch.float32)
        self.frequencies.copy_(math.pi / seconds * 2.0**waves)

    def forward(self, times: Tensor) -> Tensor:
        """Codes (..., size) of times (...) in seconds from the start of the footage."""
        phase = times[..., None] * self.frequencies
        return self.weights(torch.cat([phase.sin(), phase.cos()], dim=-1))


def corner_weights(points: Tensor, areas: Tensor) -> tuple[Tensor, Tensor]:
    """The corners of rectangles and what they count, equation (2): S_ij / S.

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


def compose(layers: Tensor, code: Tensor) -> Tensor:
    """Pictures (B, 3, h, w) from :meth:`LipModel.layers` (1 + size, 3, h, w) and codes (B, size)."""
    return torch.addmm(layers[0].reshape(1, -1), code, layers[1:].flatten(1)).unflatten(1, layers.shape[1:])
