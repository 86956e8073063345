"""What rendering reads from a frame: the mouth region, and the colours around the lips that the look model sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..canonical.regions import Observer
from ..geometry.camera import Rectangle
from ..geometry.mapping import CanonicalView, map_pixels, pixel_grid, relative_pose, sample
from ..media.planes import Part, evenly_around
from ..model.look import LookPixels

_KNOWN = -1e5
"""Positions to the left of this are those of pixels without a counterpart."""


@dataclass(frozen=True)
class Sight:
    """Where B frames are read.

    Attributes:
        surroundings: float32 (B, 1, n, 2) positions of the look model's surroundings.
        border: float32 (B, 1, m, 2) positions of its border.
        boxes: B rectangles that contain all of them, the mouth region, and the pixels that their colours depend on.
    """

    surroundings: Tensor
    border: Tensor
    boxes: list[Rectangle]


class Sighter:
    """Finds what is read from the frames of a clip, and reads it.

    Args:
        observer: The observer of the clip.
        pixels: The pixels that the look model sees.
    """

    def __init__(self, observer: Observer, pixels: LookPixels) -> None:
        self._observer = observer
        views = (observer.face.surroundings, pixels.around), (observer.face.lips, pixels.border)
        self._views = [_chosen(view, mask) for view, mask in views]

    @torch.no_grad()
    def find(self, indices: NDArray[np.integer]) -> Sight:
        """Where the frames ``indices`` (B,) are read."""
        observer = self._observer
        poses = observer.poses[torch.as_tensor(indices, device=observer.poses.device)]
        surroundings, border = (
            map_pixels(grid, depth, view.intrinsics, observer.intrinsics, relative_pose(poses, view.pose)).pixels
            for view, grid, depth in self._views
        )
        corners = _corners(torch.cat([surroundings, border], dim=2))
        size = observer.intrinsics.width, observer.intrinsics.height
        boxes = [
            evenly_around(_union(seen, observer.plan.box(int(index), *size), size), *size)
            for seen, index in zip(corners, indices, strict=True)
        ]
        return Sight(surroundings, border, boxes)

    @torch.no_grad()
    def colours(self, parts: Sequence[Part], sight: Sight) -> tuple[Tensor, Tensor]:
        """Colours of surroundings (B, 3 n) and border (B, 3 m) in [0, 1], as
        :meth:`s2l_core.model.look.LookPixels.take` gives them.

        Args:
            parts: Parts of the frames that contain ``sight.boxes``.
            sight: Where they are read.
        """
        seen: list[tuple[Tensor, ...]] = []
        for number, part in enumerate(parts):
            colours = torch.from_numpy(part.pixels).to(sight.border.device).permute(2, 0, 1)[None].float() / 255
            seen.append(
                tuple(
                    sample(colours, positions[number : number + 1], part.box).flatten(1)
                    for positions in (sight.surroundings, sight.border)
                )
            )
        surroundings, border = (torch.cat(colours) for colours in zip(*seen, strict=True))
        return surroundings, border


def _chosen(view: CanonicalView, mask: Tensor) -> tuple[CanonicalView, Tensor, Tensor]:
    """A view, and positions (1, n, 2) and depths (1, n) of the pixels in a mask."""
    mask = mask.to(view.depth.device)
    return view, pixel_grid(view.rectangle, view.depth.device)[mask][None], view.depth[mask][None]


def _corners(positions: Tensor) -> NDArray[np.float32]:
    """Left, top, right, bottom (B, 4) of positions (B, 1, n, 2); infinite in the wrong order if there are none."""
    known = (positions > _KNOWN).all(dim=-1, keepdim=True)
    first = torch.where(known, positions, torch.inf).amin(dim=(1, 2))
    last = torch.where(known, positions, -torch.inf).amax(dim=(1, 2))
    return np.asarray(torch.cat([first, last], dim=1).cpu().numpy())


def _union(seen: NDArray[np.float32], region: Rectangle, size: tuple[int, int]) -> Rectangle:
    """The rectangle in a frame that contains another one, and the pixels next to positions with given corners."""
    sides = np.array([*size, *size])
    around = np.clip(np.concatenate([np.floor(seen[:2] - 1), np.ceil(seen[2:] + 1)]), 0, sides)
    left, top = (int(value) for value in np.minimum(around[:2], [region.left, region.top]))
    ends = [region.left + region.width, region.top + region.height]
    right, bottom = (int(value) for value in np.maximum(around[2:], ends))
    return Rectangle(left, top, right - left, bottom - top)
