"""The rendered speakers from novel angles, compared with true pictures; see ``demo/speaker/views.py``.

A single camera determines neither the size of a head nor its origin, and the tracked head has its own axes. A rotation
of the true head about its origin is therefore converted: a similarity between true and tracked head axes, fitted once
for the whole clip, gives the true origin in the tracked head, and the tracked head is rotated by the true rotation, in
camera axes, about that point.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from s2l_core.footage import Footage
from s2l_core.geometry.camera import invert_pose, transform, unproject
from s2l_core.jobs import Media
from s2l_core.media.video import read_frames

from .depth import DepthTruth
from .rows import Pose, Wanted, Warper

_DEMO = Path(__file__).resolve().parents[2] / "demo"
RENDERED = {
    "embedded": _DEMO / "speaker.mp4",
    "haired": _DEMO / "haired_speaker" / "haired_speaker.mp4",
}
"""Clips of the rendered speakers, with ``truth.npz``, ``views.npz`` and ``views.mp4`` beside them."""
_STEP = 5
"""The similarity is fitted to every fifth pixel of the head."""


@dataclass(frozen=True)
class NovelView(Wanted):
    """A true picture of a moment of the clip with the head turned.

    Attributes:
        angle: Name of the view, such as ``"yaw_10"``.
        true_poses: (2, 4, 4) camera_from_head of the true head, before and after.
        true_depth: (H, W) of the true head before, mm; 0 elsewhere.
    """

    angle: str
    true_poses: NDArray[np.float64]
    true_depth: NDArray[np.float32]


def read_views(folder: Path, footage: Footage, origin: NDArray[np.float64]) -> Iterator[NovelView]:
    """Read all turned views of all moments.

    Args:
        folder: With ``views.npz`` and ``views.mp4``.
        footage: The clip, tracked.
        origin: float64 (3,) origin of the true head in the axes of the tracked one, see :func:`find_origin`.
    """
    with np.load(folder / "views.npz", allow_pickle=False) as data:
        frames, angles, poses, depth = (data[name] for name in ("frame", "angle", "pose", "depth"))
    shape = len(frames), len(angles)
    pictures = np.stack([frame.image for frame in read_frames(Media(str(folder / "views.mp4")))])
    pictures = pictures.reshape(*shape, *pictures.shape[1:])
    sources = {index: frame.image for index, frame in enumerate(footage.frames()) if index in frames}
    unturned = angles.tolist().index("unturned")
    for moment, view in np.ndindex(shape):
        if view == unturned:
            continue
        frame = int(frames[moment])
        pair = poses[moment, [unturned, view]]
        tracked = footage.track.poses[frame]
        yield NovelView(
            frame=frame,
            source=sources[frame],
            new_pose=turn_about(transform(origin[None], tracked)[0], pair[1, :3, :3] @ pair[0, :3, :3].T) @ tracked,
            truth=pictures[moment, view],
            mask=depth[moment, view] > 0,
            angle=str(angles[view]),
            true_poses=pair,
            true_depth=depth[moment, unturned].astype(np.float32),
        )


def turn_about(point: NDArray[np.float64], rotation: NDArray[np.float64]) -> Pose:
    """The rigid motion (4, 4) that rotates (3, 3) about a point (3,)."""
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = rotation, point - rotation @ point
    return motion


def find_origin(warper: Warper, footage: Footage, truth: DepthTruth) -> NDArray[np.float64]:
    """Origin (3,) of the true head in the axes of the tracked one, in millimetres, by the similarity that fits the true
    surface best to the learned one at the same pixels.
    """
    surfaces = [
        _surfaces(warper, footage.track.poses[frame], pose, depth, truth)
        for frame, pose, depth in zip(truth.frames, truth.poses, truth.depth, strict=True)
    ]
    true, tracked = (np.concatenate(points) for points in zip(*surfaces, strict=True))
    true_middle, tracked_middle = true.mean(axis=0), tracked.mean(axis=0)
    rotation, _ = Rotation.align_vectors(tracked - tracked_middle, true - true_middle)
    size = np.linalg.norm(tracked - tracked_middle) / np.linalg.norm(true - true_middle)
    return np.asarray(tracked_middle - size * rotation.apply(true_middle))


def _surfaces(
    warper: Warper, tracked: Pose, pose: Pose, depth: NDArray[np.float32], truth: DepthTruth
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (n, 3) of the true surface and of the learned one at the same pixels, each in its own head's axes."""
    learned = warper.depth(tracked)
    rows, columns = np.nonzero((depth > 0) & (learned > 0))
    rows, columns = rows[::_STEP], columns[::_STEP]
    pixels = np.stack([columns, rows], axis=-1) + 0.5
    return (
        transform(unproject(pixels, depth[rows, columns], truth.camera), invert_pose(pose)),
        transform(unproject(pixels, learned[rows, columns], warper.camera), invert_pose(tracked)),
    )
