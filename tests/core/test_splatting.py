"""Forward warping of a head to other views."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

from s2l_core.geometry.camera import Intrinsics, Rectangle, make_pose, project, unproject
from s2l_core.geometry.mapping import CanonicalView, pixel_grid
from s2l_core.geometry.splatting import see, splat_depth, warp

CAMERA = Intrinsics.centred(300.0, 120, 100)
DISTANCE, RADIUS = 600.0, 90.0
ANGLE = st.floats(-20.0, 20.0)


def ball() -> tuple[CanonicalView, torch.Tensor]:
    """The half of a ball that the canonical camera sees, 70 degrees from its pole."""
    rectangle = Rectangle(10, 5, 100, 90)
    rays = unproject(pixel_grid(rectangle).numpy(), np.ones((90, 100)), CAMERA)
    square, half = (rays**2).sum(-1), rays[..., 2] * DISTANCE
    root = half**2 - square * (DISTANCE**2 - RADIUS**2)
    depth = (half - np.sqrt(np.maximum(root, 0))) / square
    inside = root > (math.cos(math.radians(70)) * RADIUS) ** 2 * square
    view = CanonicalView(torch.tensor(depth, dtype=torch.float32), rectangle, CAMERA, pose(0, 0, 0)[0])
    return view, torch.from_numpy(inside)


def pose(yaw: float, pitch: float, sideways: float, nearer: float = 0.0) -> torch.Tensor:
    return torch.tensor(
        make_pose(np.radians([[pitch, yaw, 0.0]]), [[sideways, 0.0, DISTANCE - nearer]]), dtype=torch.float32
    )


@settings(deadline=None, max_examples=40)
@given(ANGLE, ANGLE, st.floats(-30.0, 30.0), st.floats(0.0, 200.0))
def test_a_ball_has_the_same_depth_however_it_is_turned(
    yaw: float, pitch: float, sideways: float, nearer: float
) -> None:
    view, inside = ball()
    sight = see(view, inside, CAMERA, pose(yaw, pitch, sideways, nearer))
    seen = sight.coverage[0] > 0.99
    points = unproject(pixel_grid(CAMERA.rectangle).numpy(), sight.depth[0].numpy(), CAMERA)[seen.numpy()]
    radii = np.linalg.norm(points - [sideways, 0.0, DISTANCE - nearer], axis=-1)
    assert seen.sum() > 1000
    assert np.quantile(np.abs(radii - RADIUS), 0.98) < 0.5


@settings(deadline=None, max_examples=40)
@given(ANGLE, ANGLE)
def test_what_a_pixel_sees_lies_where_the_canonical_view_has_it(yaw: float, pitch: float) -> None:
    view, inside = ball()
    turned = pose(yaw, pitch, 0.0)
    sight = see(view, inside, CAMERA, turned)
    seen = (sight.coverage[0] > 0.99).numpy()
    head = unproject(pixel_grid(CAMERA.rectangle).numpy(), sight.depth[0].numpy(), CAMERA)[seen]
    head = (head - turned[0, :3, 3].numpy()) @ turned[0, :3, :3].double().numpy()
    expected = project(head, view.pose.double().numpy(), CAMERA)
    errors = np.linalg.norm(expected - sight.canonical[0].numpy()[seen], axis=-1)
    assert np.median(errors) < 0.01
    assert np.quantile(errors, 0.98) < 0.3


def test_no_crack_opens_when_the_camera_comes_nearer() -> None:
    view, inside = ball()
    near = Intrinsics.centred(1.5 * CAMERA.fx, 180, 150)
    covered = splat_depth(view, inside, near, pose(12.0, -8.0, 0.0))[0].numpy() > 0
    between = np.logical_or.accumulate(covered, 1) & np.logical_or.accumulate(covered[:, ::-1], 1)[:, ::-1]
    assert covered[binary_erosion(between, iterations=3)].all()


def test_the_nearer_of_two_surfaces_hides_the_other() -> None:
    depth = torch.full((100, 120), 600.0)
    depth[:, :50] = 400.0
    view = CanonicalView(depth, CAMERA.rectangle, CAMERA, pose(0, 0, 0)[0])
    shifted = pose(0, 0, 60.0)  # 45 pixels for what is near, 30 for what is far
    seen = splat_depth(view, depth > 0, CAMERA, shifted)[0]
    assert seen[50, 60] == pytest.approx(400, abs=1)
    assert seen[50, 110] == pytest.approx(600, abs=1)


def test_a_frame_warped_to_its_own_pose_stays_what_it_is() -> None:
    view, inside = ball()
    pictures = torch.rand(1, 3, 100, 120, generator=torch.Generator().manual_seed(0))
    turned = pose(9.0, 4.0, 10.0)
    warped = warp(view, inside, pictures, CAMERA, turned, CAMERA, turned)
    seen = warped.seen & (warped.sight.coverage > 0.99)
    assert seen.sum() > 2000
    assert (warped.pictures - pictures).abs().amax(dim=1)[seen].max() < 1e-3


def test_what_the_frame_does_not_show_is_a_hole() -> None:
    view, inside = ball()
    pictures = torch.ones(1, 3, 100, 120)
    half_turned = warp(view, inside, pictures, CAMERA, pose(35.0, 0.0, 0.0), CAMERA, pose(-20.0, 0.0, 0.0))
    covered = half_turned.sight.coverage > 0.99
    assert 0.02 < (covered & ~half_turned.seen).sum() / covered.sum() < 0.5
    torch.testing.assert_close(half_turned.pictures.amax(dim=1), half_turned.seen.float())
