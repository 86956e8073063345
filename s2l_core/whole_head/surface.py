"""The surface of a head: the canonical depth in front, continued behind its outline as the average head is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_filter1d, map_coordinates
from torch import Tensor
from torch.nn import functional

from ..canonical.view import CanonicalHead
from ..errors import HeadOutOfView
from ..geometry.camera import Array, Intrinsics, Rectangle, invert_pose, project, transform, unproject
from ..geometry.mapping import pixel_grid
from ..geometry.splatting import Points, in_bands
from .head_profile import recede

_OUTLINE = 0.4
"""Level of the smoothed mask at the outline of the head, slightly outside, so that its soft edge is included."""
_SMOOTH = 1.5
"""Standard deviation of the Gaussian that smooths the outline, in canonical pixels."""
_FINE = 4
"""Factor by which the mask is upsampled to trace its outline."""
_INSIDE = 0.5
"""Distance inwards from the outline, in pixels, at which its depth is sampled."""
_RIM, _DROP = 0.06, 0.2
"""Distance from the outline at which the surface begins to curve away, and its depth at the outline, relative to the
radius of the head. The learned depth is too smooth to curve within a few pixels.
"""
_ALONG = 6.0
"""Standard deviation, in pixels along the outline, of the Gaussian that smooths its depth."""
_STEPS = 16
"""Number of rows of points behind the outline."""
_MERGED = 0.1
"""Standard deviation of the Gaussian that smooths the last row of these points along the outline, relative to the
radius of the head. It increases from row to row.
"""
_REFLECTED = 0.12
"""Distance inside of the outline, relative to that behind it along the arc, at which the front has the colour that is
expected there. It is smaller, since the front recedes at its outline.
"""
_MARGIN, _BLOCK, _AROUND = 8, 8, 0.04
"""Least margin around the head in a picture, and the multiple to which its rectangle is rounded, in pixels, and the
margin relative to the larger side.
"""
_SPACING = 0.75
"""Largest distance of points in pixels if the surface faces the camera. On oblique parts it is larger, which the
z-buffer tolerates.
"""
_FRACTIONAL, _STEPS_OF_FACTOR = (2, 4), 4
"""Factors between which the front is not upsampled by whole numbers, and the number of steps between two of these. With
fewer points, the outline of heads in small pictures would be ragged.
"""
_WHOLE = 1e-6
"""Share of a step by which rounding may miss the last row."""
_CLOSE = 8
"""Upsampling factor from which points outside the picture are culled first."""
_MOST_POINTS, _POINTS_OF_PIXEL = 20_000_000, 16
"""Largest number of points of a picture: a constant, and an addition per pixel."""


class _Kept(NamedTuple):
    """Points of both grids, upsampled by a factor, with these colours."""

    finer: float
    front: Tensor
    side: Tensor
    points: Points


class HeadSurface:
    """Points of a head in two grids: the *front*, which the canonical view shows, and the *side*, rows of points that
    continue from its outline backwards and inwards as the average head does.

    Args:
        head: The head, with its depth.

    Attributes:
        front: float32 (3, h, w) in head axes, millimetres.
        inside: float32 (h, w) in [0, 1], coverage of each pixel by the head.
        side: float32 (3, rows, n) in head axes. The first row is the outline; the last column repeats the first one.
        front_colours, side_colours: float32 (3, h, w) and (3, rows, n) in [0, 1]; grey until they are set.
        opposite: float32 (rows, n, 2), for each point of the side the pixel of the front, in the rectangle of the view,
            that is as far from the outline on its other side.
        front_normals, side_normals: float32 (3, h, w) and (3, rows, n), unit vectors out of the surface.
    """

    def __init__(self, head: CanonicalHead) -> None:
        view, device = head.view, head.view.depth.device
        head_from_camera = invert_pose(view.pose.cpu().double().numpy())
        depth = view.depth.cpu().double().numpy() + _roundness(head)
        soft = gaussian_filter(head.mask.cpu().numpy().astype(np.float64), _SMOOTH)
        front = unproject(pixel_grid(view.rectangle).numpy(), depth, view.intrinsics)
        side = _behind_outline(head, depth, soft)

        def stored(points: NDArray[np.float64]) -> Tensor:
            return torch.tensor(transform(points, head_from_camera), dtype=torch.float32, device=device).movedim(-1, 0)

        self.front, self.side = stored(front), stored(side[0])
        self.opposite = torch.tensor(side[1], dtype=torch.float32, device=device)
        self.inside = torch.tensor(soft, dtype=torch.float32, device=device)
        self.front_colours, self.side_colours = torch.full_like(self.front, 0.5), torch.full_like(self.side, 0.5)
        self.front_normals, self.side_normals = _normals(self.front), _normals(self.side)
        places = torch.cat([self.front[:, self.inside > _OUTLINE], self.side.flatten(1)], dim=1)
        self._places = places.T.cpu().double().numpy()
        self._reach = float(self.front.norm(dim=0)[self.inside > _OUTLINE].max())
        self._kept: _Kept | None = None
        self._spacing = float((self.front[:, 1:, 1:] - self.front[:, :-1, :-1]).norm(dim=0).median()) / math.sqrt(2)

    def points(self, camera: Intrinsics, poses: Tensor) -> Points:
        """See :class:`s2l_core.geometry.splatting.Surface`. At a very small distance, points outside the picture are
        left out.

        Raises:
            HeadOutOfView: The camera shows a part so small that the head has no detail there.
        """
        nearest = float(poses[:, 2, 3].min()) - self._reach
        apart = camera.fx * self._spacing / max(nearest, 1.0)
        wanted = max(1.0, apart / _SPACING)
        steps = _STEPS_OF_FACTOR if _FRACTIONAL[0] < wanted < _FRACTIONAL[1] else 1
        finer = math.ceil(steps * wanted) / steps
        if finer <= _CLOSE:
            return self._whole(finer)
        front, side = (_within_sight(grid, camera, poses, 2 * _SPACING * finer) for grid in self._grids())
        points = (front[0].numel() + side[0].numel()) * finer**2
        if points > _MOST_POINTS + _POINTS_OF_PIXEL * camera.width * camera.height:
            raise HeadOutOfView("The camera shows too small a part of the head.", "Use a shorter focal length.")
        return _points(front, side, finer)

    def _grids(self) -> tuple[Tensor, Tensor]:
        """Positions, normals and colours of front and side, (9, ...); those of the front with ``inside``."""
        front = torch.cat([self.front, self.front_normals, self.front_colours, self.inside[None]])
        return front, torch.cat([self.side, self.side_normals, self.side_colours])

    def _whole(self, finer: float) -> Points:
        """All points of the grids, upsampled by a factor. Those of the last call are kept: the next frame has them,
        too.
        """
        kept = self._kept
        if (
            kept is None
            or kept.finer != finer
            or kept.front is not self.front_colours
            or kept.side is not self.side_colours
        ):
            kept = self._kept = _Kept(finer, self.front_colours, self.side_colours, _points(*self._grids(), finer))
        return kept.points

    def rectangle(self, camera: Intrinsics, pose: Array) -> Rectangle:
        """The rectangle of a picture that shows the head in a pose (4, 4) camera_from_head; it may be empty. It is
        aligned to blocks of 8 pixels, so that z-buffers of the rectangle and of the whole picture have the same cells.
        """
        pixels = project(self._places, pose, camera)
        margin = max(_MARGIN, _AROUND * float(np.ptp(pixels, axis=0).max()))
        left, top = (max(0, math.floor((value - margin) / _BLOCK)) * _BLOCK for value in pixels.min(axis=0))
        right, bottom = (math.ceil((value + margin) / _BLOCK) * _BLOCK for value in pixels.max(axis=0))
        return Rectangle(left, top, max(0, min(right, camera.width) - left), max(0, min(bottom, camera.height) - top))


def _normals(grid: Tensor) -> Tensor:
    """Normals (3, h, w) of a grid of points, towards the side from which columns run to the right and rows
    downwards.
    """
    across, down = torch.gradient(grid, dim=(2, 1))
    return functional.normalize(torch.linalg.cross(down, across, dim=0), dim=0)


def _points(front: Tensor, side: Tensor, factor: float) -> Points:
    """Points of the grids, upsampled by a factor; of the front (10, h, w) only those inside of the head."""
    kept = [part[:9, part[9] > _OUTLINE] for part in _finer(front, factor)]
    kept += [part.flatten(1) for part in _finer(side, math.ceil(factor))]  # its rows are farther apart
    return Points(*(each.contiguous() for each in torch.cat(kept, dim=1).T.split(3, dim=1)))


def _finer(grid: Tensor, factor: float) -> Iterator[Tensor]:
    """Upsample a grid (C, h, w) bilinearly, in parts of some rows."""
    down, across = (
        torch.arange(math.floor((length - 1) * factor + _WHOLE) + 1, dtype=torch.float64) / factor
        for length in grid.shape[1:]
    )
    for rows in in_bands(len(down), len(across)):
        yield _between(_between(grid, down[rows], 1), across, 2)


def _between(grid: Tensor, places: Tensor, axis: int) -> Tensor:
    """A grid, sampled linearly at places (n,) float64 along an axis."""
    first = places.floor().clamp(max=grid.shape[axis] - 2).long()
    share = (places - first).to(grid).view(-1, *(1,) * (2 - axis))
    first = first.to(grid.device)
    return torch.lerp(grid.index_select(axis, first), grid.index_select(axis, first + 1), share)


def _within_sight(grid: Tensor, camera: Intrinsics, poses: Tensor, margin: float) -> Tensor:
    """The rows and columns of a grid (C, h, w) of points that are in view of a camera in any of the poses.

    Args:
        grid: The points; the first three channels are their positions in head axes.
        camera: Intrinsics of the camera.
        poses: float32 (B, 4, 4) camera_from_head.
        margin: Margin around the picture in pixels, larger than the distance of points.
    """
    x, y, depth = (poses[:, :3, :3] @ grid[:3].flatten(1) + poses[:, :3, 3:]).unbind(1)
    depth = depth.clamp(min=1.0)
    across, down = camera.fx * x / depth + camera.cx, camera.fy * y / depth + camera.cy
    inside = (across > -margin) & (across < camera.width + margin) & (down > -margin) & (down < camera.height + margin)
    seen = inside.any(dim=0).reshape(grid.shape[1:])
    if not seen.any():
        return grid[:, :2, :2]
    (top, bottom), (left, right) = (seen.any(dim=axis).nonzero()[[0, -1], 0].tolist() for axis in (1, 0))
    return grid[:, max(0, top - 1) : bottom + 2, max(0, left - 1) : right + 2]


def _radius(head: CanonicalHead) -> float:
    """Radius of the head in canonical pixels: that of a circle of equal area."""
    return math.sqrt(int(head.mask.sum()) / math.pi)


def _roundness(head: CanonicalHead) -> NDArray[np.float64]:
    """Millimetres (h, w) to add to the depth near the outline: a quarter of an ellipse."""
    mask, view, radius = head.mask.cpu().numpy(), head.view, _radius(head)
    inner = distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1] - 0.5
    share = 1.0 - np.clip(inner / (_RIM * radius), 0.0, 1.0)
    drop = _DROP * radius * float(view.depth[head.mask].median()) / view.intrinsics.fx
    return np.asarray(drop * (1.0 - np.sqrt(1.0 - share**2)))


def _behind_outline(
    head: CanonicalHead, depth: NDArray[np.float64], soft: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The side (rows, n, 3) in the axes of the canonical camera, and its ``opposite`` (rows, n, 2)."""
    view = head.view
    outline, inwards = _outline(soft)
    inner = outline + _INSIDE * inwards
    rim = map_coordinates(depth, inner[:, ::-1].T - 0.5, order=1, mode="nearest")
    rim = gaussian_filter1d(rim, _ALONG, mode="wrap")
    pixels = outline + [view.rectangle.left, view.rectangle.top]
    start = unproject(pixels, rim, view.intrinsics)
    away = _unit(start)
    middle = np.argwhere(head.mask.cpu().numpy()).mean(axis=0)[::-1] + 0.5
    towards = np.pad(_unit(middle - outline), ((0, 0), (0, 1)))
    towards -= (towards * away).sum(axis=-1, keepdims=True) * away
    radius = _radius(head)
    millimetres = radius * float(np.median(rim)) / view.intrinsics.fx
    backwards, inside, along = recede(np.arctan2(-towards[:, 1], -towards[:, 0]), _STEPS)[..., None]
    side = start + millimetres * (backwards * away + inside * towards)
    for row in range(1, _STEPS):  # what stands out of the outline, such as an ear, ends behind it
        side[row] = gaussian_filter1d(side[row], _MERGED * radius * row / _STEPS, axis=0, mode="wrap")
    opposite = outline + (_INSIDE + _REFLECTED * radius * along) * inwards
    return tuple(np.concatenate([each, each[:, :1]], axis=1) for each in (side, opposite))


def _outline(soft: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (n, 2) about a pixel apart on the outline of the head, and unit normals (n, 2) into it."""
    padded = np.pad(soft, 1).astype(np.float32)
    fine = cv2.resize(padded, None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_LINEAR)
    contours, _ = cv2.findContours((fine > _OUTLINE).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    longest = max(contours, key=len)[:, 0].astype(np.float64)
    smooth = gaussian_filter1d(longest, _SMOOTH * _FINE, axis=0, mode="wrap")[::_FINE]
    outline = (smooth + 0.5) / _FINE - 1.0
    ahead = np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0)
    normal = np.stack([-ahead[:, 1], ahead[:, 0]], axis=-1)
    area = 0.5 * np.sum(outline[:, 0] * np.roll(outline[:, 1], -1) - np.roll(outline[:, 0], -1) * outline[:, 1])
    return outline, math.copysign(1.0, area) * _unit(normal)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (n, 2 or 3) with a length of 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-9))
