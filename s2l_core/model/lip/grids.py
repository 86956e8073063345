"""The default lip model: learnable grids of low rank.

Space enters through grids,

    f(u, v, code) = base(u, v) + sum_k code_k basis_k(u, v),

which a principal component analysis of the training lips initialises. Given the right codes, that start alone shows the
held-out lips of a 71 s clip at 36 dB; a network with FiLM layers on a warped grid came to 31 dB after 70 s of training
on two cores, and to the same 26.5 dB as this one with codes that speech predicts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...speech.encoder import SpeechEncoder
from .base import SPOKEN_SIZE, ImplicitLipModel, Painter, TimeCode, average_corners


class GridLipModel(ImplicitLipModel):
    """Grids whose nodes are the corners of the pixels of the canonical lips.

    Args:
        width: Pixels along u.
        height: Pixels along v.
        size: Numbers in a code.
    """

    time: TimeCode

    def __init__(self, width: int, height: int, size: int = SPOKEN_SIZE) -> None:
        super().__init__(width, height)
        self.base = nn.Parameter(torch.zeros(1, 3, height + 1, width + 1))
        self.basis = nn.Parameter(torch.zeros(size, 3, height + 1, width + 1))
        self.speech = SpeechEncoder(size)
        self.time = TimeCode(size)

    @torch.no_grad()
    def start(self, mean: Tensor, axes: Tensor) -> None:
        self.base.copy_(_nodes_of_cells(mean[None]))
        self.basis.copy_(_nodes_of_cells(axes))

    def fit_time(self, seconds: float) -> None:
        self.time.fit_scale(seconds)

    def code(self, spoken: Tensor, times: Tensor | None = None) -> Tensor:
        return spoken if times is None else spoken + self.time(times)

    def field(self, points: Tensor) -> Painter:
        layers = self._layers_at(points)
        return lambda code: layers[0] + torch.einsum("bk,knc->bnc", code, layers[1:])

    def painter(self, x_edges: Tensor, y_edges: Tensor) -> Painter:
        lattice = torch.stack(torch.meshgrid(x_edges, y_edges, indexing="xy"), dim=-1)
        corners = self._layers_at(lattice.reshape(-1, 2)).unflatten(1, lattice.shape[:2]).permute(0, 3, 1, 2)
        layers = average_corners(corners)
        base, basis = layers[0].reshape(1, -1), layers[1:].flatten(1)

        def paint(code: Tensor) -> Tensor:
            return torch.addmm(base, code, basis).unflatten(1, layers.shape[1:])

        return paint

    def _layers_at(self, points: Tensor) -> Tensor:
        """Base and basis (1 + size, n, 3) at points (n, 2) in [0, 1]², bilinear between the nodes."""
        nodes = torch.cat([self.base, self.basis]).flatten(0, 1)[None]
        values = functional.grid_sample(nodes, 2 * points[None, None] - 1, align_corners=True, padding_mode="border")
        return values[0, :, 0].unflatten(0, (-1, 3)).transpose(1, 2)


def _nodes_of_cells(cells: Tensor) -> Tensor:
    """Values at nodes (n, 3, h + 1, w + 1) whose averages over cells are close to ``cells`` (n, 3, h, w)."""
    down, across = (_inverse_averaging(size).to(cells) for size in cells.shape[-2:])
    return down @ cells @ across.T


def _inverse_averaging(cells: int, damping: float = 0.01) -> Tensor:
    """(cells + 1, cells): the damped least-squares inverse of averaging neighbouring nodes."""
    nodes = torch.eye(cells + 1, dtype=torch.float64)
    averaging = (nodes[:-1] + nodes[1:]) / 2
    square = averaging @ averaging.T + damping * torch.eye(cells, dtype=torch.float64)
    return (averaging.T @ torch.linalg.inv(square)).float()
