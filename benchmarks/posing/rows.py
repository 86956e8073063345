"""The ways to turn a head that are compared: one frame of footage, with the head in another pose."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from s2l_core.canonical.view import CanonicalHead
from s2l_core.geometry.camera import Intrinsics, invert_pose, project, unproject
from s2l_core.geometry.mapping import (
    CanonicalView,
    canonical_from_observed,
    map_pixels,
    pixel_grid,
    relative_pose,
    sample,
)
from s2l_core.geometry.splatting import warp
from s2l_core.whole_head.surface import HeadSurface

from .likeness import Mask, Picture

Pose = NDArray[np.float64]
WITHOUT_NETWORKS = ("unwarped", "planar", "mesh_depth", "learned_depth")


@dataclass(frozen=True)
class Wanted:
    """A picture that is asked for.

    Attributes:
        frame: Index of the frame whose head is turned.
        source: That frame.
        new_pose: camera_from_head (4, 4) to turn it to.
        truth: What should come out.
        mask: Where that shows the head, which is where they are compared.
    """

    frame: int
    source: Picture
    new_pose: Pose
    truth: Picture
    mask: Mask


@dataclass(frozen=True)
class Warper:
    """Turns heads without networks.

    Attributes:
        head: With the learned depth.
        start: The same view with the depth that learning began with: the landmarks' mesh on a round head.
        camera: Of the footage.
    """

    head: CanonicalHead
    start: CanonicalView
    camera: Intrinsics

    def show(self, row: str, picture: Picture, pose: Pose, new_pose: Pose) -> Picture:
        """A frame whose head has a pose (4, 4), with its head in another.

        Args:
            row: ``"unwarped"``: as it is. ``"planar"``: :func:`planar`. ``"mesh_depth"``, ``"learned_depth"``:
                :func:`forward_warped`.
            picture: The frame.
            pose: camera_from_head.
            new_pose: Likewise.
        """
        if row == "unwarped":
            return picture
        if row == "planar":
            return planar(picture, self.depth(pose), self.camera, new_pose @ invert_pose(pose))
        head = replace(self.head, view=self.start) if row == "mesh_depth" else self.head
        return forward_warped(picture, HeadSurface(head), self.camera, pose, new_pose)

    def depth(self, pose: Pose) -> NDArray[np.float32]:
        """Learned depth (H, W) in a pose, mm, of what the canonical view sees of the head; 0 elsewhere."""
        view, poses = self.head.view, torch.tensor(pose, dtype=torch.float32)[None]
        there = canonical_from_observed(pixel_grid(self.camera.rectangle), view, self.camera, poses)
        inside = sample(self.head.mask.float()[None, None], there.pixels, view.rectangle)[:, 0] > 0.5
        back = relative_pose(poses, view.pose)
        here = map_pixels(there.pixels, there.depth * inside, view.intrinsics, self.camera, back)
        return np.asarray((here.depth * here.valid)[0].numpy())


def planar(picture: Picture, depth: NDArray[np.float32], camera: Intrinsics, motion: Pose) -> Picture:
    """A frame under the affine map that comes nearest to a head which is flat and faces the camera.

    Args:
        picture: The frame.
        depth: (H, W) of its head; 0 elsewhere. The flat head is as far away as this on average, and as large.
        camera: Of the frame.
        motion: Rigid motion (4, 4) of the head in camera axes.
    """
    rows, columns = np.nonzero(depth)
    pixels = np.stack([columns, rows], axis=-1) + 0.5
    flat = unproject(pixels, np.full(len(pixels), depth[depth > 0].mean()), camera)
    moved = project(flat, motion, camera)
    affine = np.linalg.lstsq(np.c_[pixels, np.ones(len(pixels))], moved, rcond=None)[0].T
    affine[:, 2] += affine[:, :2] @ [0.5, 0.5] - 0.5  # OpenCV counts from the centre of the first pixel
    height, width = picture.shape[:2]
    return np.asarray(cv2.warpAffine(picture, affine, (width, height), borderMode=cv2.BORDER_REPLICATE))


def forward_warped(picture: Picture, surface: HeadSurface, camera: Intrinsics, pose: Pose, new_pose: Pose) -> Picture:
    """A frame warped by depth alone; what is not known gets the colour of the nearest pixel that is."""
    image = torch.from_numpy(picture).movedim(-1, 0)[None].float() / 255
    old, new = (torch.tensor(each, dtype=torch.float32)[None] for each in (pose, new_pose))
    warped = warp(surface, image, camera, old, camera, new)
    shown = (warped.pictures[0].movedim(0, -1) * 255).round().to(torch.uint8).numpy()
    nearest = ndimage.distance_transform_edt(warped.seen[0].numpy() < 0.5, return_distances=False, return_indices=True)
    return np.asarray(shown[tuple(nearest)])
