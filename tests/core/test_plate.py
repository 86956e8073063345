"""The background plate: what a person uncovers is found, the rest is filled, and where it stands."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch

from s2l_core.canonical.view import CanonicalHead
from s2l_core.face.layout import IBUG68
from s2l_core.face.matte import Matting
from s2l_core.face.tracking import HeadTrack
from s2l_core.footage import Footage
from s2l_core.geometry.camera import Intrinsics, Rectangle, make_pose, project
from s2l_core.geometry.mapping import CanonicalView
from s2l_core.jobs import Media
from s2l_core.media.video import probe
from s2l_core.media.writing import VideoWriter
from s2l_core.whole_head.plate import Plate, fill, make_surroundings
from s2l_core.whole_head.torso import Torso

CAMERA = Intrinsics.centred(300.0, 160, 128)
FRAMES = 24
DISTANCE, RADIUS = 600.0, 45.0
HEAD_COLOUR = (200, 120, 90)


def background() -> np.ndarray:
    rows, columns = np.mgrid[: CAMERA.height, : CAMERA.width]
    return np.dstack([40 + columns, 60 + rows, np.full_like(rows, 90)]).astype(np.uint8)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    """A disc that goes to and fro before a wall."""
    path = tmp_path_factory.mktemp("plate") / "disc.mp4"
    poses = make_pose(np.zeros((FRAMES, 3)), [[x, 0.0, DISTANCE] for x in 30 * np.sin(np.linspace(0, 6, FRAMES))])
    with VideoWriter(str(path), CAMERA.width, CAMERA.height, Fraction(25)) as writer:
        for x, y in project(np.zeros((1, 3)), poses, CAMERA)[:, 0]:
            picture = background()
            centre = (round(x - 0.5), round(y - 0.5))
            writer.write(cv2.circle(picture, centre, round(RADIUS / DISTANCE * CAMERA.fx), HEAD_COLOUR, cv2.FILLED))
    found = np.ones(FRAMES, bool)
    nothing = np.zeros(FRAMES)
    shape, shots = np.zeros((IBUG68.count, 3)), nothing.astype(np.int64)
    track = HeadTrack(poses, CAMERA, shape, nothing, found, shots, np.ones(1), np.ones(2))
    landmarks = np.zeros((FRAMES, IBUG68.count, 3), np.float32)
    times, no = np.arange(FRAMES) / 25, np.zeros(FRAMES, bool)
    return Footage(Media(str(path)), probe(str(path)), "disc", IBUG68, times, landmarks, track, no, no, ())


@pytest.fixture(scope="module")
def head() -> CanonicalHead:
    rectangle = Rectangle(50, 34, 60, 60)
    rows, columns = np.mgrid[:60, :60] + 0.5
    mask = torch.from_numpy(np.hypot(rows - 30, columns - 30) < RADIUS / DISTANCE * CAMERA.fx)
    pose = torch.tensor(make_pose([0.0, 0.0, 0.0], [0.0, 0.0, DISTANCE]), dtype=torch.float32)
    view = CanonicalView(torch.full((60, 60), DISTANCE), rectangle, CAMERA, pose)
    return CanonicalHead(view, mask, torch.ones(60, 60))


class ByColour(Matting):
    """Finds the person by the colour."""

    def __init__(self) -> None:
        pass

    def matte(self, picture: np.ndarray, head: Rectangle | None = None) -> np.ndarray:
        near = np.abs(picture.astype(int) - HEAD_COLOUR).sum(axis=-1) < 60
        return cv2.dilate(near.astype(np.float32), np.ones((3, 3)))  # with its blurred edge


@pytest.fixture(scope="module")
def surroundings(footage: Footage, head: CanonicalHead) -> tuple[Plate, Torso]:
    return make_surroundings(footage, head, ByColour())


@pytest.fixture(scope="module")
def plate(surroundings: tuple[Plate, Torso]) -> Plate:
    return surroundings[0]


def test_what_the_head_uncovers_is_the_background(plate: Plate) -> None:
    difference = np.abs(plate.picture.astype(int) - background())
    assert 0.75 < plate.known.mean() < 1.0
    assert difference[plate.known].mean() < 2
    assert difference[plate.known].max() < 12  # 4:2:0 and compression


def test_nothing_of_the_head_is_left_on_the_plate(plate: Plate) -> None:
    """Not in the middle either, which it never uncovers."""
    middle = plate.picture[CAMERA.height // 2, CAMERA.width // 2].astype(int)
    assert np.abs(middle - background()[CAMERA.height // 2, CAMERA.width // 2]).max() < 25
    assert np.abs(middle - HEAD_COLOUR).max() > 60


def test_the_plate_stands_a_little_behind_the_face(plate: Plate) -> None:
    assert DISTANCE < plate.depth_mm < DISTANCE + 100


def test_a_hole_is_filled_from_around_without_a_step() -> None:
    known = np.ones((40, 60), bool)
    known[10:30, 15:45] = False
    ramp = np.dstack([np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1))] * 3)
    filled = fill(np.where(known[..., None], ramp, 0).astype(np.uint8), known)
    assert np.array_equal(filled[known], ramp[known])
    assert np.abs(np.diff(filled[..., 0].astype(int), axis=1)).max() <= 16
    assert filled[20, 17, 0] < filled[20, 42, 0]


@pytest.mark.parametrize("known", [np.zeros((8, 8), bool), np.ones((8, 8), bool)], ids=["nothing", "everything"])
def test_without_a_hole_or_surroundings_nothing_is_filled(known: np.ndarray) -> None:
    picture = np.full((8, 8, 3), 7, np.uint8)
    assert np.array_equal(fill(picture, known), picture)
