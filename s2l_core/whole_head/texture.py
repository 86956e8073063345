"""Colours of a head's surface: the median over the frames of a clip."""

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
"""Colour of a surface that no frame shows."""
_INSIDE = 0.5
"""Least coverage of a pixel by the head for its own colour to count."""
_LONGEST_SIDE = 512
"""Longer side of the pictures in pixels: holes need no more detail."""
_MARGIN = 2
"""Distance in pixels from the outline within which colours may belong to the background."""
_LEAST_FACING = 0.35
"""Least cosine of the angle between surface normal and line of sight for a colour to count."""
_ASKED_AT_ONCE = 50_000
"""Number of points in one nearest-neighbour query."""
_HIDDEN = 6.0
"""Millimetres behind the visible surface from which a point is hidden."""


@torch.no_grad()
def gather_texture(
    surface: HeadSurface,
    footage: Footage,
    usable: NDArray[np.bool_] | None = None,
    report: Report | None = None,
    cache: Cache = NO_CACHE,
) -> None:
    """Set the colours of a surface to the median over evenly spaced frames that show it. Points that no frame shows get
    the colour of the nearest point that one shows.

    Args:
        surface: The surface, whose colours are set in place.
        footage: The clip, with a tracked head.
        usable: bool (N,) frames that may be used; None means all.
        report: Receives the phase ``"Read head frames"``.
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
    """Colours, depth, and 1 or 0 whether both are certain: float32 (1, 5, H, W)."""
    buffers = render_surface(surface, camera, pose)
    reach = 2 * _MARGIN + 1
    certain = -functional.max_pool2d(-(buffers.coverage > 0.99).float(), reach, stride=1, padding=_MARGIN)
    return torch.cat([picture, buffers.depth[None], certain[None]], dim=1)


def _take(grid: Tensor, normals: Tensor, view: Tensor, camera: Intrinsics, pose: Tensor) -> Tensor:
    """Sample the colours (3, h, w) of a grid's points (3, h, w) in a view; NaN if the view does not show a point."""
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
    """Replace colours (3, n) that are NaN by those of the nearest point (3, n) with a colour."""
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
