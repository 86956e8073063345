"""What training and dubbing take from each observed frame: the region around the mouth, the canonical lips, and the
colours around them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import SpeakerFileBroken
from ..face.blocks import in_blocks
from ..face.layout import LandmarkLayout
from ..face.tracking import HeadTrack
from ..footage import Footage
from ..geometry.camera import Rectangle, invert_pose, project, transform, unproject
from ..geometry.mapping import CanonicalView, observed_from_canonical, pixel_grid, sample
from ..media.planes import Part
from .view import CanonicalFace

_MARGIN = 2
_STEP = 8
"""Sides of regions are multiples of this number of pixels, since Blend-Net halves them three times."""
_MOST_FRAMES = 2
"""Largest size of a region relative to that of the frames, from which a close-up of a mouth may extend."""


@dataclass(frozen=True)
class RegionPlan:
    """Position of the mouth region in each of N frames: rectangles of equal size.

    Attributes:
        corners: int64 (N, 2) left and top.
        width: Pixels, a multiple of 8.
        height: Pixels, a multiple of 8.
    """

    corners: NDArray[np.int64]
    width: int
    height: int

    def box(self, index: int, width: int, height: int) -> Rectangle:
        """The rectangle in frame ``index``, of a size in pixels, from which its region is cut."""
        size = np.array([width, height])
        first = np.clip(self.corners[index], 0, size - 1)
        last = np.clip(self.corners[index] + [self.width - 1, self.height - 1], 0, size - 1)
        (left, top), (across, down) = first.tolist(), (last - first + 1).tolist()
        return Rectangle(left, top, across, down)

    def cut(self, image: NDArray[np.uint8] | Part, index: int) -> NDArray[np.uint8]:
        """The region (height, width, 3) of frame ``index``, of which a part may be given that contains :meth:`box`.
        Outside the frame, its border is repeated.
        """
        part = image if isinstance(image, Part) else Part.of(image)
        (width, height), corner = part.size, self.corners[index]
        left, top = corner - [part.box.left, part.box.top]
        if (corner >= 0).all() and (corner + [self.width, self.height] <= [width, height]).all():
            return part.pixels[top : top + self.height, left : left + self.width]
        rows = np.clip(np.arange(self.height) + corner[1], 0, height - 1) - part.box.top
        columns = np.clip(np.arange(self.width) + corner[0], 0, width - 1) - part.box.left
        return part.pixels[rows[:, None], columns]

    def put(self, image: NDArray[Any], index: int, region: NDArray[Any], corner: tuple[int, int] = (0, 0)) -> None:
        """Write a region (height, width, ...) into frame ``index``, or into a part of it with a left and top
        ``corner``; what is outside of it is ignored.
        """
        left, top = self.corners[index] - corner
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + self.width, image.shape[1]), min(top + self.height, image.shape[0])
        if x0 < x1 and y0 < y1:
            image[y0:y1, x0:x1] = region[y0 - top : y1 - top, x0 - left : x1 - left]

    def grids(self, indices: NDArray[np.integer], device: torch.device) -> Tensor:
        """Pixel positions (B, height, width, 2) in the frames of the regions ``indices``."""
        x = torch.arange(self.width, device=device) + 0.5
        y = torch.arange(self.height, device=device) + 0.5
        corners = torch.as_tensor(self.corners[indices], dtype=torch.float32, device=device)
        return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1) + corners[:, None, None]


def plan_regions(face: CanonicalFace, track: HeadTrack) -> RegionPlan:
    """Plan mouth regions that contain the lip rectangle of every frame.

    Raises:
        SpeakerFileBroken: The lips are much larger than the frames, because they do not belong to the tracked head.
    """
    outline = _rectangle_in_frames(face.lips, track)
    corners, ends = np.floor(outline.min(axis=1)) - _MARGIN, np.ceil(outline.max(axis=1)) + _MARGIN
    sides = np.quantile(ends - corners, 0.99, axis=0)
    if not (sides <= _MOST_FRAMES * np.array([track.intrinsics.width, track.intrinsics.height]) + _STEP).all():
        raise SpeakerFileBroken("The lips of this speaker do not fit the head in the footage.")
    width, height = (int(-(-side // _STEP) * _STEP) for side in sides)
    middle = (corners + ends) / 2 - np.array([width, height]) / 2
    return RegionPlan(np.round(middle).astype(np.int64), width, height)


def mouth_boxes(face: CanonicalFace, track: HeadTrack) -> NDArray[np.float64]:
    """Left, top, right, bottom (N, 4) of ``face.mouth_box`` in every frame."""
    left, top, right, bottom = face.mouth_box
    corners = _in_frames(face.lips, track, np.array([[left, top], [right, top], [left, bottom], [right, bottom]]))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def lip_shapes(landmarks: NDArray[np.float32], track: HeadTrack, layout: LandmarkLayout) -> NDArray[np.float32]:
    """The outlines of the lips without the motion of the head: float32 (N, 2 L) in millimetres, NaN in frames without a
    face.
    """
    lips = np.concatenate([layout.lips_outer, layout.lips_inner])
    return without_head_motion(landmarks, track, lips).reshape(len(landmarks), -1)


def without_head_motion(
    landmarks: NDArray[np.float32], track: HeadTrack, which: NDArray[np.integer] | None = None
) -> NDArray[np.float32]:
    """Positions of landmarks (N, P, 3) in head axes, x and y only: float32 (N, P, 2) in millimetres, NaN in frames
    without a face. Each landmark is unprojected to its depth in the head shape, which preserves its motion across the
    face. With ``which`` (Q,), only these landmarks: (N, Q, 2).
    """
    chosen = slice(None) if which is None else which

    def moved(points: NDArray[np.float32], poses: NDArray[np.float64]) -> NDArray[np.float32]:
        depth = transform(track.shape[chosen], poses)[..., 2]
        camera = unproject(points[:, chosen, :2], depth, track.intrinsics)
        return transform(camera, invert_pose(poses))[..., :2].astype(np.float32)

    return in_blocks(moved, landmarks, track.poses)


def lip_shape_size(layout: LandmarkLayout) -> int:
    """Length of a lip shape of a layout."""
    return 2 * (len(layout.lips_outer) + len(layout.lips_inner))


@dataclass(frozen=True)
class Observation:
    """What training and dubbing take from a frame.

    Attributes:
        region: uint8 (height, width, 3) mouth region of the frame.
        lips: float32 (3, h, w) canonical lips, by O2C.
        surroundings: float32 (3, h', w') nose and cheeks in the canonical view.
    """

    region: NDArray[np.uint8]
    lips: Tensor
    surroundings: Tensor


class Observer:
    """Makes an :class:`Observation` of each frame of a clip.

    Args:
        face: The canonical view.
        footage: The clip.
        device: Device to compute on.
    """

    def __init__(self, face: CanonicalFace, footage: Footage, device: torch.device) -> None:
        self.plan = plan_regions(face, footage.track)
        self.poses = torch.tensor(footage.track.poses, dtype=torch.float32, device=device)
        self.intrinsics = footage.track.intrinsics
        self.face = face
        self._device = device

    def observe(self, part: Callable[[Rectangle], Part], index: int) -> Observation:
        """Observe frame ``index``, of which ``part`` gives the rectangle that is needed: that of the mouth region and
        of the pixels that the views show.
        """
        pose, size = self.poses[index : index + 1], (self.intrinsics.width, self.intrinsics.height)
        views = self.face.lips, self.face.surroundings
        lips, surroundings = (observed_from_canonical(view, self.intrinsics, pose).pixels for view in views)
        box = _around([lips, surroundings], self.plan.box(index, *size), *size)
        seen = part(box)
        picture = torch.from_numpy(seen.pixels).to(self._device).permute(2, 0, 1)[None].float() / 255
        return Observation(
            self.plan.cut(seen, index), *(sample(picture, pixels, seen.box)[0] for pixels in (lips, surroundings))
        )


def _around(positions: Sequence[Tensor], region: Rectangle, width: int, height: int) -> Rectangle:
    """The rectangle in a frame that contains another one, and the pixels from which colours at positions (..., 2) are
    interpolated.
    """
    flat = torch.cat([each.flatten(0, -2) for each in positions]).cpu().numpy()
    inside = flat[(flat >= -1).all(axis=1) & (flat <= [width + 1, height + 1]).all(axis=1)]
    corners = np.array([[region.left, region.top], [region.left + region.width, region.top + region.height]])
    reached = np.concatenate([np.floor(inside - 1), np.ceil(inside + 1), corners]).clip(0, [width, height])
    (left, top), (right, bottom) = (edge.astype(int).tolist() for edge in (reached.min(axis=0), reached.max(axis=0)))
    return Rectangle(left, top, right - left, bottom - top)


def regions_to_tensor(regions: Tensor) -> Tensor:
    """Convert regions uint8 (B, h, w, 3) to float32 (B, 3, h, w) in [0, 1]."""
    return regions.permute(0, 3, 1, 2).float() / 255


def sample_regions(regions: Tensor, corners: Tensor, pixels: Tensor) -> Tensor:
    """Sample colours (B, 3, h, w) at pixel positions of frames from their regions.

    Args:
        regions: float32 (B, 3, H, W) regions of the frames.
        corners: float32 (B, 2) left and top of the regions in their frames.
        pixels: float32 (B, h, w, 2) positions in the frames.
    """
    return sample(regions, pixels - corners[:, None, None], padding="border")


def _rectangle_in_frames(view: CanonicalView, track: HeadTrack) -> NDArray[np.float64]:
    grid = pixel_grid(view.rectangle).numpy()
    edge = np.concatenate([grid[0], grid[-1], grid[:, 0], grid[:, -1]])
    return _in_frames(view, track, edge)


def _in_frames(view: CanonicalView, track: HeadTrack, pixels: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pixels (P, 2) of the canonical view in every frame, (N, P, 2)."""
    columns = np.clip((pixels[:, 0] - view.rectangle.left).astype(int), 0, view.rectangle.width - 1)
    rows = np.clip((pixels[:, 1] - view.rectangle.top).astype(int), 0, view.rectangle.height - 1)
    depth = view.depth.cpu().numpy()[rows, columns]
    head = transform(unproject(pixels, depth, view.intrinsics), invert_pose(view.pose.cpu().numpy()))
    return project(head, track.poses, track.intrinsics)
