"""Forward warping (paper section 5.4): a surface that is known in one view, as another camera sees it.

Where a pixel of the new view looks is not known beforehand, so points of the surface are thrown into the new image, and
the nearest win: a z-buffer. It is coarser than the picture, for only depth and what changes slowly is thrown; colours
are then looked up in the old view at the place that depth tells, which keeps them sharp. What the old view did not see
comes out as a hole of the shape that it really has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from ..events import checkpoint
from .camera import Intrinsics
from .mapping import map_pixels, pixel_grid, relative_pose, sample

_COARSER = 2
"""Pixels of the picture in one cell of the z-buffer."""
_LEAST_WEIGHT = 0.05
"""Bilinear weight from which a point counts for a cell."""
_BAND_PIXELS = 1_000_000
"""Pixels that are computed together, so that a job with many of them can be cancelled."""
_EDGE = (0.25, 0.75)
"""Share of the cells around that the surface covers where the picture's edge begins and ends: it is soft, not in steps.
"""
_CRACK = 0.5
"""Share of the cells around that are known beside a crack; beside the outline fewer are."""
_THICKNESS = 0.015
"""Share of its depth by which a point must lie behind a surface to be hidden by it."""
_UNSURE, _LOST = 0.04, 0.1
"""Share of the surface's size within which its outline is not sure to be where the observed frame has it, and by how
much nearer to the outline a pixel may have been: what comes from there to the middle may be the background's.
"""
_LEAST_FACING = 0.05
"""Added to cosines before they are compared: beside the outline both are next to nothing."""
_STRETCHED = (0.5, 0.8)
"""Cosine of the angle to the surface in the observed frame as a share of that in the new view: with less than the first
the frame tells nothing of a pixel, since it would be stretched, and beside the outline it may be the background's; with
more than the second it tells all.
"""


class Points(NamedTuple):
    """Points of a surface.

    Attributes:
        places: (n, 3) in head axes, millimetres.
        normals: (n, 3) of length 1 in head axes, out of the surface.
        colours: (n, 3) in [0, 1].
    """

    places: Tensor
    normals: Tensor
    colours: Tensor


class Surface(Protocol):
    """What can be seen: a surface in head axes that gives as many points as a camera needs."""

    def points(self, camera: Intrinsics, poses: Tensor) -> Points:
        """Points less than a pixel apart for a camera and poses (B, 4, 4) camera_from_head."""
        ...


class SurfaceBuffers(NamedTuple):
    """The buffers that a rendered surface fills.

    Attributes:
        depth: (B, H, W) millimetres along the camera's z axis, 0 where it sees nothing.
        normals: (B, 3, H, W) of the surface there, in head axes.
        colours: (B, 3, H, W) of the surface there.
        coverage: (B, H, W) in [0, 1], how much of the pixel the surface covers.
    """

    depth: Tensor
    normals: Tensor
    colours: Tensor
    coverage: Tensor


class Warped(NamedTuple):
    """Observed frames as other cameras see them.

    Attributes:
        pictures: (B, 3, H, W).
        seen: (B, H, W) in [0, 1], how well the observed frame shows the surface: 0 in holes.
        buffers: The surface as the other cameras see it.
        source: (B, H', W') in [0, 1], how much of each pixel of the observed frames the surface covers.
    """

    pictures: Tensor
    seen: Tensor
    buffers: SurfaceBuffers
    source: Tensor

    @property
    def holes(self) -> Tensor:
        """(B, H, W) in [0, 1], where there is a surface that the observed frame does not show."""
        return self.buffers.coverage * (1 - self.seen)


def render_surface(surface: Surface, camera: Intrinsics, poses: Tensor) -> SurfaceBuffers:
    """Render a surface into the buffers of a camera, for poses (B, 4, 4) camera_from_head."""
    points = surface.points(_coarser(camera), poses)
    layers = _splat(points.places, (points.normals, points.colours), camera, poses)
    return SurfaceBuffers(depth=layers[:, 0], normals=layers[:, 2:5], colours=layers[:, 5:], coverage=layers[:, 1])


def warp(
    surface: Surface, images: Tensor, observed: Intrinsics, poses: Tensor, camera: Intrinsics, new_poses: Tensor
) -> Warped:
    """Forward-warp observed frames.

    Args:
        surface: What they show.
        images: (B, 3, H', W') observed frames.
        observed: Their camera.
        poses: (B, 4, 4) camera_from_head in them.
        camera: The new camera.
        new_poses: (B, 4, 4) camera_from_head there.
    """
    buffers = render_surface(surface, camera, new_poses)
    places = surface.points(_coarser(observed), poses).places
    depth, coverage = _splat(places, (), observed, poses).unbind(1)
    around = functional.max_pool2d(coverage[:, None], 5, stride=1, padding=2)[:, 0]
    layers = torch.stack([depth * coverage, coverage, around, _depth_inside(coverage)], dim=1)
    inwards, relative = _depth_inside(buffers.coverage), relative_pose(poses, new_poses)
    pictures, seen = torch.empty_like(buffers.colours), torch.empty_like(buffers.depth)
    for rows in in_bands(camera.height, camera.width):
        part = SurfaceBuffers(*(plane[..., rows, :] for plane in buffers))
        pixels = pixel_grid(camera.rectangle, images.device)[rows]
        old = map_pixels(pixels, part.depth, camera, observed, relative)
        front, covered, near, within = sample(layers, old.pixels).unbind(1)
        hidden = front * (1 + _THICKNESS) < old.depth * covered
        inside = (near > 0.5 * part.coverage) & (within > inwards[:, rows] - _LOST)
        before, now = (
            facing(part.normals, *view).clamp(min=0) + _LEAST_FACING
            for view in ((old.pixels, observed, poses), (pixels[None], camera, new_poses))
        )
        stretched = ((before / now - _STRETCHED[0]) / (_STRETCHED[1] - _STRETCHED[0])).clamp(0, 1)
        seen[:, rows] = stretched * (old.valid & inside & ~hidden)
        pictures[..., rows, :] = sample(images, old.pixels)
    return Warped(pictures, seen, buffers, coverage)


def in_bands(length: int, across: int) -> Iterator[slice]:
    """Consecutive parts of so many rows, each of at most a million pixels where a row has ``across`` of them; a
    cancelled job stops between them.
    """
    size = max(1, _BAND_PIXELS // max(across, 1) // 2 * 2)
    for first in range(0, length, size):
        checkpoint()
        yield slice(first, min(first + size, length))


def _depth_inside(coverage: Tensor) -> Tensor:
    """How far inside of the outline pixels lie, (B, H, W): 0.5 on it, 1 a small share of the surface's size away."""
    reach = max(1, round(_UNSURE * float(coverage.sum(dim=(-2, -1)).mean()) ** 0.5))
    columns = torch.empty_like(coverage)
    for part in in_bands(coverage.shape[-1], coverage.shape[-2]):
        columns[..., part] = _running_mean(coverage[..., part].mT, reach).mT
    means = torch.empty_like(coverage)
    for part in in_bands(coverage.shape[-2], coverage.shape[-1]):
        means[..., part, :] = _running_mean(columns[..., part, :], reach)
    return means


def _running_mean(values: Tensor, reach: int) -> Tensor:
    """The mean of values (..., n) over as many of them on either side as ``reach``; beyond the ends lie zeros."""
    sums = functional.pad(values.double().cumsum(dim=-1), (1, 0))
    places = torch.arange(values.shape[-1], device=values.device)
    last, first = (places + reach + 1).clamp(max=values.shape[-1]), (places - reach).clamp(min=0)
    return ((sums[..., last] - sums[..., first]) / (2 * reach + 1)).to(values)


def facing(normals: Tensor, pixels: Tensor, camera: Intrinsics, poses: Tensor) -> Tensor:
    """The cosine of the angle under which a camera sees a surface, (B, H, W): 1 face to face, 0 along it.

    Args:
        normals: (B, 3, H, W) in head axes.
        pixels: (B, H, W, 2) where the camera has it.
        camera: The camera.
        poses: (B, 4, 4) camera_from_head.
    """
    x = (pixels[..., 0] - camera.cx) / camera.fx
    y = (pixels[..., 1] - camera.cy) / camera.fy
    outwards = torch.einsum("bij,bjhw->bihw", poses[:, :3, :3], normals)
    along = outwards[:, 0] * x + outwards[:, 1] * y + outwards[:, 2]
    return -along / (1 + x.square() + y.square()).sqrt() / outwards.square().sum(dim=1).sqrt().clamp(min=1e-6)


def _splat(places: Tensor, carried: tuple[Tensor, ...], camera: Intrinsics, poses: Tensor) -> Tensor:
    """Depth and coverage, as in :class:`SurfaceBuffers`, and the attributes (n, c) that points (n, 3) carry, splatted
    at the size of a picture: (B, 2 + C, H, W).
    """
    coarse = _coarser(camera)
    return _enlarge(torch.stack([_nearest(places, carried, coarse, pose) for pose in poses]), camera)


def _nearest(places: Tensor, carried: tuple[Tensor, ...], camera: Intrinsics, pose: Tensor) -> Tensor:
    """The z-buffer (1 + C, H, W) of points (n, 3) under a pose (4, 4): depth, and what the nearest of them carry. Each
    counts for the four cells around it; the surface is where a cell holds one.
    """
    width, height = camera.width, camera.height
    focal, centre = places.new_tensor([camera.fx, camera.fy]), places.new_tensor([camera.cx, camera.cy])

    def project(part: slice) -> tuple[Tensor, Tensor]:
        """Pixels (k, 2) and depths (k,)."""
        placed = places[part] @ pose[:3, :3].T + pose[:3, 3]
        depth = placed[:, 2].clamp(min=1.0)
        return placed[:, :2] / depth[:, None] * focal + centre, depth

    def splat() -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
        """Which points, their depths (k,), and their place and weight in a cell; all of them in each of four cells."""
        for right in (0, 1):
            for low in (0, 1):
                for part in in_bands(len(places), 1):
                    pixels, depth = project(part)
                    corner = (pixels - 0.5).floor()
                    across, down = (pixels - 0.5 - corner).unbind(-1)
                    x, y = corner.long().unbind(-1)
                    weight = (across if right else 1 - across) * (down if low else 1 - down)
                    column, row = x + right, y + low
                    shown = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (weight > _LEAST_WEIGHT)
                    yield part, depth, torch.where(shown, row * width + column, 0), weight * shown

    near = places.new_full((height * width,), torch.inf)
    for _, depth, place, weight in splat():
        near.scatter_reduce_(0, place, torch.where(weight > 0, depth, torch.inf), "amin")
    sums = places.new_zeros(height * width, 2 + sum(each.shape[1] for each in carried))
    for part, depth, place, weight in splat():
        front = weight * (depth < near[place] * (1 + _THICKNESS))
        values = torch.cat([torch.ones_like(depth)[:, None], depth[:, None], *(each[part] for each in carried)], dim=1)
        sums.index_add_(0, place, values * front[:, None])
    held = torch.zeros_like(near)
    for part in in_bands(len(places), 1):
        pixels, _ = project(part)
        x, y = pixels.long().unbind(-1)
        shown = (pixels >= 0).all(dim=-1) & (x < width) & (y < height)
        held.index_fill_(0, torch.where(shown, y * width + x, 0), 1.0)
    layers = sums.new_empty(sums.shape[1] - 1, height, width)
    for rows in in_bands(height, width):
        begin, end = max(rows.start - 1, 0), min(rows.stop + 1, height)
        cells = slice(begin * width, end * width)
        around = (sums[cells] * held[cells, None]).T.reshape(-1, end - begin, width)
        layers[:, rows] = _close(around)[:, rows.start - begin : rows.stop - begin]
    return layers


def _close(sums: Tensor) -> Tensor:
    """Weighted means (C, H, W) of sums (1 + C, H, W), the first the weights, without cracks: a cell with more than half
    of its neighbours gets their mean.
    """
    known = (sums[:1] > 0).to(sums)
    means = sums[1:] / sums[:1].clamp(min=1e-6)
    around = functional.avg_pool2d(torch.cat([known, means])[None], 3, stride=1, padding=1)[0]
    crack = (known == 0) & (around[:1] > _CRACK)
    return torch.where(crack, around[1:] / around[:1].clamp(min=1e-6), means)


def _coarser(camera: Intrinsics) -> Intrinsics:
    """A camera with the same view and fewer pixels, rounded up."""
    width, height = -(-camera.width // _COARSER), -(-camera.height // _COARSER)
    fx, fy, cx, cy = (value / _COARSER for value in (camera.fx, camera.fy, camera.cx, camera.cy))
    return Intrinsics(fx, fy, cx, cy, width, height)


def _enlarge(layers: Tensor, camera: Intrinsics) -> Tensor:
    """Z-buffers (B, 1 + C, h, w) at the size of a picture, with their coverage: (B, 2 + C, H, W). Between a near and a
    far surface there is nothing to interpolate: there each pixel gets its own cell's depth.
    """
    height = layers.shape[-2]
    result = layers.new_empty(len(layers), 1 + layers.shape[1], camera.height, camera.width)
    for rows in in_bands(camera.height, camera.width):
        first, last = rows.start // _COARSER, -(-rows.stop // _COARSER)
        begin, end = max(first - 1, 0), min(last + 1, height)
        grown, soft = _grown(layers, begin, end)
        shown = slice(rows.start - _COARSER * begin, rows.stop - _COARSER * begin)
        coverage, smooth, own = (
            functional.interpolate(planes, scale_factor=_COARSER, mode=mode)[..., shown, : camera.width]
            for planes, mode in ((soft, "bilinear"), (grown, "bilinear"), (grown[:, :1], "nearest"))
        )
        depth = torch.where((smooth[:, :1] - own).abs() < _THICKNESS * own, smooth[:, :1], own)
        result[..., rows, :] = torch.cat([depth * (coverage > 0), coverage, smooth[:, 1:]], dim=1)
    return result


def _grown(layers: Tensor, begin: int, end: int) -> tuple[Tensor, Tensor]:
    """Some rows of z-buffers (B, 1 + C, h, w), carried on by a cell beyond the surface, and their coverage with a soft
    edge (B, 1, rows, w).
    """
    top = max(begin - 1, 0)
    part = layers[..., top : end + 1, :]
    covered = (part[:, :1] > 0).to(part)
    around = functional.avg_pool2d(torch.cat([covered, part], dim=1), 3, stride=1, padding=1)
    grown = torch.where(covered > 0, part, around[:, 1:] / around[:, :1].clamp(min=1e-6))
    soft = functional.avg_pool2d(covered, 3, stride=1, padding=1, count_include_pad=False)
    soft = ((soft - _EDGE[0]) / (_EDGE[1] - _EDGE[0])).clamp(0, 1)
    return grown[..., begin - top : end - top, :], soft[..., begin - top : end - top, :]
