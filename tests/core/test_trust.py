"""The trust region: what lies inside of it stays, what lies outside is told and led back without a jump."""

from __future__ import annotations

import numpy as np
import pytest

from s2l_core.geometry.camera import Array, head_angles, make_pose
from s2l_core.geometry.trust import TrustRegion, seen_angles, trust_region

POSITION = [15.0, -20.0, 600.0]
SQUARE = np.array([[-10.0, -5.0, 3.0], [10.0, -5.0, 0.0], [10.0, 5.0, -4.0], [-10.0, 5.0, 0.0], [0.0, 0.0, 1.0]])


def facing(yaw: float, pitch: float = 0.0, position: list[float] = POSITION) -> Array:
    """A head that turns by yaw and pitch away from a camera, which looks straight at it."""
    pose = make_pose([np.radians(pitch), 0.0, 0.0], [0.0, 0.0, 0.0]) @ make_pose([0.0, np.radians(yaw), 0.0], [0, 0, 0])
    straight = make_pose([0.0, 0.0, 0.0], position)
    x, y, z = position
    towards = make_pose([-np.arctan2(y, np.hypot(x, z)), 0, 0], [0, 0, 0])
    return straight @ make_pose([0.0, np.arctan2(x, z), 0.0], [0, 0, 0]) @ towards @ pose


@pytest.fixture
def region() -> TrustRegion:
    return trust_region(SQUARE)


def test_poses_of_the_footage_are_trusted_as_they_are(region: TrustRegion) -> None:
    pose = facing(6.0, -4.0)
    assert region.degrees_outside(pose) == 0.0
    assert region.trust(pose) == 1.0
    np.testing.assert_array_equal(region.nearest_trusted(pose), pose)


def test_degrees_count_from_the_border(region: TrustRegion) -> None:
    assert region.degrees_outside(facing(10.0 + region.margin + 7.0)) == pytest.approx(7.0, abs=0.2)
    assert region.degrees_outside(facing(0.0, -5.0 - region.margin - 3.0)) == pytest.approx(3.0, abs=0.2)
    assert region.trust(facing(60.0)) < region.trust(facing(30.0)) < 1.0


def test_a_turn_of_the_camera_alone_changes_nothing(region: TrustRegion) -> None:
    """It only moves the head in the image."""
    pose = facing(25.0)
    turned = make_pose([0.1, -0.3, 0.2], [0.0, 0.0, 0.0]) @ pose
    assert region.degrees_outside(turned) == pytest.approx(region.degrees_outside(pose), abs=1e-6)


def test_a_camera_that_passes_the_head_sees_another_side_of_it(region: TrustRegion) -> None:
    pose = make_pose([0.0, 0.0, 0.0], [600.0, 0.0, 600.0])
    assert head_angles(pose)[0] == pytest.approx(0.0)
    assert abs(seen_angles(pose)[0]) == pytest.approx(45.0)
    assert region.degrees_outside(pose) > 20.0


def test_beyond_the_border_the_head_is_led_back_about_its_own_origin(region: TrustRegion) -> None:
    pose = facing(60.0, 2.0)
    trusted = region.nearest_trusted(pose)
    np.testing.assert_array_equal(trusted[:3, 3], pose[:3, 3])
    np.testing.assert_allclose(trusted[:3, :3] @ trusted[:3, :3].T, np.eye(3), atol=1e-12)
    yaw, pitch, roll = seen_angles(trusted)
    assert yaw == pytest.approx(10.0 + region.margin + 5.0, abs=0.5)
    assert (pitch, roll) == pytest.approx(tuple(seen_angles(pose)[1:]), abs=1.0)


def test_a_movement_out_of_the_region_never_jumps(region: TrustRegion) -> None:
    yaws = np.linspace(0.0, 80.0, 321)
    followed = np.array([seen_angles(region.nearest_trusted(facing(yaw)))[0] for yaw in yaws])
    steps = np.diff(followed)
    assert steps.min() >= 0.0
    assert steps.max() <= 0.25 + 1e-6
    assert np.abs(np.diff(steps)).max() < 0.02


def test_a_head_that_never_turned_has_a_region_too() -> None:
    region = trust_region(np.zeros((5, 3)))
    assert region.degrees_outside(facing(0.0)) == 0.0
    assert region.degrees_outside(facing(region.margin + 4.0)) == pytest.approx(4.0, abs=1e-3)
