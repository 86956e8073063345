"""Conventions of cameras and poses."""

import numpy as np
import pytest

from s2l_core.geometry.camera import (
    Intrinsics,
    head_angles,
    invert_pose,
    make_pose,
    project,
    rotation_matrix,
    rotation_vector,
    transform,
    unproject,
)

CAMERA = Intrinsics.centred(1000.0, 640, 480)
NOSE = np.array([[0.0, 0.0, -100.0]])


def test_a_point_on_the_axis_is_seen_in_the_middle_of_the_image():
    np.testing.assert_allclose(project(NOSE, make_pose([0, 0, 0], [0, 0, 700]), CAMERA), [[320.0, 240.0]])


def test_projection_is_the_matrix_applied_to_camera_coordinates():
    pose = make_pose([0.1, -0.3, 0.2], [5.0, -7.0, 650.0])
    homogeneous = transform(NOSE, pose) @ CAMERA.matrix.T
    np.testing.assert_allclose(project(NOSE, pose, CAMERA), homogeneous[:, :2] / homogeneous[:, 2:])


def test_unprojecting_a_projection_returns_the_point():
    poses = make_pose([[0.1, -0.3, 0.2], [0.0, 0.2, 0.0]], [[5.0, -7.0, 650.0], [0.0, 0.0, 800.0]])
    points = np.array([[10.0, 20.0, -30.0], [-40.0, 5.0, 12.0]])
    seen = transform(points, poses)
    np.testing.assert_allclose(unproject(project(points, poses, CAMERA), seen[..., 2], CAMERA), seen)


def test_inverse_undoes_a_pose_and_rotation_vectors_survive_the_matrix():
    pose = make_pose([0.4, -0.3, 0.2], [5.0, -7.0, 650.0])
    np.testing.assert_allclose(invert_pose(pose) @ pose, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(rotation_vector(rotation_matrix([0.4, -0.3, 0.2])), [0.4, -0.3, 0.2])


@pytest.mark.parametrize(
    "turn, angles, nose_goes",
    [
        ([0.0, 0.3, 0.0], (np.degrees(0.3), 0.0, 0.0), "left"),
        ([0.3, 0.0, 0.0], (0.0, np.degrees(0.3), 0.0), "down"),
        ([0.0, 0.0, 0.3], (0.0, 0.0, np.degrees(0.3)), "nowhere"),
    ],
)
def test_positive_angles_turn_the_nose_left_and_down(turn, angles, nose_goes):
    pose = make_pose(turn, [0.0, 0.0, 700.0])
    np.testing.assert_allclose(head_angles(pose), angles, atol=1e-9)
    x, y = project(NOSE, pose, CAMERA)[0] - [320.0, 240.0]
    assert (x < -1, y > 1) == (nose_goes == "left", nose_goes == "down")
