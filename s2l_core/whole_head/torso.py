"""Neck and shoulders: a layer between head and background, with a rounded depth, whose neck bends with the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor
from torch.nn import functional

from ..footage import Footage
from ..geometry.camera import Array, Intrinsics, Rectangle, invert_pose, project, unproject
from ..geometry.mapping import CanonicalView, canonical_from_observed, pixel_grid, sample
from ..geometry.splatting import in_bands
from .beyond import ever_smoother, outside, sample_blurred

Plane = NDArray[np.float32]

_LONGEST_SIDE = 192
"""Longer side of the depth map in pixels."""
_BESIDE, _BELOW = 0.5, 1.0
"""Size of the depth map beside and above the image, and below it, as a share of the image."""
_SHOULDER = 110.0
"""Millimetres from a border of the image that cuts off a shoulder to the end of the arm, which falls vertically."""
_SIDES, _STEEPEST = 0.08, 1.0
"""Share of the image at its borders in which the slope of a shoulder is measured, and its limit."""
_END = 0.06
"""Share of the distance to the end of the arm over which the arm fades out."""
_SHARP, _SLOWLY = 0.03, 0.1
"""Distance from the border up to which the blur of what continues beyond it grows, as a share of the image's width, and
share of its growth from there on: clothes keep their edges.
"""
_AXIS, _RADIUS = 75.0, 65.0
"""Millimetres from the head's origin back to the axis of the neck, and radius of the neck."""
_SMOOTHED = 12.0
"""Standard deviation, in millimetres, of the smoothing of the depth."""
_STRIDE, _KNOWN = 4, 0.999
"""Every so many rows and columns of a picture, the surface is searched for, which is smooth; in between, positions are
interpolated, if all those around are known.
"""
_SAME = 1e-6
"""Difference of poses below which the head has not been turned."""
_NECK = 30.0
"""Millimetres below the chin from which the torso no longer follows the head: a collar stays. With 110 mm, around the
heads of the rendered speakers, turned by 10 degrees, PSNR is lower by 2 to 7 dB.
"""


@dataclass(frozen=True)
class Torso:
    """Neck and shoulders of a clip. Its axes are those of the footage's camera.

    Attributes:
        view: Depth of the surface; the rectangle is larger than the image.
        mask: bool (h, w), pixels of the depth map that usually show neck and shoulders, or the mouth and what is below
            it.
        chin: Height of the chin in head axes in millimetres.
        slopes: Rows by which the outlines of the left and right shoulder in the image fall per column, at the borders
            of the image.
        arm: Columns of the depth map's camera from a border of the image to the end of an arm.
    """

    view: CanonicalView
    mask: NDArray[np.bool_]
    chin: float
    slopes: tuple[float, float]
    arm: float

    def rendered(self, layer: Tensor, camera: Intrinsics, pose: Array, head: Array, moved_head: Array) -> Tensor:
        """Render a frame's torso for another camera: float32 (C, h, w). Beyond the frame, it continues: see
        :meth:`_beyond`.

        Args:
            layer: float32 (C, H, W) colours and matte of the torso in the frame.
            camera: The new camera.
            pose: float64 (4, 4) camera_from_footage.
            head: float64 (4, 4) pose of the head in the frame.
            moved_head: float64 (4, 4) pose of the head for the new camera. The neck bends towards it.
        """
        device, (height, width) = layer.device, layer.shape[-2:]
        result = layer.new_zeros(len(layer), camera.height, camera.width)
        shown = (layer[-1] > 0).any(dim=1).nonzero()
        if not len(shown):
            return result
        seen = self._sight(camera, pose, head, moved_head, device)
        scale = layer.new_tensor([width / self.view.intrinsics.width, height / self.view.intrinsics.height])
        smoother: list[Tensor] = []
        for rows in in_bands(camera.height, camera.width):
            pixels = pixel_grid(replace(camera.rectangle, top=rows.start, height=rows.stop - rows.start), device)
            coarse = _resized(pixels.movedim(-1, 0), [-(-length // _STRIDE) + 1 for length in pixels.shape[:2]])
            places, known = seen(coarse.movedim(0, -1))
            lower = (places[..., 1] * scale[1] > float(shown[0, 0]) - 1).any(dim=1).nonzero()
            if not len(lower):
                continue
            finer = _resized(torch.cat([places.movedim(-1, 0), known[None]]), list(pixels.shape[:2]))
            first = max(0, (int(lower[0, 0]) - 1) * _STRIDE)
            finer = finer[:, first:]
            pixels = finer[:2].movedim(0, -1) * scale
            colours = sample(layer[None], pixels[None], padding="border")[0]
            if (beyond := outside(pixels, width, height) & (finer[2] > _KNOWN)).any():
                smoother = smoother or ever_smoother(torch.cat([layer[:-1] * layer[-1:], layer[-1:]]))
                colours[:, beyond] = self._beyond(smoother, pixels[beyond], float(scale[0]))
            result[:, rows.start + first : rows.stop] = colours * (finer[2:] > _KNOWN)
        return result

    def _beyond(self, smoother: list[Tensor], pixels: Tensor, scale: float) -> Tensor:
        """Colours and matte (C, n) beyond the borders of a frame: below it, the torso continues downwards; beside it,
        the shoulders fall until they end.

        Args:
            smoother: The frame's layer, multiplied by its matte, see :func:`ever_smoother`.
            pixels: float32 (n, 2) positions in the frame.
            scale: Pixels of the frame for a pixel of the depth map's camera.
        """
        height, width = smoother[0].shape[1:]
        inside = pixels.clamp(min=0).minimum(pixels.new_tensor([width, height]))
        past = (pixels - inside).abs()
        across, arm = past[:, 0], self.arm * scale
        slope = pixels.new_tensor(self.slopes)[(pixels[:, 0] > 0).long()]
        round_off = 1 - (1 - (across / arm).clamp(max=1).square()).sqrt()
        places = torch.stack([inside[:, 0], inside[:, 1] - slope * across - arm * round_off], dim=-1)
        distance, limit = past.norm(dim=-1), _SHARP * width
        found = sample_blurred(smoother, places, limit * (1 - (-distance / limit).exp()) + _SLOWLY * distance)
        shown = ((1 - across / arm) / _END).clamp(0, 1)
        return torch.cat([found[:-1] / found[-1:].clamp(min=1e-6), found[-1:] * shown])

    def _sight(
        self, camera: Intrinsics, pose: Array, head: Array, moved_head: Array, device: torch.device
    ) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """A function from pixels (h, w, 2) of a camera to what they show: pixels (h, w, 2) of the depth map's camera,
        and 1 or 0 (h, w), whether they show anything.
        """
        view = replace(self.view, depth=self.view.depth.to(device), pose=self.view.pose.to(device))
        moved = moved_head @ invert_pose(head)
        bends = not np.allclose(moved, pose, atol=_SAME)
        poses = torch.tensor(np.stack([pose, moved] if bends else [pose]), dtype=torch.float32, device=device)
        follows = self._follows(head).to(device)[None, None] if bends else None

        def seen(pixels: Tensor) -> tuple[Tensor, Tensor]:
            found = canonical_from_observed(pixels, view, camera, poses)
            still, known = found.pixels[:1], found.valid[0].to(pixels)
            if follows is None:
                return still[0], known
            share = (sample(follows, still, view.rectangle, "border")[:, 0] * found.valid[1:])[..., None]
            return torch.where(share > 0, torch.lerp(still, found.pixels[1:], share), still)[0], known

        return seen

    def points(self) -> Array:
        """Points float64 (h, w, 3) of the depth map, in millimetres."""
        return self._points

    @cached_property
    def _points(self) -> Array:
        return unproject(
            pixel_grid(self.view.rectangle).double().numpy(), self.view.depth.numpy(), self.view.intrinsics
        )

    def _follows(self, head: Array) -> Tensor:
        """How much each pixel of the depth map follows the head: float32 (h, w) in [0, 1]."""
        head_from_camera = invert_pose(head)
        below = self._points @ head_from_camera[1, :3] + (head_from_camera[1, 3] - self.chin)
        share = (1 - below / _NECK).clip(0, 1)
        return torch.from_numpy((share * share * (3 - 2 * share)).astype(np.float32))


def _resized(planes: Tensor, size: list[int]) -> Tensor:
    """Resize planes (C, h, w) linearly, with aligned centres of the corner pixels."""
    return functional.interpolate(planes[None], size, mode="bilinear", align_corners=True)[0]


def make_torso(person: Plane, footage: Footage) -> Torso:
    """The torso of a clip.

    Args:
        person: float32 (H, W) typical matte of the person, from which the depth is computed.
        footage: The clip, with a tracked head.
    """
    track, layout = footage.track, footage.layout
    pose = np.median(track.poses[track.found], axis=0)
    mouth = project(track.shape[layout.mouth_corners], pose, track.intrinsics)[:, 1].mean() / track.intrinsics.height
    small = track.intrinsics.scaled(min(1.0, _LONGEST_SIDE / max(track.intrinsics.width, track.intrinsics.height)))
    inside = cv2.resize(person, (small.width, small.height), interpolation=cv2.INTER_AREA) > 0.5
    above, beside = (round(_BESIDE * length) for length in inside.shape)
    beyond = (above, round(_BELOW * small.height)), (beside, beside)
    below = np.arange(small.height)[:, None] > mouth * small.height
    mask, slopes = np.pad(inside & below, beyond), _slopes(inside & below)
    inside = np.pad(inside, beyond, mode="edge")
    axis = float(pose[2, 3]) + _AXIS
    millimetres = axis / small.fx
    inner = distance_transform_edt(inside) * millimetres
    share = 1.0 - np.minimum(inner / _RADIUS, 1.0)
    profile = gaussian_filter(np.sqrt(1.0 - np.square(share)), _SMOOTHED / millimetres, mode="nearest")
    rectangle = Rectangle(-beside, -above, inside.shape[1], inside.shape[0])
    surface = torch.from_numpy((axis - _RADIUS * profile).astype(np.float32))
    view = CanonicalView(surface, rectangle, small, torch.eye(4))
    return Torso(view, mask, float(track.shape[layout.chin, 1].max()), slopes, _SHOULDER / millimetres)


def _slopes(inside: NDArray[np.bool_]) -> tuple[float, float]:
    """Slopes, see :class:`Torso`, of the outline of a mask (h, w) at its left and right border; 0 where it does not
    reach the border.
    """
    count = max(2, round(_SIDES * inside.shape[1]))
    slopes = []
    for columns in (inside[:, :count], inside[:, -count:][:, ::-1]):
        steepness = 0.0
        if columns.any(axis=0).all():
            steepness = -float(np.polyfit(np.arange(count), columns.argmax(axis=0), 1)[0])
        slopes.append(float(np.clip(steepness, 0.0, _STEEPEST)))
    return slopes[0], slopes[1]
