"""Neck and shoulders: where another camera sees them, and how the neck follows the head."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2l_core.face.matte import open_matting
from s2l_core.footage import Footage, prepare
from s2l_core.geometry.camera import Intrinsics, Rectangle, make_pose, project
from s2l_core.geometry.mapping import CanonicalView
from s2l_core.model.speaker import SpeakerModel
from s2l_core.whole_head.plate import make_surroundings
from s2l_core.whole_head.torso import Torso

from .conftest import EmbeddedHead

FRAME = 60


@pytest.fixture(scope="module")
def footage(embedded_head: EmbeddedHead) -> Footage:
    return prepare(embedded_head.footage)


@pytest.fixture(scope="module")
def torso(embedded_head: EmbeddedHead, footage: Footage) -> Torso:
    head = SpeakerModel.load(embedded_head.speaker_path).face.head
    return make_surroundings(footage, head, open_matting())[1]


@pytest.fixture(scope="module")
def layer(footage: Footage) -> torch.Tensor:
    """Each pixel's own position, as two colours and as an opaque layer."""
    camera = footage.track.intrinsics
    rows, columns = torch.meshgrid(torch.arange(camera.height) + 0.5, torch.arange(camera.width) + 0.5, indexing="ij")
    return torch.stack([columns, rows, torch.zeros_like(rows), torch.ones_like(rows)])


def seen(torso: Torso, layer: torch.Tensor, camera: Intrinsics, pose: np.ndarray, head: np.ndarray, moved: np.ndarray):
    return torso.rendered(layer, camera, pose, head, moved).numpy()


def test_the_footages_own_camera_sees_every_pixel_where_it_is(
    torso: Torso, layer: torch.Tensor, footage: Footage
) -> None:
    pose, camera = footage.track.poses[FRAME], footage.track.intrinsics
    shown = seen(torso, layer, camera, np.eye(4), pose, pose)
    np.testing.assert_allclose(shown[:2], layer[:2].numpy(), atol=0.51)  # half a pixel at the borders
    assert shown[3].min() == 1.0


def test_a_camera_beside_it_sees_the_points_of_its_surface_where_they_are(
    torso: Torso, layer: torch.Tensor, footage: Footage
) -> None:
    pose, camera = footage.track.poses[FRAME], footage.track.intrinsics
    aside = make_pose([0.0, 0.1, 0.0], [-60.0, 0.0, 0.0])
    shown = seen(torso, layer, camera, aside, pose, aside @ pose)
    points = torso.points()[torso.mask][::37]
    here, there = project(points, np.eye(4), camera), project(points, aside, camera)
    inside = ((there > 2) & (there < [camera.width - 2, camera.height - 2])).all(axis=-1)
    inside &= ((here > 2) & (here < [camera.width - 2, camera.height - 2])).all(axis=-1)
    columns, rows = np.floor(there[inside]).astype(int).T
    distance = np.linalg.norm(shown[:2, rows, columns].T - here[inside], axis=-1)
    assert inside.sum() > 30
    assert np.median(distance) < 1.0


def test_the_neck_follows_the_head_and_the_shoulders_stay(torso: Torso, layer: torch.Tensor, footage: Footage) -> None:
    pose, camera = footage.track.poses[FRAME], footage.track.intrinsics
    turned = pose @ make_pose([0.0, np.radians(12.0), 0.0], np.zeros(3))
    shown = seen(torso, layer, camera, np.eye(4), pose, turned)
    moved = np.abs(shown[0] - layer[0].numpy()).mean(axis=1)
    chin = round(float(project(footage.track.shape[footage.layout.chin], pose, camera)[:, 1].max()))
    assert moved[chin] > 2.0
    assert moved[-1] < 0.5 * moved[chin]
    assert (np.diff(moved[chin:]) < 0.2).all()


def test_its_surface_is_round_and_lies_about_the_neck(torso: Torso, footage: Footage) -> None:
    head = float(np.median(footage.track.poses[:, 2, 3]))
    depth = torso.view.depth.numpy()[torso.mask]
    assert head < np.quantile(depth, 0.1) < np.quantile(depth, 0.9) < head + 110
    assert np.ptp(depth) > 30


def flat_torso(width: int, height: int) -> Torso:
    """A torso at a constant depth, whose shoulders fall by a fifth and end 16 pixels beside the frame."""
    camera = Intrinsics.centred(200.0, width, height)
    around = Rectangle(-width // 2, -height // 2, 2 * width, 2 * height)
    view = CanonicalView(torch.full((2 * height, 2 * width), 600.0), around, camera, torch.eye(4))
    return Torso(view, np.ones((2 * height, 2 * width), bool), 0.0, (0.2, 0.2), 16.0)


def seen_from_afar(layer: torch.Tensor) -> np.ndarray:
    """What a camera at twice the distance sees of a layer (C, h, w) with that torso: twice as much along each side."""
    height, width = layer.shape[1:]
    torso, back = flat_torso(width, height), make_pose(np.zeros(3), [0.0, 0.0, 600.0])
    wide = Intrinsics(400.0, 400.0, float(width), float(height), 2 * width, 2 * height)  # pixels as large as before
    return torso.rendered(layer, wide, back, np.eye(4), back).numpy()


def test_below_the_frame_the_torso_goes_on_without_its_grain() -> None:
    layer = torch.ones(4, 48, 64)
    layer[:3] = (torch.arange(64) % 2).float()
    shown = seen_from_afar(layer)
    within, beyond = shown[:, 60:72, 40:88], shown[:, 78:92, 40:88]
    assert beyond[3].min() > 0.99
    assert beyond[0].std() < 0.1 * within[0].std()
    assert abs(beyond[0].mean() - within[0].mean()) < 0.05


def test_shoulders_that_the_frame_cuts_off_fall_and_end() -> None:
    layer = torch.ones(4, 48, 64)
    layer[:, :20] = 0.0
    alpha = seen_from_afar(layer)[3]
    tops = [int(np.argmax(alpha[:, column] > 0.5)) for column in (33, 26, 22)]
    assert abs(tops[0] - 44) < 3
    assert tops[0] < tops[1] < tops[2]
    assert alpha[:, :14].max() == 0.0
