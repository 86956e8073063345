"""The colours of a head's surface, gathered from the frames of a clip."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional

from ..cache import NO_CACHE, AppendLog, Cache
from ..canonical.motion import read_pictures
from ..events import Report, checkpoint
from ..footage import Footage
from ..geometry.camera import Intrinsics
from ..geometry.mapping import sample
from ..geometry.splatting import facing, render_surface
from ..subsampling import evenly_spaced
from .surface import HeadSurface

_FRAMES = 32
_GREY = 0.5
"""Of a surface that no frame shows."""
_INSIDE = 0.5
"""Share of a pixel that must be the head for its own colours to count."""
_LONGEST_SIDE = 512
"""Pixels of the pictures that colours are taken from: holes need no more."""
_MARGIN = 2
"""Pixels from the head's outline in a picture within which its colours may be the background's."""
_LEAST_FACING = 0.35
"""Cosine of the angle to the surface from which a picture tells its colours."""
_ASKED_AT_ONCE = 50_000
"""Points whose nearest known ones are looked for together."""
_HIDDEN = 6.0
"""Millimetres behind what a picture shows at which a point is hidden in it."""


@torch.no_grad()
def gather_texture(
    surface: HeadSurface,
    footage: Footage,
    usable: NDArray[np.bool_] | None = None,
    report: Report | None = None,
    cache: Cache = NO_CACHE,
) -> None:
    """Give a surface the median colours over frames that show it, spread over the clip; what none shows gets those of
    the nearest that is shown.

    Args:
        surface: Whose colours are set, in place.
        footage: With a tracked head.
        usable: bool (N,) frames that may be looked at; None means all.
        report: Told the phase ``"Look at the head"``.
        cache: Cache of the pictures that were already read.
    """
    track = footage.track
    longest = max(track.intrinsics.width, track.intrinsics.height)
    camera = track.intrinsics.scaled(min(1.0, _LONGEST_SIDE / longest))
    found = np.flatnonzero(track.found if usable is None else track.found & usable)
    chosen = found[evenly_spaced(len(found), _FRAMES)]
    rows = AppendLog(cache, "pictures for colours")
    pictures = read_pictures(footage, [int(index) for index in chosen], camera, report or Report(), rows)
    poses = torch.tensor(track.poses[chosen], dtype=torch.float32, device=surface.front.device)
    views = [
        _view(surface, picture[None].to(poses.device), camera, pose[None])
        for picture, pose in zip(pictures, poses, strict=True)
    ]
    front, side = (
        _median([_take(grid, normals, view, camera, pose) for view, pose in zip(views, poses, strict=True)])
        for grid, normals in ((surface.front, surface.front_normals), (surface.side, surface.side_normals))
    )
    front[:, surface.inside <= _INSIDE] = torch.nan
    places = torch.cat([surface.front.flatten(1), surface.side.flatten(1)], dim=1)
    filled = _fill(torch.cat([front.flatten(1), side.flatten(1)], dim=1), places)
    surface.front_colours = filled[:, : surface.inside.numel()].view_as(front)
    surface.side_colours = filled[:, surface.inside.numel() :].view_as(side)


def _view(surface: HeadSurface, picture: Tensor, camera: Intrinsics, pose: Tensor) -> Tensor:
    """Colours, depth, and whether both are certain: (1, 5, H, W)."""
    buffers = render_surface(surface, camera, pose)
    reach = 2 * _MARGIN + 1
    certain = -functional.max_pool2d(-(buffers.coverage > 0.99).float(), reach, stride=1, padding=_MARGIN)
    return torch.cat([picture, buffers.depth[None], certain[None]], dim=1)


def _take(grid: Tensor, normals: Tensor, view: Tensor, camera: Intrinsics, pose: Tensor) -> Tensor:
    """Colours (3, h, w) of a grid's points (3, h, w) in a view, NaN where it does not show them."""
    checkpoint()
    x, y, z = (pose[:3, :3] @ grid.flatten(1) + pose[:3, 3:]).view_as(grid)
    pixels = torch.stack([x / z * camera.fx + camera.cx, y / z * camera.fy + camera.cy], dim=-1)
    found = sample(view, pixels[None])[0]
    faces = facing(normals[None], pixels[None], camera, pose[None])[0] > _LEAST_FACING
    shown = faces & (found[4] > 0.99) & (z < found[3] + _HIDDEN)
    return torch.where(shown, found[:3], torch.nan)


def _median(colours: list[Tensor]) -> Tensor:
    return torch.stack(colours).nanmedian(dim=0).values


def _fill(colours: Tensor, places: Tensor) -> Tensor:
    """Colours (3, n) of points (3, n), with those of the nearest known one where they are NaN."""
    unknown = colours[0].isnan()
    if unknown.all():
        return torch.full_like(colours, _GREY)
    known = torch.nonzero(~unknown)[:, 0]
    tree = KDTree(places[:, known].T.cpu().numpy())
    for points in torch.nonzero(unknown)[:, 0].split(_ASKED_AT_ONCE):
        checkpoint()
        _, nearest = tree.query(places[:, points].T.cpu().numpy())
        colours[:, points] = colours[:, known[torch.from_numpy(nearest)]]
    return colours
