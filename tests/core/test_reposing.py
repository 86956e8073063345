"""A head in other views: its surface, its colours, and what is behind it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from s2l_core.canonical.view import CanonicalHead
from s2l_core.errors import HeadOutOfView, SpeakerFileBroken
from s2l_core.face.matte import open_matting
from s2l_core.footage import Footage, prepare
from s2l_core.geometry.camera import Intrinsics, make_pose, project, transform
from s2l_core.media.video import read_frames
from s2l_core.model.blend import BlendNet
from s2l_core.model.speaker import SpeakerModel
from s2l_core.whole_head import surface
from s2l_core.whole_head.plate import make_surroundings
from s2l_core.whole_head.reposing import HeadRenderer, View
from s2l_core.whole_head.surface import HeadSurface
from s2l_core.whole_head.texture import gather_texture, observe

from .conftest import EmbeddedHead

FRAME = 60


@pytest.fixture(scope="module")
def footage(embedded_head: EmbeddedHead) -> Footage:
    return prepare(embedded_head.footage)


@pytest.fixture(scope="module")
def picture(embedded_head: EmbeddedHead) -> np.ndarray:
    return next(frame.image for index, frame in enumerate(read_frames(embedded_head.footage)) if index == FRAME)


@pytest.fixture(scope="module")
def speaker(embedded_head: EmbeddedHead) -> SpeakerModel:
    return SpeakerModel.load(embedded_head.speaker_path)


@pytest.fixture(scope="module")
def head(speaker: SpeakerModel) -> CanonicalHead:
    return speaker.face.head


@pytest.fixture(scope="module")
def renderer(speaker: SpeakerModel, footage: Footage) -> HeadRenderer:
    matting = open_matting()
    return HeadRenderer(speaker, footage, *make_surroundings(footage, speaker.face.head, matting), matting)


def turned(footage: Footage, yaw: float) -> np.ndarray:
    """The pose of the frame with the head turned about its own axis."""
    return footage.track.poses[FRAME] @ make_pose([0.0, np.radians(yaw), 0.0], np.zeros(3))


def shown(renderer: HeadRenderer, footage: Footage, picture: np.ndarray, yaw: float, **options: object) -> View:
    return renderer.render(picture, FRAME, footage.track.intrinsics, turned(footage, yaw), **options)  # type: ignore[arg-type]


def test_the_side_begins_at_the_outline_and_goes_backwards(head: CanonicalHead) -> None:
    surface, view = HeadSurface(head), head.view
    camera = view.pose[:3, :3] @ surface.side.flatten(1) + view.pose[:3, 3:]
    depths = camera[2].view_as(surface.side[0])
    assert (depths.diff(dim=0) > 0).all()
    rim = project(surface.side[:, 0].T.numpy(), view.pose.double().numpy(), view.intrinsics)
    box, pixels = view.rectangle, np.floor(rim).astype(int) - [view.rectangle.left, view.rectangle.top]
    columns, rows = pixels.clip(0, [box.width - 1, box.height - 1]).T
    assert np.median(np.abs(surface.inside.numpy()[rows, columns] - 0.5)) < 0.2


def test_normals_point_out_of_the_head(head: CanonicalHead) -> None:
    surface = HeadSurface(head)
    inside = surface.inside > 0.5
    assert ((head.view.pose[:3, :3] @ surface.front_normals[:, inside])[2] < 0).float().mean() > 0.99
    middle = surface.front[:, inside].mean(dim=1)[:, None, None]
    assert (((surface.side - middle) * surface.side_normals).sum(dim=0) > 0).float().mean() > 0.9


def test_colours_are_those_of_the_footage(head: CanonicalHead, footage: Footage, picture: np.ndarray) -> None:
    surface = HeadSurface(head)
    gather_texture(surface, observe(surface, footage, open_matting()))
    inside = surface.inside > 0.9
    pixels = project(surface.front[:, inside].T.numpy(), footage.track.poses[FRAME], footage.track.intrinsics)
    columns, rows = np.floor(pixels).astype(int).T
    expected = torch.from_numpy(picture[rows, columns] / 255.0).T
    assert (surface.front_colours[:, inside] - expected).abs().median() < 0.03
    assert surface.side_colours.isfinite().all()
    assert surface.side_colours.std(dim=(1, 2)).min() > 0.02


def test_a_frame_in_its_own_pose_is_itself(renderer: HeadRenderer, footage: Footage, picture: np.ndarray) -> None:
    view = shown(renderer, footage, picture, 0.0)
    error = np.abs(view.colours - picture / 255.0).mean(axis=-1)
    assert np.median(error[view.mask > 0.5]) < 0.004
    assert np.quantile(error, 0.95) < 0.03
    assert (view.alpha == 1.0).all()


def test_networks_that_overflow_together_are_refused(
    renderer: HeadRenderer, footage: Footage, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    blend = BlendNet()
    for parameter in blend.parameters():
        nn.init.constant_(parameter, 1e4)
    monkeypatch.setattr(renderer, "_blend", blend)
    with pytest.raises(SpeakerFileBroken, match="infinite or undefined"):
        shown(renderer, footage, picture, 8.0)


def test_without_background_the_person_stands_alone(
    renderer: HeadRenderer, footage: Footage, picture: np.ndarray
) -> None:
    view = shown(renderer, footage, picture, 8.0, background=False)
    assert (view.alpha >= view.mask - 1e-6).all()
    assert (view.depth[view.mask == 0] == 0).all()
    assert (view.depth[view.mask > 0.99] > 300).all()
    assert 0.1 < view.mask.mean() < 0.6
    assert (view.alpha[-8:] > 0.9).mean() > 0.5  # the shoulders
    assert (view.alpha[:8] == 0).all()


def test_the_tip_of_the_nose_is_where_the_pose_has_it(
    renderer: HeadRenderer, footage: Footage, picture: np.ndarray
) -> None:
    tip = footage.track.shape[footage.track.shape[:, 2].argmin()]
    for yaw in (-12.0, 12.0):
        view = shown(renderer, footage, picture, yaw, background=False)
        column, row = np.floor(project(tip[None], turned(footage, yaw), footage.track.intrinsics)[0]).astype(int)
        assert view.depth[row, column] == pytest.approx(transform(tip[None], turned(footage, yaw))[0, 2], abs=5)


def test_the_background_stays_when_the_head_turns_and_moves_with_the_camera(
    renderer: HeadRenderer, footage: Footage, picture: np.ndarray
) -> None:
    turned_head = shown(renderer, footage, picture, 10.0)
    corner = (slice(20, 100), slice(0, 60))
    assert np.abs(turned_head.colours[corner] - picture[corner] / 255.0).mean() < 0.01
    aside = make_pose(np.zeros(3), [30.0, 0.0, 0.0])
    moved = renderer.render(
        picture, FRAME, footage.track.intrinsics, aside @ footage.track.poses[FRAME], camera_from_footage=aside
    )
    shift = round(30.0 * footage.track.intrinsics.fx / renderer.plate.depth_mm)
    np.testing.assert_allclose(
        moved.colours[20:60, shift + 10 : 100], picture[20:60, 10 : 100 - shift] / 255.0, atol=0.1
    )


def test_a_camera_that_looks_elsewhere_sees_no_head(
    renderer: HeadRenderer, footage: Footage, picture: np.ndarray
) -> None:
    away = make_pose(np.zeros(3), [3000.0, 0.0, 0.0]) @ footage.track.poses[FRAME]
    view = renderer.render(picture, FRAME, footage.track.intrinsics, away, background=False)
    assert not view.mask.any()


def test_a_larger_picture_shows_the_same(renderer: HeadRenderer, footage: Footage, picture: np.ndarray) -> None:
    camera = footage.track.intrinsics
    twice = Intrinsics(2 * camera.fx, 2 * camera.fy, 2 * camera.cx, 2 * camera.cy, 2 * camera.width, 2 * camera.height)
    pose = turned(footage, 6.0)
    small = renderer.render(picture, FRAME, camera, pose).colours
    large = renderer.render(picture, FRAME, twice, pose).colours
    halved = large.reshape(camera.height, 2, camera.width, 2, 3).mean(axis=(1, 3))
    assert np.median(np.abs(halved - small)) < 0.01


def close_up(footage: Footage, zoom: float) -> Intrinsics:
    """A small picture of the tip of the nose, ``zoom`` times as large as in the footage."""
    camera = footage.track.intrinsics
    left, top = zoom * project(footage.track.shape[4:5], footage.track.poses[FRAME], camera)[0] - 24
    return Intrinsics(zoom * camera.fx, zoom * camera.fy, zoom * camera.cx - left, zoom * camera.cy - top, 48, 48)


def test_a_close_up_is_made_of_what_it_shows(
    renderer: HeadRenderer, footage: Footage, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera, pose = close_up(footage, 5.0), footage.track.poses[FRAME]
    monkeypatch.setattr(surface, "_CLOSE", 1000)
    whole = renderer.render(picture, FRAME, camera, pose)
    monkeypatch.setattr(surface, "_CLOSE", 1)
    part = renderer.render(picture, FRAME, camera, pose)
    for one, other in zip(whole, part, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4, rtol=1e-5)


def test_a_close_up_has_as_many_points_as_it_needs(head: CanonicalHead, footage: Footage) -> None:
    poses = torch.tensor(footage.track.poses[FRAME], dtype=torch.float32)[None]
    counts = [len(HeadSurface(head).points(close_up(footage, zoom), poses).places) for zoom in (1.0, 20.0, 100.0)]
    assert max(counts) < 15_000_000  # of the whole head there would be thirty times as many
    with pytest.raises(HeadOutOfView, match="too small a part"):
        HeadSurface(head).points(close_up(footage, 1e5), poses)
