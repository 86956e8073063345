"""Which light a mouth is in, and whether something is in front of it: how badly the lips of a frame, as they would look
in the light of the training, are explained by those that were learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..canonical.compositing import soft_mask
from ..canonical.light import Light, LightNeighbours, fit_light, middles, relight
from ..canonical.regions import plan_regions, regions_to_tensor, sample_regions
from ..footage import Footage
from ..geometry.mapping import map_pixels, pixel_grid, relative_pose
from ..model.lip.base import SPOKEN_SIZE
from ..model.speaker import SpeakerModel

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
_LIGHT_ROUNDS = 2
_PATCHES = 4
"""Parts along each side of the lip rectangle whose colours tell whether two frames are in the same light."""
_STILL = 0.02
"""Deviation of cells up to which speech hardly moves them, so that they show the light."""
_FITTING = 0.04
"""Misfit at which a frame counts half of what it would tell its neighbours about their light."""


@dataclass(frozen=True)
class Explanation:
    """What N frames show.

    Attributes:
        light: Theirs.
        light_errors: (N,) by how much colours are off from it, see :func:`s2l_core.canonical.light.fit_light`.
        misfits: (N,) by how much the mouths cannot be explained, where that is worst: root mean squares in [0, 1].
    """

    light: Light
    light_errors: NDArray[np.float64]
    misfits: NDArray[np.float64]


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
        self._track, self._times = footage.track, footage.times
        self._plan = plan_regions(speaker.face, footage.track)
        self._poses = torch.tensor(footage.track.poses, dtype=torch.float32, device=self._device)
        mask = functional.adaptive_avg_pool2d(soft_mask(*self._view.depth.shape)[None, None], (_ROWS, _COLUMNS))[0, 0]
        self._inside = (mask > _LEAST_MASK).flatten().to(self._device)
        self._positions = middles(_COLUMNS, _ROWS, self._device).flatten(0, 1)[self._inside]
        places = ((self._positions + 1) / 2 * _PATCHES).long() @ torch.tensor([1, _PATCHES], device=self._device)
        self._patches = functional.one_hot(places, _PATCHES**2).float()[:, places.unique()]
        self._mean, self._basis, self._scale = self._learnt(speaker)
        motion = self._basis[:, :_COMPONENTS].unflatten(0, (3, -1)).square().sum(dim=2).mean(dim=0)
        self._still = 1.0 / (1.0 + motion / _STILL**2)

    @torch.no_grad()
    def sample_cells(self, images: Sequence[NDArray[np.uint8]], indices: NDArray[np.integer]) -> Tensor:
        """What the mouths of B frames show: cells float32 (B, 3, m).

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
        return self._cells(sample_regions(regions, corners, pixels)).unflatten(1, (3, -1))

    @torch.no_grad()
    def explain(self, seen: Tensor, indices: NDArray[np.integer]) -> Explanation:
        """Explain what :meth:`sample_cells` saw of frames.

        The light is fitted to the mean mouth first; then to each frame's own mouth, as far as that is explained in the
        light found so far. Frames that are explained badly, because something is in front of the mouth, tell their
        neighbours little.

        Args:
            seen: (N, 3, m).
            indices: int (N,) which frames of the footage they are, rising.
        """
        patches = (seen * self._still) @ self._patches / (self._still @ self._patches)
        times, shots = (
            torch.as_tensor(values[indices], device=self._device) for values in (self._times, self._track.shots)
        )
        around = LightNeighbours(patches, times, shots)
        mean = self._mean.unflatten(0, (3, -1))
        trust = torch.ones(len(seen), device=self._device)
        weights, mouths = self._still, mean.expand_as(seen)
        for _ in range(_LIGHT_ROUNDS):
            usual = around.average(seen, trust)
            light, errors = fit_light(usual, around.average(mouths, trust), weights, self._positions)
            differences = relight(seen, light.to_speaker, self._positions) - mean
            motion, left = self._explain(differences.flatten(1))
            missed = left.unflatten(1, (3, -1)).square().mean(dim=1).sqrt()
            worst = missed.topk(round(_WORST_SHARE * missed.shape[1]), dim=1).values.square().mean(dim=1).sqrt()
            weights, trust = self._still.sqrt(), 1.0 / (1.0 + (worst / _FITTING) ** 4)
            mouths = (mean + (motion @ self._basis[:, :_COMPONENTS].T).unflatten(1, (3, -1))).clamp(0, 1)
        return Explanation(light, errors.double().cpu().numpy(), worst.double().cpu().numpy())

    def _explain(self, differences: Tensor) -> tuple[Tensor, Tensor]:
        """Codes of motion (B, 12) that explain differences (B, n) from the mean mouth, and what is left of these: least
        squares, in which cells that stand out count little.
        """
        design = self._basis * self._scale  # unknowns of unit variance
        unknowns, left = differences.new_zeros(len(differences), design.shape[1]), differences
        for _ in range(_STEPS):
            squares = left.unflatten(1, (3, -1)).square().mean(dim=1, keepdim=True)
            weights = 1.0 / (_NOISE**2 + squares).expand(-1, 3, -1).flatten(1)
            normal = design.T @ (design * weights[..., None]) + torch.eye(design.shape[1], device=self._device)
            unknowns = torch.linalg.solve(normal, (weights * differences) @ design)
            left = differences - unknowns @ design.T
        return unknowns[:, :_COMPONENTS] * self._scale[:_COMPONENTS], left

    def _learnt(self, speaker: SpeakerModel) -> tuple[Tensor, Tensor, Tensor]:
        """The mean mouth (n,), what may change in it (n, k), and by how much (k,)."""
        spoken = torch.zeros(_COMPONENTS + 1, SPOKEN_SIZE, device=self._device)
        spoken[torch.arange(_COMPONENTS), torch.arange(_COMPONENTS)] = 1.0
        painted = self._cells(speaker.lip.pixel_painter()(speaker.lip.code(spoken)))
        mean = painted[-1]
        x, y = self._positions.unbind(-1)
        light = [torch.block_diag(*[plane[:, None]] * 3) for plane in (torch.ones_like(x), x, y)]
        contrast = mean - mean.unflatten(0, (3, -1)).mean(dim=1).repeat_interleave(len(x))
        basis = torch.cat([(painted[:-1] - mean).T, contrast[:, None], *light], dim=1)
        scale = [_MOTION] * _COMPONENTS + [_GAIN] + [_LIGHT] * 3 + [_SLOPE] * 6
        return mean, basis, torch.tensor(scale, device=self._device)

    def _cells(self, lips: Tensor) -> Tensor:
        """Pictures (B, 3, h, w) of the lip rectangle as cells (B, 3 m)."""
        pooled = functional.adaptive_avg_pool2d(lips, (_ROWS, _COLUMNS))
        return pooled.flatten(2)[:, :, self._inside].flatten(1)
