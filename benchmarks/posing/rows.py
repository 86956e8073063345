"""The methods of turning a head that are compared: each renders a frame with the head in another pose."""

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
ROWS = (*WITHOUT_NETWORKS, "blended")
KNOWN_ROWS = (*ROWS, "ceiling")
"""Rows that need a true picture and its depth, besides the others."""


@dataclass(frozen=True)
class Wanted:
    """A picture to render, with its ground truth.

    Attributes:
        frame: Index of the frame whose head is turned.
        source: uint8 (H, W, 3) that frame.
        new_pose: float64 (4, 4) new camera_from_head.
        truth: uint8 (H, W, 3) true picture.
        mask: bool (H, W) pixels of the head in the true picture, which are compared.
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
        head: The head, with its learned depth.
        start: The same view with the initial depth: the landmarks' mesh on a round head.
        camera: Intrinsics of the footage's camera.
    """

    head: CanonicalHead
    start: CanonicalView
    camera: Intrinsics

    def show(self, row: str, picture: Picture, pose: Pose, new_pose: Pose) -> Picture:
        """Render a frame whose head has one pose (4, 4) with the head in another pose.

        Args:
            row: ``"unwarped"``: the frame unchanged. ``"planar"``: :func:`planar`. ``"mesh_depth"``,
                ``"learned_depth"``: :func:`forward_warped`.
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
        """Learned depth (H, W) in a pose in millimetres, of the part of the head that the canonical view shows; 0
        elsewhere.
        """
        view, poses = self.head.view, torch.tensor(pose, dtype=torch.float32)[None]
        there = canonical_from_observed(pixel_grid(self.camera.rectangle), view, self.camera, poses)
        inside = sample(self.head.mask.float()[None, None], there.pixels, view.rectangle)[:, 0] > 0.5
        back = relative_pose(poses, view.pose)
        here = map_pixels(there.pixels, there.depth * inside, view.intrinsics, self.camera, back)
        return np.asarray((here.depth * here.valid)[0].numpy())


def planar(picture: Picture, depth: NDArray[np.float32], camera: Intrinsics, motion: Pose) -> Picture:
    """Warp a frame by the affine map that approximates a flat head facing the camera.

    Args:
        picture: The frame.
        depth: float32 (H, W) depth of its head; 0 elsewhere. The flat head has its mean distance and its size.
        camera: Intrinsics of the frame's camera.
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
    """Forward-warp a frame by depth alone; unknown pixels get the colour of the nearest known one."""
    image = torch.from_numpy(picture).movedim(-1, 0)[None].float() / 255
    old, new = (torch.tensor(each, dtype=torch.float32)[None] for each in (pose, new_pose))
    warped = warp(surface, image, camera, old, camera, new)
    shown = (warped.pictures[0].movedim(0, -1) * 255).round().to(torch.uint8).numpy()
    nearest = ndimage.distance_transform_edt(warped.seen[0].numpy() < 0.5, return_distances=False, return_indices=True)
    return np.asarray(shown[tuple(nearest)])
