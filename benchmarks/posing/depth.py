"""The learned depth of a rendered speaker, compared with the depth of which the pictures were made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from s2l_core.footage import Footage
from s2l_core.geometry.camera import Intrinsics
from s2l_core.geometry.mapping import CanonicalView, canonical_from_observed, pixel_grid, relative_pose, sample


@dataclass(frozen=True)
class DepthTruth:
    """Ground truth of some frames from ``truth.npz``.

    Attributes:
        frames: int64 (n,) indices of the frames.
        poses: float64 (n, 4, 4) camera_from_head in millimetres.
        depth: float32 (n, H, W) along the camera's z axis in millimetres.
        mask: bool (n, H, W) mask of the head.
        camera: Intrinsics of the camera.
    """

    frames: NDArray[np.int64]
    poses: NDArray[np.float64]
    depth: NDArray[np.float32]
    mask: NDArray[np.bool_]
    camera: Intrinsics

    @classmethod
    def load(cls, path: Path, seconds: float = np.inf) -> DepthTruth:
        """Load the ground truth of the first seconds of the clip."""
        with np.load(path, allow_pickle=False) as data:
            within = data["octant_frame"] < seconds * data["frame_rate"]
            frames, depth, mask = (data[name][within] for name in ("octant_frame", "depth", "mask"))
            width, height = data["image_size"].tolist()
            camera = Intrinsics.centred(float(data["intrinsics"][0, 0]), width, height)
            return cls(frames, data["pose"][frames], depth, mask, camera)


@dataclass(frozen=True)
class DepthErrors:
    """Errors in percent of the head's depth.

    Attributes:
        face: Errors of the pixels on the landmarks' mesh.
        head: Errors of all pixels of the head with a known depth.
        known: Smallest share, over the frames, of the head's pixels with a known depth.
    """

    face: NDArray[np.float64]
    head: NDArray[np.float64]
    known: float


def depth_errors(view: CanonicalView, mesh: torch.Tensor, footage: Footage, truth: DepthTruth) -> DepthErrors:
    """Compare a canonical depth with the true one.

    A single camera determines neither the size nor the distance of a head, so both are aligned to the truth.

    Args:
        view: View of the head, with its depth.
        mesh: bool (h, w) mask of the landmarks' mesh.
        footage: The clip, with a tracked head.
        truth: Ground truth of the same clip.
    """
    camera = footage.track.intrinsics
    on_face, on_head, known_shares = [], [], []
    for frame, depth, mask in zip(truth.frames, truth.depth, truth.mask, strict=True):
        poses = torch.tensor(footage.track.poses[[frame]], dtype=torch.float32)
        there = canonical_from_observed(pixel_grid(camera.rectangle), view, camera, poses)
        layers = torch.stack([view.depth, mesh.float()])[None]
        canonical, on_mesh = sample(layers, there.pixels, view.rectangle, "border")[0]
        centre = torch.tensor([view.intrinsics.cx, view.intrinsics.cy])
        x, y = ((there.pixels[0] - centre) / view.intrinsics.fx).unbind(-1)
        turn = relative_pose(poses, view.pose)[0, 2]
        observed = (canonical * (turn[0] * x + turn[1] * y + turn[2]) + turn[3]).numpy()
        seen = mask & there.valid[0].numpy()
        inner = seen & (on_mesh > 0.99).numpy()
        size = (np.median(depth[inner]) / truth.camera.fx) / (np.median(observed[inner]) / camera.fx)
        error = size * observed - depth
        error = 100 * np.abs(error - np.median(error[inner])) / np.ptp(depth[mask])
        on_face.append(error[inner])
        on_head.append(error[seen])
        known_shares.append(seen.sum() / mask.sum())
    return DepthErrors(np.concatenate(on_face), np.concatenate(on_head), float(min(known_shares)))
