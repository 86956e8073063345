"""Pairs of generated and true pictures of the same frames, in canonical and in observed space."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..canonical.compositing import paste, place
from ..canonical.regions import regions_to_tensor, sample_regions
from ..geometry.mapping import map_pixels, relative_pose, sample
from ..model.blend import with_random_holes
from ..model.lip.base import LipModel
from ..model.speaker import SpeakerModel
from .clip import Clip
from .sampling import Cells


class Pair(NamedTuple):
    """Generated and true pictures (B, 3, h, w)."""

    generated: Tensor
    truth: Tensor


def canonical_pair(
    lip: LipModel, clip: Clip, codes: Tensor, chosen: NDArray[np.int64], across: Cells, down: Cells
) -> Pair:
    """Cells of the lip rectangle in the frames ``chosen`` (B,), generated from motion codes (B, code)."""
    view, device = clip.face.lips, codes.device
    box = view.rectangle
    (x_edges, columns), (y_edges, rows) = across.to(device), down.to(device)
    picks = torch.from_numpy(chosen).to(device)
    guess = lip.painter(x_edges / box.width, y_edges / box.height)(codes)[:, :, rows][..., columns]

    middles = torch.stack(torch.meshgrid(x_edges[columns] + 0.5, y_edges[rows] + 0.5, indexing="xy"), dim=-1)
    depth = sample(view.depth[None, None], middles[None], padding="border")[0, 0]
    position = middles + middles.new_tensor([box.left, box.top])
    camera = clip.footage.track.intrinsics
    relative = relative_pose(clip.poses[picks], view.pose)
    pixels = map_pixels(position, depth, view.intrinsics, camera, relative).pixels
    return Pair(guess, sample_regions(*_regions_of(clip, chosen), pixels))


def observed_pair(
    speaker: SpeakerModel,
    clip: Clip,
    codes: Tensor,
    chosen: NDArray[np.int64],
    partners: NDArray[np.int64],
    random: np.random.Generator,
    blending: bool,
) -> Pair:
    """Mouth regions of the frames ``chosen`` (B,), generated from motion codes (B, code) and blended into other frames,
    the partners. Outside the mask, where they show the partners, both pictures of the pair are equal.
    """
    view, device = speaker.face.lips, codes.device
    picks = torch.from_numpy(chosen).to(device)
    grids = clip.observer.plan.grids(clip.indices[chosen], device)
    placement = place(view, clip.footage.track.intrinsics, clip.poses[picks], grids)
    truth, others = _regions_of(clip, chosen)[0], _regions_of(clip, partners)[0]
    merged = paste(speaker.lip.pixel_painter()(codes), others, placement, view)
    if blending:
        holed = with_random_holes(merged, placement.mask, torch.Generator().manual_seed(int(random.integers(2**32))))
        merged = speaker.blend(holed, placement.mask)
    return Pair(torch.lerp(truth, merged, placement.mask), truth)


def _regions_of(clip: Clip, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Regions float32 (B, 3, H, W) and their corners (B, 2)."""
    device = clip.regions.device
    corners = torch.as_tensor(clip.observer.plan.corners[clip.indices[chosen]], dtype=torch.float32, device=device)
    return regions_to_tensor(clip.regions[torch.from_numpy(chosen).to(device)]), corners
