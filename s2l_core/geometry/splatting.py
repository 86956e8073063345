"""Forward warping (paper section 5.4): rendering a surface that is known in one view for another camera.

The points of the surface are splatted into a z-buffer of the new image, in which the nearest ones are visible. The
z-buffer is coarser than the picture, since only depth and slowly changing attributes are splatted; colours are looked
up in the old view at the position that follows from the depth, which keeps them sharp. Parts of the surface that the
old view does not show become holes with their true shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from ..device import in_double
from ..events import checkpoint
from .camera import Intrinsics
from .mapping import map_pixels, pixel_grid, relative_pose, sample
from .outline import continued

_COARSER = 2
"""Side of a cell of the z-buffer in pixels of the picture."""
_BORDER = 2
"""Cells around the z-buffer in which points out of view are counted: the four cells around them must not be in view."""
_BAND_PIXELS = 1_000_000
"""Number of pixels that are computed together; in between, a job can be cancelled."""
_EDGE = (0.25, 0.75)
"""Share of covered cells in the neighbourhood at which the soft edge of the picture begins and ends."""
_CRACK = 0.5
"""Share of known cells in the neighbourhood above which a gap is a crack; next to the outline, it is smaller."""
_THICKNESS = 0.015
"""Distance behind a surface, relative to the depth, from which a point is hidden by it."""
_UNSURE, _LOST = 0.04, 0.1
"""Uncertainty of the outline in the observed frame, relative to the size of the surface, and limit by which a pixel may
have been nearer to the outline than in the new view: beyond it, its colour may be that of the background.
"""
_NEARER, _FARTHER = 0.5, 0.15
"""Differences of that position. Where a pixel just outside of the surface is farther inwards in the observed frame, by
up to the first value, its colour is not that of what is there: the surface turns away. Where a pixel is farther
outwards, by up to the second value, the outline in the frame is no longer one: the surface comes into view behind it.
"""
_LEAST_FACING = 0.05
"""Added to cosines before they are compared, since both are almost 0 next to the outline."""
_STRETCHED = (0.5, 0.8)
"""Ratio of the cosines of the angle to the surface in the observed frame and in the new view. Below the first value,
the observed colour is not used, since it would be stretched, and may be that of the background next to the outline;
above the second value, it is used fully.
"""


class Points(NamedTuple):
    """Points of a surface.

    Attributes:
        places: float (n, 3) positions in head axes, in millimetres.
        normals: float (n, 3) unit normals in head axes, which point outwards.
        colours: float (n, 3) colours in [0, 1].
    """

    places: Tensor
    normals: Tensor
    colours: Tensor


class Surface(Protocol):
    """A surface in head axes that provides points for rendering."""

    def points(self, camera: Intrinsics, poses: Tensor) -> Points:
        """Points whose distance is less than a pixel for a camera and poses float (B, 4, 4) camera_from_head."""
        ...


class SurfaceBuffers(NamedTuple):
    """Buffers of a rendered surface.

    Attributes:
        depth: float (B, H, W) depth along the camera's z axis in millimetres, 0 for pixels without surface.
        normals: float (B, 3, H, W) normals of the surface in head axes.
        colours: float (B, 3, H, W) colours of the surface.
        coverage: float (B, H, W) share of the pixel that the surface covers, in [0, 1].
    """

    depth: Tensor
    normals: Tensor
    colours: Tensor
    coverage: Tensor


class Warped(NamedTuple):
    """Observed frames, warped to other cameras.

    Attributes:
        pictures: float (B, C, H, W) observed colours.
        seen: float (B, H, W) weight in [0, 1] with which the observed frame shows the surface: 0 in holes.
        beyond: float (B, H, W) weight in [0, 1] with which the observed frame shows what is just outside of the
            surface; 0 inside.
        outline: float (B, H, W) weight in [0, 1] with which an outline in the observed frame is one in the new view,
            too: 0 where more of the surface has come into view beyond it.
        buffers: The surface as rendered by the other cameras.
        source: float (B, H', W') share of each pixel of the observed frames that the surface covers, in [0, 1].
    """

    pictures: Tensor
    seen: Tensor
    beyond: Tensor
    outline: Tensor
    buffers: SurfaceBuffers
    source: Tensor

    @property
    def holes(self) -> Tensor:
        """Parts (B, H, W), in [0, 1], of the surface that the observed frame does not show."""
        return self.buffers.coverage * (1 - self.seen)


def render_surface(surface: Surface, camera: Intrinsics, poses: Tensor) -> SurfaceBuffers:
    """Render a surface into the buffers of a camera, for poses float (B, 4, 4) camera_from_head."""
    points = surface.points(_coarser(camera), poses)
    layers = _splat(points, True, camera, poses)
    return SurfaceBuffers(depth=layers[:, 0], normals=layers[:, 2:5], colours=layers[:, 5:], coverage=layers[:, 1])


def render_depth(surface: Surface, camera: Intrinsics, poses: Tensor) -> tuple[Tensor, Tensor]:
    """Depth and coverage (B, H, W) of a surface, as in :func:`render_surface`, for poses float (B, 4, 4)."""
    depth, coverage = _splat(surface.points(_coarser(camera), poses), False, camera, poses).unbind(1)
    return depth, coverage


def warp(
    surface: Surface,
    images: Tensor,
    observed: Intrinsics,
    poses: Tensor,
    camera: Intrinsics,
    new_poses: Tensor,
    beyond: float = 0.0,
) -> Warped:
    """Forward-warp observed frames.

    Args:
        surface: The surface in the frames.
        images: float (B, C, H', W') observed frames.
        observed: Camera of the observed frames.
        poses: float (B, 4, 4) camera_from_head of the observed frames.
        camera: The new camera.
        new_poses: float (B, 4, 4) camera_from_head for the new camera.
        beyond: Distance up to which the surface is continued beyond its outline in the new view, relative to its size.
    """
    buffers, around_outline = _beyond_outline(render_surface(surface, camera, new_poses), beyond)
    depth, coverage = render_depth(surface, observed, poses)
    around = functional.max_pool2d(coverage[:, None], 5, stride=1, padding=2)[:, 0]
    layers = torch.stack([depth * coverage, coverage, around, _depth_inside(coverage)], dim=1)
    inwards, relative = _depth_inside(buffers.coverage), relative_pose(poses, new_poses)
    seen, outline = torch.empty_like(buffers.depth), torch.empty_like(buffers.depth)
    pictures = seen.new_empty(len(seen), images.shape[1], *seen.shape[1:])
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
        nearer = within - inwards[:, rows]
        around_outline[:, rows] *= (2 - 2 * covered).clamp(max=1) * (1 - nearer / _NEARER).clamp(0, 1)
        outline[:, rows] = (1 + nearer / _FARTHER).clamp(0, 1)
        seen[:, rows] = stretched * (old.valid & inside & ~hidden)
        pictures[..., rows, :] = sample(images, old.pixels)
    return Warped(pictures, seen, around_outline, outline, buffers, coverage)


def _beyond_outline(buffers: SurfaceBuffers, reach: float) -> tuple[SurfaceBuffers, Tensor]:
    """Buffers that are continued beyond the outline, and weights: see :func:`.outline.continued`. Coverage stays."""
    if not reach:
        return buffers, torch.zeros_like(buffers.coverage)
    planes = torch.cat([buffers.depth[:, None], buffers.normals, buffers.colours], dim=1)
    planes, weights = continued(planes, buffers.coverage, reach)
    return SurfaceBuffers(planes[:, 0], planes[:, 1:4], planes[:, 4:], buffers.coverage), weights


def in_bands(length: int, across: int) -> Iterator[slice]:
    """Split ``length`` rows of ``across`` pixels into bands of at most a million pixels. A cancelled job stops between
    them.
    """
    size = max(1, _BAND_PIXELS // max(across, 1) // 2 * 2)
    for first in range(0, length, size):
        checkpoint()
        yield slice(first, min(first + size, length))


def _depth_inside(coverage: Tensor) -> Tensor:
    """Depth of pixels inside of the outline, (B, H, W): 0.5 on it, and 1 at a small share of the surface's size."""
    reach = max(1, round(_UNSURE * float(coverage.sum(dim=(-2, -1)).mean()) ** 0.5))
    columns = torch.empty_like(coverage)
    for part in in_bands(coverage.shape[-1], coverage.shape[-2]):
        columns[..., part] = _running_mean(coverage[..., part].mT, reach).mT
    means = torch.empty_like(coverage)
    for part in in_bands(coverage.shape[-2], coverage.shape[-1]):
        means[..., part, :] = _running_mean(columns[..., part, :], reach)
    return means


def _running_mean(values: Tensor, reach: int) -> Tensor:
    """Running mean of values (..., n) over ``reach`` values on either side; beyond the ends, they are 0."""
    sums = functional.pad(in_double(values).cumsum(dim=-1), (1, 0))
    places = torch.arange(values.shape[-1], device=sums.device)
    last, first = (places + reach + 1).clamp(max=values.shape[-1]), (places - reach).clamp(min=0)
    return ((sums[..., last] - sums[..., first]) / (2 * reach + 1)).to(values)


def facing(normals: Tensor, pixels: Tensor, camera: Intrinsics, poses: Tensor) -> Tensor:
    """Cosine float (B, H, W) of the angle between the ray of the camera and the normal of a surface: 1 for a surface
    that faces the camera, and 0 for one that is seen edge-on.

    Args:
        normals: float (B, 3, H, W) normals in head axes.
        pixels: float (B, H, W, 2) positions in the image.
        camera: The camera.
        poses: float (B, 4, 4) camera_from_head.
    """
    x = (pixels[..., 0] - camera.cx) / camera.fx
    y = (pixels[..., 1] - camera.cy) / camera.fy
    outwards = torch.einsum("bij,bjhw->bihw", poses[:, :3, :3], normals)
    along = outwards[:, 0] * x + outwards[:, 1] * y + outwards[:, 2]
    return -along / (1 + x.square() + y.square()).sqrt() / outwards.square().sum(dim=1).sqrt().clamp(min=1e-6)


def _splat(points: Points, with_attributes: bool, camera: Intrinsics, poses: Tensor) -> Tensor:
    """Splat points, and resize the result to the picture: depth and coverage, as in :class:`SurfaceBuffers`, and, if
    wanted, normals and colours: (B, 2 or 8, H, W).
    """
    coarse = _coarser(camera)
    return _enlarge(torch.stack([_nearest(points, with_attributes, coarse, pose) for pose in poses]), camera)


class _Cells(NamedTuple):
    """Points in cells of a z-buffer that is wider by ``_BORDER`` cells on each side, where points out of view are.

    Attributes:
        first: int64 (k,) index of the upper left one of the four cells around a point.
        along: float (k, 2) distance from its middle, in [0, 1] cells to the right and down.
        values: float (k, 2 + C) the number 1, the depth, and attributes.
    """

    first: Tensor
    along: Tensor
    values: Tensor


def _nearest(points: Points, with_attributes: bool, camera: Intrinsics, pose: Tensor) -> Tensor:
    """The z-buffer (1 or 7, H, W) of points with a pose (4, 4): depth, and normals and colours of the nearest points.
    Each point contributes to the four cells around it; a cell is covered if it contains one.
    """
    count, width, height = len(points.places), camera.width + 2 * _BORDER, camera.height + 2 * _BORDER

    def compute() -> Iterator[_Cells]:
        return (_in_cells(points, part, with_attributes, camera, pose) for part in in_bands(count, 1))

    parts = list(compute()) if count <= _BAND_PIXELS else None  # more are not kept
    near = pose.new_full((height * width,), torch.inf)
    for cells in parts or compute():
        near.scatter_reduce_(0, cells.first, cells.values[:, 1], "amin")
    near = _least_around(near.view(height, width)).flatten() * (1 + _THICKNESS)
    sums = near.new_zeros(height * width, 8 if with_attributes else 2)
    held = torch.zeros_like(near)
    for cells in parts or compute():
        across, down = cells.along.unbind(-1)
        for right in (0, 1):
            for low in (0, 1):
                place = cells.first + (low * width + right)
                weight = (across if right else 1 - across) * (down if low else 1 - down)
                weight = weight * (cells.values[:, 1] < near[place])
                sums.index_add_(0, place, cells.values * weight[:, None])
        to_right, to_low = (cells.along >= 0.5).long().unbind(-1)
        held.index_fill_(0, cells.first + to_low * width + to_right, 1.0)
    sums *= held[:, None]
    inner = slice(_BORDER, -_BORDER)
    return _close(sums.T.reshape(-1, height, width)[:, inner, inner])


def _in_cells(points: Points, part: slice, with_attributes: bool, camera: Intrinsics, pose: Tensor) -> _Cells:
    """Cells of some points."""
    placed = points.places[part] @ pose[:3, :3].T + pose[:3, 3]
    depth = placed[:, 2].clamp(min=1.0)
    focal, centre = placed.new_tensor([camera.fx, camera.fy]), placed.new_tensor([camera.cx, camera.cy])
    position = placed[:, :2] / depth[:, None] * focal + (centre - 0.5)
    corner = position.floor()
    limits = placed.new_tensor([camera.width, camera.height])
    x, y = (corner.clamp(min=-_BORDER).minimum(limits) + _BORDER).long().unbind(-1)
    attributes = (points.normals[part], points.colours[part]) if with_attributes else ()
    values = torch.cat([torch.ones_like(depth)[:, None], depth[:, None], *attributes], dim=1)
    return _Cells(y * (camera.width + 2 * _BORDER) + x, position - corner, values)


def _least_around(depth: Tensor) -> Tensor:
    """The least depth (H, W) of points in a cell, if (H, W) are those of the points whose upper left cell it is."""
    across = depth.clone()
    torch.minimum(depth[:, 1:], depth[:, :-1], out=across[:, 1:])
    both = across.clone()
    torch.minimum(across[1:], across[:-1], out=both[1:])
    return both


def _close(sums: Tensor) -> Tensor:
    """Weighted means (C, H, W) of sums (1 + C, H, W), of which the first are the weights. Cracks are closed: an empty
    cell with more than half of its neighbours gets their mean.
    """
    known = (sums[:1] > 0).to(sums)
    means = sums[1:] / sums[:1].clamp(min=1e-6)
    around = _around(torch.cat([known, means]))
    crack = (known == 0) & (around[:1] > _CRACK)
    return torch.where(crack, around[1:] / around[:1].clamp(min=1e-6), means)


def _around(planes: Tensor) -> Tensor:
    """Means of planes (..., h, w) over three by three pixels, with zeros beyond the borders. Sums over rows and columns
    take a fifth of the time of ``avg_pool2d``.
    """
    padded = functional.pad(planes, (1, 1, 1, 1))
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9


def _coarser(camera: Intrinsics) -> Intrinsics:
    """A camera with the same view and fewer pixels, rounded up."""
    width, height = -(-camera.width // _COARSER), -(-camera.height // _COARSER)
    fx, fy, cx, cy = (value / _COARSER for value in (camera.fx, camera.fy, camera.cx, camera.cy))
    return Intrinsics(fx, fy, cx, cy, width, height)


def _enlarge(layers: Tensor, camera: Intrinsics) -> Tensor:
    """Resize z-buffers (B, 1 + C, h, w) to the picture, with coverage: (B, 2 + C, H, W). At a step between a near and a
    far surface, depth is not interpolated, but taken from the cell of the pixel.
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
    """Rows of z-buffers (B, 1 + C, h, w), extended by a cell beyond the surface, and their coverage with a soft edge,
    (B, 1, rows, w).
    """
    top = max(begin - 1, 0)
    part = layers[..., top : end + 1, :]
    covered = (part[:, :1] > 0).to(part)
    around = _around(torch.cat([covered, part], dim=1))
    grown = torch.where(covered > 0, part, around[:, 1:] / around[:, :1].clamp(min=1e-6))
    soft = functional.avg_pool2d(covered, 3, stride=1, padding=1, count_include_pad=False)
    soft = ((soft - _EDGE[0]) / (_EDGE[1] - _EDGE[0])).clamp(0, 1)
    return grown[..., begin - top : end - top, :], soft[..., begin - top : end - top, :]
