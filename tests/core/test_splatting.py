"""Forward warping of a surface to other views."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, binary_erosion

from s2l_core.geometry.camera import Intrinsics, make_pose, unproject
from s2l_core.geometry.mapping import pixel_grid
from s2l_core.geometry.splatting import Points, facing, render_surface, warp

CAMERA = Intrinsics.centred(300.0, 120, 100)
DISTANCE, RADIUS = 600.0, 90.0
ANGLE = st.floats(-20.0, 20.0)


class Ball:
    """The front of a ball, 70 degrees from its pole; its colours are its normals."""

    def points(self, camera: Intrinsics, poses: torch.Tensor) -> Points:
        count = 3 * round(RADIUS * camera.fx / (float(poses[:, 2, 3].min()) - RADIUS))
        x, y = torch.meshgrid(*2 * (torch.linspace(-1.0, 1.0, count),), indexing="xy")
        normals = torch.stack([x, y, -(1 - x.square() - y.square()).clamp(min=0).sqrt()], dim=-1)
        normals = normals[-normals[..., 2] > math.cos(math.radians(70))]
        return Points(RADIUS * normals, normals, 0.5 + 0.5 * normals)


class Walls:
    """A near wall that hides the left half of a far one."""

    def points(self, camera: Intrinsics, poses: torch.Tensor) -> Points:
        x, y = torch.meshgrid(torch.arange(-120.0, 120.0), torch.arange(-60.0, 60.0), indexing="xy")
        near = torch.stack([x - 120, y, torch.full_like(x, -200.0)], dim=-1).flatten(0, 1)
        far = torch.stack([x, y, torch.zeros_like(x)], dim=-1).flatten(0, 1)
        places = torch.cat([far, near])
        return Points(places, torch.tensor([0.0, 0.0, -1.0]).expand_as(places), torch.zeros_like(places))


def pose(yaw: float, pitch: float, sideways: float = 0.0, nearer: float = 0.0) -> torch.Tensor:
    place = [[sideways, 0.0, DISTANCE - nearer]]
    return torch.tensor(make_pose(np.radians([[pitch, yaw, 0.0]]), place), dtype=torch.float32)


@settings(deadline=None, max_examples=20)
@given(ANGLE, ANGLE, st.floats(-30.0, 30.0), st.floats(0.0, 200.0))
def test_a_ball_is_as_round_from_everywhere(yaw: float, pitch: float, sideways: float, nearer: float) -> None:
    turned = pose(yaw, pitch, sideways, nearer)
    buffers = render_surface(Ball(), CAMERA, turned)
    seen = (buffers.coverage[0] > 0.99).numpy()
    points = unproject(pixel_grid(CAMERA.rectangle).numpy(), buffers.depth[0].numpy(), CAMERA)[seen]
    outwards = points - turned[0, :3, 3].numpy()
    assert seen.sum() > 1000
    median, most = np.quantile(np.abs(np.linalg.norm(outwards, axis=-1) - RADIUS), [0.5, 0.9])
    assert median < 0.15 and most < 0.6
    normals = (outwards / np.linalg.norm(outwards, axis=-1, keepdims=True)) @ turned[0, :3, :3].double().numpy()
    assert np.quantile(np.abs(normals - buffers.normals[0].movedim(0, -1).numpy()[seen]), 0.9) < 0.03


@pytest.mark.parametrize("zoom", [1.0, 1.5, 3.0])
def test_no_crack_opens_when_the_camera_zooms_in(zoom: float) -> None:
    near = Intrinsics.centred(zoom * CAMERA.fx, round(120 * zoom), round(100 * zoom))
    covered = render_surface(Ball(), near, pose(12.0, -8.0)).coverage[0].numpy() > 0.5
    between = np.logical_or.accumulate(covered, 1) & np.logical_or.accumulate(covered[:, ::-1], 1)[:, ::-1]
    assert covered[binary_erosion(between, iterations=4)].all()


def test_a_surface_covers_the_pixels_that_it_covers() -> None:
    covered = render_surface(Ball(), CAMERA, pose(0.0, 0.0)).coverage[0].sum()
    radius, height = RADIUS * math.sin(math.radians(70)), DISTANCE - RADIUS * math.cos(math.radians(70))
    assert covered == pytest.approx(math.pi * (radius / height * CAMERA.fx) ** 2, rel=0.04)


def test_the_nearer_of_two_surfaces_hides_the_other() -> None:
    depth = render_surface(Walls(), CAMERA, pose(0, 0, 60.0)).depth[
        0
    ]  # the near wall ends 45 pixels right of the middle
    assert depth[50, 90] == pytest.approx(400, abs=1)
    assert depth[50, 115] == pytest.approx(600, abs=1)


def test_a_frame_warped_to_its_own_pose_stays_what_it_is() -> None:
    pictures = torch.rand(1, 3, 100, 120, generator=torch.Generator().manual_seed(0))
    turned = pose(9.0, 4.0, 10.0)
    warped = warp(Ball(), pictures, CAMERA, turned, CAMERA, turned)
    shown = warped.seen > 0.99
    assert shown.sum() > 2000
    assert (warped.pictures - pictures).abs().amax(dim=1)[shown].max() < 1e-3


def test_what_the_frame_does_not_show_is_a_hole() -> None:
    warped = warp(Ball(), torch.ones(1, 3, 100, 120), CAMERA, pose(20.0, 0.0), CAMERA, pose(-10.0, 0.0))
    covered = warped.buffers.coverage > 0.99
    assert 0.02 < (covered & (warped.seen < 0.5)).sum() / covered.sum() < 0.5


def ramp() -> torch.Tensor:
    """A frame whose two colours are the positions of its pixels."""
    return pixel_grid(CAMERA.rectangle).movedim(-1, 0)[None]


def test_the_frame_shows_what_is_just_outside_of_the_surface() -> None:
    same = pose(0.0, 0.0)
    warped = warp(Ball(), ramp(), CAMERA, same, CAMERA, same, 0.2)
    weights, covered = warped.beyond[0].numpy(), warped.buffers.coverage[0].numpy()
    near = binary_dilation(covered > 0.5, iterations=3) & (covered < 0.01)
    assert weights[near].min() > 0.9
    assert weights[covered > 0.995].max() == 0.0
    assert weights[~binary_dilation(covered > 0.5, iterations=20)].max() == 0.0
    np.testing.assert_allclose(warped.pictures[0][:, near], ramp()[0][:, near], atol=0.1)


def test_beyond_a_side_that_turns_away_it_does_not() -> None:
    def beside(turned: float) -> tuple[float, float]:
        """Weights to the left and to the right of the surface, in its middle row."""
        warped = warp(Ball(), ramp(), CAMERA, pose(0.0, 0.0), CAMERA, pose(turned, 0.0), 0.2)
        columns = np.flatnonzero(warped.buffers.coverage[0, 50] > 0.5)
        return float(warped.beyond[0, 50, columns[0] - 3]), float(warped.beyond[0, 50, columns[-1] + 3])

    assert beside(0.0) == pytest.approx((1.0, 1.0), abs=0.05)
    left, right = beside(15.0)
    assert left < 0.1
    assert right > 0.9


def test_facing_is_one_in_the_middle_of_a_ball_and_falls_to_its_outline() -> None:
    buffers = render_surface(Ball(), CAMERA, pose(20.0, 10.0))
    cosines = facing(buffers.normals, pixel_grid(CAMERA.rectangle)[None], CAMERA, pose(20.0, 10.0))[0]
    assert cosines[50, 60] == pytest.approx(1.0, abs=0.01)
    assert (cosines[50, 60:90].diff() < 0.01).all()
    assert cosines[50, 88] < 0.85
