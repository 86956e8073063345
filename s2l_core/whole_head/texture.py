"""Colours of a head's surface: the median over the frames of a clip that see it best."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from ..cache import NO_CACHE, AppendLog, Cache
from ..canonical.motion import read_pictures
from ..events import Report, checkpoint
from ..face.matte import Matting
from ..footage import Footage
from ..geometry.camera import Intrinsics
from ..geometry.mapping import sample
from ..geometry.splatting import facing, render_depth
from ..subsampling import evenly_spaced
from .cutting import matte_of
from .surface import HeadSurface

_FRAMES = 32
_GREY = 0.5
"""Colour of a surface that no frame shows."""
_INSIDE = 0.5
"""Least coverage of a pixel by the head for its own colour to count."""
_LONGEST_SIDE = 512
"""Longer side of the pictures in pixels: holes need no more detail."""
_MARGIN = 3
"""Distance in pixels from the outline within which colours may belong to the background."""
_LEAST_FACING = 0.35
"""Least cosine of the angle between surface normal and line of sight for a colour to count."""
_ASKED_AT_ONCE = 50_000
"""Number of points in one nearest-neighbour query."""
_BEST = 9
"""Number of the frames that see a point best, of which the median is taken."""
_OUTLINE, _SURE = 0.99, 0.95
"""Coverage, or matte, above which a pixel certainly shows the head."""
_OPPOSITE = 8.0
"""Millimetres from the mirror image of a point within which another one has its colour."""
_AROUND = 24
"""Number of neighbours whose mean colour is compared with that of the opposite side."""
_DARK = 0.05
"""Added to colours before they are compared."""
_MOST_GAIN = 1.25
"""Largest factor by which they are adapted: where there is hair on one side and skin on the other, they differ more."""
_HIDDEN = 6.0
"""Millimetres behind the visible surface from which a point is hidden."""


class Observations(NamedTuple):
    """What some frames of a clip show of a surface: colours, and the cosine of the angle at which a point is seen. NaN
    and 0 where a frame does not show a point.

    Attributes:
        front: float32 (n, 4, h, w).
        side: float32 (n, 4, rows, k).
        poses: float32 (n, 4, 4) camera_from_head of the frames.
    """

    front: Tensor
    side: Tensor
    poses: Tensor


@torch.no_grad()
def observe(
    surface: HeadSurface,
    footage: Footage,
    matting: Matting | None,
    usable: NDArray[np.bool_] | None = None,
    report: Report | None = None,
    cache: Cache = NO_CACHE,
) -> Observations:
    """Look at a surface in evenly spaced frames of a clip.

    Args:
        surface: The surface.
        footage: The clip, with a tracked head.
        matting: Tells the person from the background; None means that only the surface's outline does.
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
    front, side = [], []
    for index, picture, pose in zip(chosen, pictures, poses, strict=True):
        certain = None if matting is None else _certain(footage, int(index), picture, matting)
        view = _view(surface, picture[None].to(poses.device), camera, pose[None], certain)
        front.append(_take(surface.front, surface.front_normals, view, camera, pose))
        side.append(_take(surface.side, surface.side_normals, view, camera, pose))
    return Observations(torch.stack(front), torch.stack(side), poses)


@torch.no_grad()
def gather_texture(surface: HeadSurface, observed: Observations) -> None:
    """Set the colours of a surface, in place, to the median over those frames that see a point best. Points that no
    frame shows get the colour of the opposite side, or of the nearest point that one shows.
    """
    front, side = _best(observed.front), _best(observed.side)
    front[:, surface.inside <= _INSIDE] = torch.nan
    side = _reflected(side, front, surface.opposite)
    places = torch.cat([surface.front.flatten(1), surface.side.flatten(1)], dim=1)
    filled = _fill(_mirrored(torch.cat([front.flatten(1), side.flatten(1)], dim=1), places), places)
    surface.front_colours = filled[:, : surface.inside.numel()].view_as(front)
    surface.side_colours = filled[:, surface.inside.numel() :].view_as(side)


def _certain(footage: Footage, index: int, picture: Tensor, matting: Matting) -> Tensor:
    """Where a picture (3, H, W) certainly shows the person: float32 (1, H, W), 0 or 1."""
    shown = (picture.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
    return torch.from_numpy((matte_of(footage, index, shown, matting) > _SURE).astype(np.float32))[None]


def _view(surface: HeadSurface, picture: Tensor, camera: Intrinsics, pose: Tensor, certain: Tensor | None) -> Tensor:
    """Colours, depth, and 1 or 0 whether both are certain: float32 (1, 5, H, W)."""
    depth, coverage = render_depth(surface, camera, pose)
    shown = coverage[0].cpu().numpy() > (_OUTLINE if certain is None else 0.0)
    sure = shown if certain is None else shown & (certain[0].cpu().numpy() > 0)
    eroded = cv2.erode(sure.astype(np.float32), np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8))
    return torch.cat([picture, depth[None], torch.from_numpy(eroded).to(depth)[None, None]], dim=1)


def _take(grid: Tensor, normals: Tensor, view: Tensor, camera: Intrinsics, pose: Tensor) -> Tensor:
    """Sample the colours of a grid's points (3, h, w) in a view, and the cosine of the angle at which it sees them: (4,
    h, w); NaN and 0 if the view does not show a point.
    """
    checkpoint()
    x, y, z = (pose[:3, :3] @ grid.flatten(1) + pose[:3, 3:]).view_as(grid)
    pixels = torch.stack([x / z * camera.fx + camera.cx, y / z * camera.fy + camera.cy], dim=-1)
    found = sample(view, pixels[None])[0]
    faces = facing(normals[None], pixels[None], camera, pose[None])[0]
    shown = (faces > _LEAST_FACING) & (found[4] > 0.99) & (z < found[3] + _HIDDEN)
    return torch.cat([torch.where(shown, found[:3], torch.nan), torch.where(shown, faces, 0.0)[None]])


def _best(views: Tensor) -> Tensor:
    """Median (3, h, w) of the colours in the views (n, 4, h, w) that see a point at the least angle."""
    best = views[:, 3].topk(min(_BEST, len(views)), dim=0).indices
    return views[:, :3].gather(0, best[:, None].expand(-1, 3, -1, -1)).nanmedian(dim=0).values


def _reflected(side: Tensor, front: Tensor, opposite: Tensor) -> Tensor:
    """Replace colours (3, rows, n) of the side that are NaN by those of the front (3, h, w) at pixels (rows, n, 2)."""
    known = (~front[:1].isnan()).to(front)
    found = sample(torch.cat([front.nan_to_num() * known, known])[None], opposite[None], padding="border")[0]
    carried = torch.where(found[3:] > 0.01, found[:3] / found[3:].clamp(min=0.01), torch.nan)
    return torch.where(side.isnan(), carried, side)


def _mirrored(colours: Tensor, places: Tensor) -> Tensor:
    """Replace colours (3, n) that are NaN by those of the opposite side of the head, if a point with a colour is there:
    near the mirror image of the point (3, n). They are adapted to the light of their own side, by the ratio of the
    colours there and on the opposite side.
    """
    unknown, known = (torch.nonzero(mask)[:, 0] for mask in (colours[0].isnan(), ~colours[0].isnan()))
    if not len(unknown) or not len(known):
        return colours
    shown, positions = colours[:, known].T.cpu().numpy(), places[:, known].T.cpu().numpy()
    tree, result, across = KDTree(positions), colours.clone(), np.array([-1.0, 1.0, 1.0])
    for points in unknown.split(_ASKED_AT_ONCE):
        checkpoint()
        wanted = places[:, points].T.cpu().numpy()
        distance, opposite = tree.query(across * wanted)
        near = distance < _OPPOSITE
        if near.any():
            _, around = tree.query(wanted[near], k=min(_AROUND, len(known)))
            there = across * positions[around].mean(axis=1)
            _, around_there = tree.query(there, k=min(_AROUND, len(known)))
            gain = (shown[around].mean(axis=1) + _DARK) / (shown[around_there].mean(axis=1) + _DARK)
            adapted = np.clip(shown[opposite[near]] * gain.clip(1 / _MOST_GAIN, _MOST_GAIN), 0, 1)
            result[:, points[torch.from_numpy(near)]] = torch.from_numpy(adapted.T).to(colours)
    return result


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
