"""Random choice of what a training step sees: frames, and cells of the canonical lips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .clip import Clip

_APART_SECONDS = 0.5
_MOUTH_SHAPES = 16


@dataclass(frozen=True)
class Runs:
    """Runs of successive frames. Runs with rare mouth openings are drawn more often than their number suggests.

    Attributes:
        starts: int64 (S,) frames at which a run can start.
        shares: float64 (S,) probability of each.
        length: Number of frames in a run.
    """

    starts: NDArray[np.int64]
    shares: NDArray[np.float64]
    length: int

    @classmethod
    def of(cls, clip: Clip, length: int) -> Runs:
        unbroken = np.diff(clip.indices) == 1
        whole = np.lib.stride_tricks.sliding_window_view(unbroken, length - 1).all(axis=1)
        starts = np.flatnonzero(whole)
        openings = clip.openings[starts + length // 2]
        counts, edges = np.histogram(openings, _MOUTH_SHAPES)
        rarity = 1 / np.sqrt(counts[np.clip(np.digitize(openings, edges) - 1, 0, _MOUTH_SHAPES - 1)])
        return cls(starts, rarity / rarity.sum(), length)

    def sample(self, random: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Frames int64 (count, T) of ``count`` random runs."""
        return random.choice(self.starts, count, p=self.shares)[:, None] + np.arange(self.length)


def similar_poses(clip: Clip) -> NDArray[np.int64]:
    """For each frame, the frame with the most similar head pose at least 0.5 s apart: int64 (N,)."""
    poses = clip.poses.cpu().double()
    features = torch.cat([poses[:, :3, :3].flatten(1) * 100.0, poses[:, :3, 3] * 0.3], dim=1)
    partners = []
    for start, part in enumerate(features.split(1)):
        distance = (features - part).square().sum(dim=1).numpy()
        distance[np.abs(clip.times - clip.times[start]) < _APART_SECONDS] = np.inf
        partners.append(int(distance.argmin()))
    return np.array(partners)


class Cells(NamedTuple):
    """Cells along one side of the lip rectangle, each one pixel long.

    Attributes:
        edges: float32 (n,) positions of their edges in pixels, ascending.
        begins: int64 (m,) indices of the edges at which a cell begins; the other edges end a block of cells.
    """

    edges: Tensor
    begins: Tensor

    def to(self, device: torch.device) -> Cells:
        return Cells(self.edges.to(device), self.begins.to(device))


def sample_cells(size: int, share: float, blocks: int, random: np.random.Generator, continuous: bool) -> Cells:
    """Choose cells along one side of the lip rectangle: one block at a random position in each of ``blocks`` equal
    parts.

    Args:
        size: Length of the side in pixels.
        share: Share of the side that all blocks cover together.
        blocks: Number of blocks.
        random: Source of randomness.
        continuous: Whether cells lie at arbitrary positions (equation (2)) or on whole pixels.
    """
    part = size / blocks
    cells = max(1, round(share * part))
    starts = np.arange(blocks) * part + random.uniform(0, part - cells, blocks)
    if not continuous:
        starts = np.floor(starts)
    edges = torch.from_numpy((starts[:, None] + np.arange(cells + 1)).astype(np.float32))
    begins = torch.arange(blocks * (cells + 1)).unflatten(0, (blocks, cells + 1))[:, :-1]
    return Cells(edges.flatten(), begins.flatten())
