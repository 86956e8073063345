"""Whether something is in front of the mouth: how badly a frame's lips are explained by the lips that were learnt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .compositing import soft_mask
from .footage import Footage
from .geometry.mapping import map_pixels, pixel_grid, relative_pose
from .model.lip.base import SPOKEN_SIZE
from .model.speaker import SpeakerModel
from .regions import plan_regions, regions_to_tensor, sample_regions

_ROWS, _COLUMNS = 12, 16
"""Cells into which the lip rectangle is divided."""
_COMPONENTS = 12
"""Learnt ways of the lips to move that may explain a picture."""
_MOTION = 1.5
"""Deviation of their codes, of which the first one has a variance of one in training."""
_GAIN, _LIGHT, _SLOPE = 0.2, 0.15, 0.1
"""Deviations of contrast, of each channel's brightness and of its slopes across and down."""
_NOISE = 0.03
"""Differences of cells that mean nothing."""
_STEPS = 3
_STRIDE = 2
"""Every second row and column of the lips is looked at."""
_LEAST_MASK = 0.25
_WORST_SHARE = 0.2


class MouthExplainer:
    """Explains the mouths of one clip as those of a speaker, in whatever light.

    Args:
        speaker: On the device to compute on.
        footage: The clip.
    """

    @torch.no_grad()
    def __init__(self, speaker: SpeakerModel, footage: Footage) -> None:
        self._view = speaker.face.lips
        self._device = self._view.depth.device
        self._grid = pixel_grid(self._view.rectangle, self._device)[::_STRIDE, ::_STRIDE]
        self._track = footage.track
        self._plan = plan_regions(speaker.face, footage.track)
        self._poses = torch.tensor(footage.track.poses, dtype=torch.float32, device=self._device)
        mask = functional.adaptive_avg_pool2d(soft_mask(*self._view.depth.shape)[None, None], (_ROWS, _COLUMNS))[0, 0]
        self._inside = (mask > _LEAST_MASK).flatten().to(self._device)
        self._mean, self._basis, self._scale = self._learnt(speaker)

    @torch.no_grad()
    def misfits(self, images: Sequence[NDArray[np.uint8]], indices: NDArray[np.integer]) -> NDArray[np.float64]:
        """By how much the mouths of B frames cannot be explained, where that is worst: root mean squares in [0, 1].

        Args:
            images: uint8 (H, W, 3).
            indices: int (B,) which frames of the footage they are.
        """
        relative = relative_pose(self._poses[torch.as_tensor(indices, device=self._device)], self._view.pose)
        cuts = [self._plan.cut(image, int(index)) for image, index in zip(images, indices, strict=True)]
        regions = regions_to_tensor(torch.from_numpy(np.stack(cuts)).to(self._device))
        corners = torch.as_tensor(self._plan.corners[indices], dtype=torch.float32, device=self._device)
        depth = self._view.depth[::_STRIDE, ::_STRIDE]
        pixels = map_pixels(self._grid, depth, self._view.intrinsics, self._track.intrinsics, relative).pixels
        seen = self._cells(sample_regions(regions, corners, pixels))
        missed = self._explain(seen - self._mean).unflatten(1, (3, -1)).square().mean(dim=1).sqrt()
        worst = missed.topk(round(_WORST_SHARE * missed.shape[1]), dim=1).values
        return np.asarray(worst.square().mean(dim=1).sqrt().cpu().numpy(), np.float64)

    def _explain(self, differences: Tensor) -> Tensor:
        """What is left of differences (B, n) from the mean mouth: least squares, in which cells that stand out count
        little.
        """
        design = self._basis * self._scale  # unknowns of unit variance
        left = differences
        for _ in range(_STEPS):
            squares = left.unflatten(1, (3, -1)).square().mean(dim=1, keepdim=True)
            weights = 1.0 / (_NOISE**2 + squares).expand(-1, 3, -1).flatten(1)
            normal = design.T @ (design * weights[..., None]) + torch.eye(design.shape[1], device=self._device)
            left = differences - torch.linalg.solve(normal, (weights * differences) @ design) @ design.T
        return left

    def _learnt(self, speaker: SpeakerModel) -> tuple[Tensor, Tensor, Tensor]:
        """The mean mouth (n,), what may change in it (n, k), and by how much (k,)."""
        spoken = torch.zeros(_COMPONENTS + 1, SPOKEN_SIZE, device=self._device)
        spoken[torch.arange(_COMPONENTS), torch.arange(_COMPONENTS)] = 1.0
        painted = self._cells(speaker.lip.pixel_painter()(speaker.lip.code(spoken)))
        mean = painted[-1]
        x = torch.linspace(-1, 1, _COLUMNS, device=self._device).expand(_ROWS, -1).flatten()[self._inside]
        y = torch.linspace(-1, 1, _ROWS, device=self._device)[:, None].expand(-1, _COLUMNS).flatten()[self._inside]
        light = [torch.block_diag(*[plane[:, None]] * 3) for plane in (torch.ones_like(x), x, y)]
        contrast = mean - mean.unflatten(0, (3, -1)).mean(dim=1).repeat_interleave(len(x))
        basis = torch.cat([(painted[:-1] - mean).T, contrast[:, None], *light], dim=1)
        scale = [_MOTION] * _COMPONENTS + [_GAIN] + [_LIGHT] * 3 + [_SLOPE] * 6
        return mean, basis, torch.tensor(scale, device=self._device)

    def _cells(self, lips: Tensor) -> Tensor:
        """Pictures (B, 3, h, w) of the lip rectangle as cells (B, 3 m)."""
        pooled = functional.adaptive_avg_pool2d(lips, (_ROWS, _COLUMNS))
        return pooled.flatten(2)[:, :, self._inside].flatten(1)
