"""Fits the light of each frame and detects occlusion of the mouth: by how far the lips of a frame, converted to the
light of the training, differ from every picture that the speaker's lip model can show.
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
from ..device import device_for_double
from ..footage import Footage
from ..geometry.camera import Rectangle
from ..geometry.mapping import map_pixels, pixel_grid, relative_pose
from ..media.planes import Part
from ..model.lip.base import SPOKEN_SIZE
from ..model.speaker import SpeakerModel

_ROWS, _COLUMNS = 12, 16
"""Rows and columns of cells into which the lip rectangle is divided."""
_COMPONENTS = 12
"""Number of principal components of the lips in the fit."""
_MOTION = 1.5
"""Prior standard deviation of their codes; the first component has unit variance in training."""
_GAIN, _LIGHT, _SLOPE = 0.2, 0.15, 0.1
"""Prior standard deviations of contrast, of each channel's brightness, and of its slopes across and down."""
_NOISE = 0.03
"""Standard deviation of cells' noise."""
_STEPS = 3
_STRIDE = 2
"""Step between the rows and columns of the lips that are sampled."""
_LEAST_MASK = 0.25
_WORST_SHARE = 0.2
_LIGHT_ROUNDS = 2
_PATCHES = 4
"""Parts along each side of the lip rectangle whose colours decide whether two frames have the same light."""
_STILL = 0.02
"""Standard deviation of a cell under speech below which it counts as still, so that it shows the light."""
_FITTING = 0.04
"""Misfit at which the weight of a frame in the light of its neighbours is halved."""


@dataclass(frozen=True)
class MouthFit:
    """The fit of N frames.

    Attributes:
        light: Light of the frames.
        light_errors: float64 (N,) error of the fit of the light, see :func:`s2l_core.canonical.light.fit_light`.
        misfits: float64 (N,) root mean square of the residuals in the worst fifth of the mouth, in [0, 1].
    """

    light: Light
    light_errors: NDArray[np.float64]
    misfits: NDArray[np.float64]


class MouthFitter:
    """Fits a speaker's lips to the mouths in a clip, in any light.

    Args:
        speaker: The speaker, on the device to compute on.
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

    def box(self, index: int) -> Rectangle:
        """The rectangle of frame ``index`` that shows the mouth."""
        return self._plan.box(index, self._track.intrinsics.width, self._track.intrinsics.height)

    @torch.no_grad()
    def sample_cells(self, images: Sequence[NDArray[np.uint8] | Part], indices: NDArray[np.integer]) -> Tensor:
        """Mean colours of the cells of B frames' mouths: float32 (B, 3, m).

        Args:
            images: B frames, uint8 (H, W, 3), or parts of them that contain their :meth:`box`.
            indices: int64 (B,) their indices in the footage.
        """
        relative = relative_pose(self._poses[torch.as_tensor(indices, device=self._device)], self._view.pose)
        cuts = [self._plan.cut(image, int(index)) for image, index in zip(images, indices, strict=True)]
        regions = regions_to_tensor(torch.from_numpy(np.stack(cuts)).to(self._device))
        corners = torch.as_tensor(self._plan.corners[indices], dtype=torch.float32, device=self._device)
        depth = self._view.depth[::_STRIDE, ::_STRIDE]
        pixels = map_pixels(self._grid, depth, self._view.intrinsics, self._track.intrinsics, relative).pixels
        return self._cells(sample_regions(regions, corners, pixels)).unflatten(1, (3, -1))

    @torch.no_grad()
    def fit(self, seen: Tensor, indices: NDArray[np.integer]) -> MouthFit:
        """Fit light and lips to frames.

        The light is fitted to the mean mouth first, and then to the mouth of each frame as fitted in the light so far.
        Frames with a bad fit, because the mouth is occluded, count little in the light of their neighbours.

        Args:
            seen: float32 (N, 3, m) cells, as :meth:`sample_cells` gives them.
            indices: int64 (N,) indices of the frames in the footage, ascending.
        """
        patches = (seen * self._still) @ self._patches / (self._still @ self._patches)
        times, shots = (
            torch.as_tensor(values[indices], device=device_for_double(self._device))
            for values in (self._times, self._track.shots)
        )
        around = LightNeighbours(patches, times, shots)
        mean = self._mean.unflatten(0, (3, -1))
        trust = torch.ones(len(seen), device=self._device)
        weights, mouths = self._still, mean.expand_as(seen)
        for _ in range(_LIGHT_ROUNDS):
            usual = around.average(seen, trust)
            light, errors = fit_light(usual, around.average(mouths, trust), weights, self._positions)
            differences = relight(seen, light.to_speaker, self._positions) - mean
            motion, left = self._fit_lips(differences.flatten(1))
            missed = left.unflatten(1, (3, -1)).square().mean(dim=1).sqrt()
            worst = missed.topk(round(_WORST_SHARE * missed.shape[1]), dim=1).values.square().mean(dim=1).sqrt()
            weights, trust = self._still.sqrt(), 1.0 / (1.0 + (worst / _FITTING) ** 4)
            mouths = (mean + (motion @ self._basis[:, :_COMPONENTS].T).unflatten(1, (3, -1))).clamp(0, 1)
        return MouthFit(light, errors.cpu().double().numpy(), worst.cpu().double().numpy())

    def _fit_lips(self, differences: Tensor) -> tuple[Tensor, Tensor]:
        """Fit codes (B, 12) to differences (B, n) from the mean mouth by least squares in which outlying cells count
        little. Returns the codes and the residuals.
        """
        design = self._basis * self._scale  # scaled so that all unknowns have unit variance
        unknowns, left = differences.new_zeros(len(differences), design.shape[1]), differences
        for _ in range(_STEPS):
            squares = left.unflatten(1, (3, -1)).square().mean(dim=1, keepdim=True)
            weights = 1.0 / (_NOISE**2 + squares).expand(-1, 3, -1).flatten(1)
            normal = design.T @ (design * weights[..., None]) + torch.eye(design.shape[1], device=self._device)
            unknowns = torch.linalg.solve(normal, (weights * differences) @ design)
            left = differences - unknowns @ design.T
        return unknowns[:, :_COMPONENTS] * self._scale[:_COMPONENTS], left

    def _learnt(self, speaker: SpeakerModel) -> tuple[Tensor, Tensor, Tensor]:
        """The mean mouth (n,), the basis of its changes (n, k), and their prior standard deviations (k,)."""
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
