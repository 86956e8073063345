"""The embedded speaker from novel angles: the pictures are those of the clip, the poses those of their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from demo.speaker.views import TURNS
from s2l_core.evaluation.metrics import psnr
from s2l_core.geometry.camera import Intrinsics, head_angles, invert_pose, project, transform, unproject
from s2l_core.jobs import Media
from s2l_core.media.video import read_frames

DEMO = Path(__file__).resolve().parents[2] / "demo"
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def truth() -> Arrays:
    with np.load(DEMO / "truth.npz", allow_pickle=False) as data:
        return dict(data)


@pytest.fixture(scope="module")
def views() -> Arrays:
    with np.load(DEMO / "views.npz", allow_pickle=False) as data:
        return dict(data)


def test_a_view_turns_one_angle_by_the_degrees_of_its_name_and_keeps_place_and_the_other_angles(
    truth: Arrays, views: Arrays
) -> None:
    assert views["angle"].tolist() == list(TURNS)
    for frame, poses in zip(views["frame"], views["pose"], strict=True):
        old = truth["pose"][frame]
        for name, pose in zip(views["angle"], poses, strict=True):
            wanted = {"yaw": [1, 0, 0], "pitch": [0, 1, 0], "unturned": [0, 0, 0]}[str(name).split("_")[0]]
            size = 0 if name == "unturned" else int(str(name).rsplit("_", 1)[1])
            turn = np.array(wanted) * (-size if "minus" in str(name) else size)
            np.testing.assert_allclose(head_angles(pose) - head_angles(old), turn, atol=1e-9)
            np.testing.assert_array_equal(pose[:3, 3], old[:3, 3])


def test_the_unturned_views_are_the_frames_of_the_clip(views: Arrays) -> None:
    pictures = [frame.image for frame in read_frames(Media(str(DEMO / "views.mp4")))]
    assert len(pictures) == views["pose"].shape[0] * views["pose"].shape[1]
    rate = 25
    for moment, frame in enumerate(views["frame"]):
        unturned = pictures[moment * len(TURNS)]
        clip = read_frames(Media(str(DEMO / "speaker.mp4"), (frame - 1) / rate, (frame + 2) / rate))
        likeness = [psnr(unturned, neighbour.image) for neighbour in clip]
        assert int(np.argmax(likeness)) == 1
        assert likeness[1] > 40


def test_depth_of_a_turned_view_is_that_of_the_head_turned(truth: Arrays, views: Arrays) -> None:
    size, focal = truth["image_size"], truth["intrinsics"][0, 0]
    camera = Intrinsics.centred(float(focal), int(size[0]), int(size[1]))
    start = views["angle"].tolist().index("unturned")
    for poses, depths in zip(views["pose"], views["depth"].astype(np.float64), strict=True):
        rows, columns = np.nonzero(depths[start][::4, ::4])
        pixels = 4 * np.stack([columns, rows], axis=-1) + 0.5
        seen = unproject(pixels, depths[start][4 * rows, 4 * columns], camera)
        head = transform(seen, invert_pose(poses[start]))
        for pose, depth in zip(poses, depths, strict=True):
            there = np.floor(project(head, pose, camera)).astype(int)
            difference = transform(head, pose)[:, 2] - depth[there[:, 1], there[:, 0]]
            assert np.median(np.abs(difference)) < 1.0
