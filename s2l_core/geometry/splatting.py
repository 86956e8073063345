"""Forward warping (paper section 5.4): a head that is known from one view, as another camera sees it.

Where a pixel of the new view looks is not known beforehand, so points of the surface are thrown into the new image, and
the nearest wins: a z-buffer. It only has to tell which part of the surface is in front; from there the point that a
pixel sees is found on the pixel's ray, as in C2O. Colours are then looked up in the old view, which keeps them sharp,
and what the old view did not see comes out as a hole of the shape that it really has.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .camera import Intrinsics
from .mapping import NOWHERE, CanonicalView, RaySearch, map_pixels, pixel_grid, relative_pose, sample

_COARSER = 2
"""Pixels of the picture in one cell of the z-buffer."""
_SPACING = 0.75
"""Cells between neighbouring points at most, where the surface faces the camera."""
_STRETCH = 1.4
"""How much farther apart points come where the surface turns towards the camera."""
_LEAST_WEIGHT = 0.05
_CRACK = 0.5
"""Share of the cells around that are known beside a crack; beside the head's outline fewer are."""
_STEPS = 3
"""Of the search: two looks tell the rate, the third uses it."""
_THICKNESS = 0.03
"""Share of its depth by which a point must lie behind a surface to be hidden by it."""


class Sight(NamedTuple):
    """What a camera sees of a head.

    Attributes:
        canonical: (B, H, W, 2) where in the canonical image each pixel looks; far outside where it sees no head.
        depth: (B, H, W) millimetres along the camera's z axis, 0 where it sees no head.
        coverage: (B, H, W) in [0, 1], how much of the pixel the surface covers.
    """

    canonical: Tensor
    depth: Tensor
    coverage: Tensor


class Warped(NamedTuple):
    """Observed frames as other cameras see them.

    Attributes:
        pictures: (B, 3, H, W), zero where nothing is known.
        seen: bool (B, H, W), where there is a head that the observed frame shows.
        sight: What the other cameras see.
    """

    pictures: Tensor
    seen: Tensor
    sight: Sight


def splat_depth(view: CanonicalView, inside: Tensor, camera: Intrinsics, poses: Tensor) -> Tensor:
    """The depth of a head in other views, by a z-buffer.

    Args:
        view: The head, with its depth.
        inside: bool (h, w), which pixels of it belong to the surface.
        camera: Of the other views.
        poses: (B, 4, 4) camera_from_head.

    Returns:
        (B, H, W) millimetres along the camera's z axis, 0 where there is nothing.
    """
    relative = relative_pose(poses, view.pose)
    nearest = (poses[:, 2, 3].min() - view.pose[2, 3] + view.depth[inside].min()).clamp(min=1.0)
    growth = float(camera.fx / view.intrinsics.fx * view.depth[inside].median() / nearest)
    finer = max(1, math.ceil(growth * _STRETCH / _SPACING))
    layers = torch.cat([pixel_grid(view.rectangle, view.depth.device).movedim(-1, 0), view.depth[None]])
    fine, kept = (
        functional.interpolate(planes[None], scale_factor=finer, mode="bilinear", align_corners=False)[0]
        for planes in (layers, inside.to(layers)[None])
    )
    points = fine[:, kept[0] > 0.5]
    placed = map_pixels(points[:2].T[None], points[2:], view.intrinsics, camera, relative)
    return torch.stack([_nearest(*each, camera) for each in zip(placed.pixels[:, 0], placed.depth[:, 0], strict=True)])


def see(view: CanonicalView, inside: Tensor, camera: Intrinsics, poses: Tensor) -> Sight:
    """What cameras see of a head: the nearest surface by a coarse z-buffer, the very point by the search of C2O.

    Args:
        view: The head, with its depth.
        inside: bool (h, w), which pixels of it belong to the surface.
        camera: Of the other views.
        poses: (B, 4, 4) camera_from_head.
    """
    coarse = splat_depth(view, inside, _coarser(camera), poses)
    guess, coverage = _enlarge(coarse, camera)
    pixels, search = pixel_grid(camera.rectangle, view.depth.device), RaySearch(view, camera, poses)
    depth = search.run(pixels, _STEPS, guess)[:, 0]
    depth = torch.where((depth - guess).abs() < _THICKNESS * guess, depth, guess)
    canonical, _, _ = search.look(search.backward.directions(pixels), depth)
    seen = coverage > 0
    return Sight(torch.where(seen[..., None], canonical, NOWHERE), depth * seen, coverage)


def warp(
    view: CanonicalView,
    inside: Tensor,
    images: Tensor,
    observed: Intrinsics,
    poses: Tensor,
    camera: Intrinsics,
    new_poses: Tensor,
) -> Warped:
    """Forward-warp observed frames with the canonical depth.

    Args:
        view: The head, with its depth.
        inside: bool (h, w), which pixels of it belong to the head.
        images: (B, 3, H, W) observed frames.
        observed: Their camera.
        poses: (B, 4, 4) camera_from_head in them.
        camera: The new camera.
        new_poses: (B, 4, 4) camera_from_head there.
    """
    sight = see(view, inside, camera, new_poses)
    pixels = pixel_grid(camera.rectangle, view.depth.device)
    old = map_pixels(pixels, sight.depth, camera, observed, relative_pose(poses, new_poses))
    shown, _ = _enlarge(splat_depth(view, inside, _coarser(observed), poses), observed)
    front = sample(shown[:, None], old.pixels, padding="border")[:, 0]
    seen = old.valid & _inside(old.pixels, observed) & (old.depth < front * (1 + _THICKNESS))
    return Warped(sample(images, old.pixels, padding="border") * seen[:, None], seen, sight)


def _nearest(pixels: Tensor, depth: Tensor, camera: Intrinsics) -> Tensor:
    """The z-buffer (H, W) of points at pixels (n, 2) with depths (n,): each covers the four cells around it."""
    width, height = camera.width, camera.height
    corner = (pixels - 0.5).floor()
    share = pixels - 0.5 - corner
    x, y = corner.long().unbind(-1)
    near = depth.new_full((height * width,), torch.inf)
    places, weights = [], []
    for across in (0, 1):
        for down in (0, 1):
            weight = (share[:, 0] if across else 1 - share[:, 0]) * (share[:, 1] if down else 1 - share[:, 1])
            column, row = x + across, y + down
            shown = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (weight > _LEAST_WEIGHT)
            places.append((row * width + column)[shown])
            weights.append((weight[shown], depth[shown]))
            near.scatter_reduce_(0, places[-1], depth[shown], "amin")
    total, summed = torch.zeros_like(near), torch.zeros_like(near)
    for place, (weight, deep) in zip(places, weights, strict=True):
        share = weight * (deep < near[place] * (1 + _THICKNESS))
        total.scatter_add_(0, place, share)
        summed.scatter_add_(0, place, share * deep)
    return _close(torch.where(total > 0, summed / total.clamp(min=1e-6), 0.0).view(height, width))


def _close(depth: Tensor) -> Tensor:
    """A z-buffer (H, W) without cracks: a cell with more than half of its neighbours gets their mean."""
    known = (depth > 0).to(depth)
    sums = functional.avg_pool2d(torch.stack([depth, known])[None], 3, stride=1, padding=1)[0]
    return torch.where((depth == 0) & (sums[1] > _CRACK), sums[0] / sums[1].clamp(min=1e-6), depth)


def _coarser(camera: Intrinsics) -> Intrinsics:
    """A camera with the same view and fewer pixels, rounded up."""
    width, height = -(-camera.width // _COARSER), -(-camera.height // _COARSER)
    fx, fy, cx, cy = (value / _COARSER for value in (camera.fx, camera.fy, camera.cx, camera.cy))
    return Intrinsics(fx, fy, cx, cy, width, height)


def _enlarge(coarse: Tensor, camera: Intrinsics) -> tuple[Tensor, Tensor]:
    """A z-buffer (B, h, w) at the size of a picture: depth, and how much of each pixel is covered, (B, H, W)."""
    covered = (coarse > 0).to(coarse)[:, None]
    around = functional.avg_pool2d(torch.cat([coarse[:, None], covered], dim=1), 3, stride=1, padding=1)
    grown = torch.where(coarse > 0, coarse, around[:, 0] / around[:, 1].clamp(min=1e-6))
    rows, columns = camera.height, camera.width

    def enlarged(planes: Tensor, mode: str) -> Tensor:
        return functional.interpolate(planes, scale_factor=_COARSER, mode=mode)[:, 0, :rows, :columns]

    coverage = enlarged(covered, "bilinear")
    return enlarged(grown[:, None], "nearest"), coverage


def _inside(pixels: Tensor, camera: Intrinsics) -> Tensor:
    x, y = pixels.unbind(-1)
    return (x >= 0) & (x <= camera.width) & (y >= 0) & (y <= camera.height)
