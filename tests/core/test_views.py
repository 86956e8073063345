"""The rendered speakers from novel angles: their pictures and poses, and how the benchmark asks for them."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest
import torch

from benchmarks.posing.depth import DepthTruth
from benchmarks.posing.novel import find_origin, turn_about
from benchmarks.posing.rows import Warper, planar
from demo.speaker.people import PEOPLE, Person, folder_of
from demo.speaker.views import TURNS
from s2l_core.canonical.view import CanonicalHead
from s2l_core.evaluation.metrics import psnr
from s2l_core.face.tracking import HeadTrack
from s2l_core.footage import Footage
from s2l_core.geometry.camera import Intrinsics, head_angles, invert_pose, make_pose, project, transform, unproject
from s2l_core.geometry.mapping import CanonicalView
from s2l_core.jobs import Media
from s2l_core.media.video import read_frames

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module", params=PEOPLE)
def person(request: pytest.FixtureRequest) -> Person:
    return PEOPLE[request.param]


@pytest.fixture(scope="module")
def truth(person: Person) -> Arrays:
    with np.load(folder_of(person) / "truth.npz", allow_pickle=False) as data:
        return dict(data)


@pytest.fixture(scope="module")
def views(person: Person) -> Arrays:
    with np.load(folder_of(person) / "views.npz", allow_pickle=False) as data:
        return dict(data)


def test_a_view_turns_one_angle_by_the_degrees_of_its_name_and_keeps_place_and_the_other_angles(
    person: Person, truth: Arrays, views: Arrays
) -> None:
    assert views["angle"].tolist() == list(TURNS)
    assert tuple(views["frame"]) == person.moments
    for frame, poses in zip(views["frame"], views["pose"], strict=True):
        old = truth["pose"][frame]
        for name, pose in zip(views["angle"], poses, strict=True):
            wanted = {"yaw": [1, 0, 0], "pitch": [0, 1, 0], "unturned": [0, 0, 0]}[str(name).split("_")[0]]
            size = 0 if name == "unturned" else int(str(name).rsplit("_", 1)[1])
            turn = np.array(wanted) * (-size if "minus" in str(name) else size)
            np.testing.assert_allclose(head_angles(pose) - head_angles(old), turn, atol=1e-9)
            np.testing.assert_array_equal(pose[:3, 3], old[:3, 3])


def test_the_unturned_views_are_the_frames_of_the_clip(person: Person, views: Arrays) -> None:
    folder = folder_of(person)
    pictures = [frame.image for frame in read_frames(Media(str(folder / "views.mp4")))]
    assert len(pictures) == views["pose"].shape[0] * views["pose"].shape[1]
    rate = float(person.frame_rate)
    for moment, frame in enumerate(views["frame"]):
        unturned = pictures[moment * len(TURNS)]
        clip = read_frames(Media(str(folder / f"{person.name}.mp4"), (frame - 1) / rate, (frame + 2) / rate))
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


def test_a_flat_head_moves_as_the_planar_row_says() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    camera, depth = Intrinsics.centred(100.0, 64, 64), np.zeros((64, 64), np.float32)
    depth[20:40, 20:50] = 500.0
    shift, roll = np.eye(4), make_pose([0.0, 0.0, np.pi / 2], [0.0, 0.0, 0.0])
    shift[:2, 3] = 25.0, -15.0  # five pixels to the right, three up
    moved = planar(picture, depth, camera, shift)
    np.testing.assert_array_equal(moved[:-3, 5:], picture[3:, :-5])
    np.testing.assert_array_equal(planar(picture, depth, camera, roll), np.rot90(picture, -1))


def test_the_origin_of_the_true_head_is_found_in_a_head_with_other_axes(person: Person, truth: Arrays) -> None:
    known = DepthTruth.load(folder_of(person) / "truth.npz", seconds=20.0)
    tracked_from_true = make_pose([0.1, -0.2, 0.05], [3.0, -20.0, 90.0])
    poses = truth["pose"] @ invert_pose(tracked_from_true)
    first = torch.tensor(poses[known.frames[0]], dtype=torch.float32)
    depth = torch.from_numpy(known.depth[0])
    view = CanonicalView(depth, known.camera.rectangle, known.camera, first)
    head = CanonicalHead(view, depth > 0, torch.zeros_like(depth))
    footage = Mock(spec=Footage, track=Mock(spec=HeadTrack, poses=poses))
    origin = find_origin(Warper(head, view, known.camera), footage, known)
    np.testing.assert_allclose(origin, tracked_from_true[:3, 3], atol=1.0)


def test_the_head_turns_about_the_point_that_stays() -> None:
    point = np.array([10.0, -20.0, 700.0])
    motion = turn_about(point, make_pose([0.0, 0.3, 0.0], [0.0, 0.0, 0.0])[:3, :3])
    np.testing.assert_allclose(transform(point[None], motion)[0], point)
