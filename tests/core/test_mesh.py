"""The head's triangles and their depth."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from s2l_core.errors import LandmarksUnavailable
from s2l_core.face.mesh import fill_depth, rasterise_depth, skull_depth, triangulate
from s2l_core.geometry.camera import Intrinsics, Rectangle

CAMERA = Intrinsics(500.0, 500.0, 80.0, 60.0, 160, 120)
SQUARE = np.array([[0, 1, 2], [0, 2, 3]])


def square(half: float, depths: list[float]) -> np.ndarray:
    """Four corners that the camera sees as a square of 1000 x half pixels about the principal point."""
    corners = np.array([[-half, -half, 1.0], [half, -half, 1.0], [half, half, 1.0], [-half, half, 1.0]])
    return corners * np.array(depths)[:, None]


def dome(count: int = 400) -> np.ndarray:
    """Points of a half sphere of 80 mm that bulges towards the camera, in head axes."""
    generator = np.random.default_rng(0)
    radius, angle = np.sqrt(generator.uniform(0, 0.8, count)), generator.uniform(0, 2 * np.pi, count)
    x, y = 80 * radius * np.cos(angle), 80 * radius * np.sin(angle)
    return np.stack([x, y, -np.sqrt(80**2 - x**2 - y**2)], axis=-1)


def dome_at(distance: float) -> np.ndarray:
    return dome() + np.array([0, 0, distance])


def test_a_slanted_plane_has_its_exact_depth_at_every_pixel_centre():
    depth = rasterise_depth(square(0.1, [500.0, 1000.0, 1000.0, 500.0]), SQUARE, CAMERA)
    across = (np.arange(160) + 0.5 - 80) / 50
    expected = 1 / ((1 - across) / 2 / 500 + (1 + across) / 2 / 1000)
    inside = depth[60] > 0
    assert inside.sum() == 100 and (depth > 0).sum() == 100 * 100
    np.testing.assert_allclose(depth[60, inside], expected[inside], rtol=1e-6)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearest_triangle_wins_whatever_the_order(order):
    vertices = np.concatenate([square(0.1, [800.0] * 4), square(0.05, [600.0] * 4)])
    triangles = np.concatenate([[SQUARE, SQUARE + 4][i] for i in order])
    depth = rasterise_depth(vertices, triangles, CAMERA)
    assert depth[60, 80] == pytest.approx(600.0)
    assert depth[60, 40] == pytest.approx(800.0)
    assert depth[60, 10] == 0


def test_a_rectangle_is_a_crop_of_the_whole_image():
    vertices, triangles = dome_at(500.0), triangulate(dome())
    whole = rasterise_depth(vertices, triangles, CAMERA)
    crop = rasterise_depth(vertices, triangles, CAMERA, Rectangle(70, 20, 40, 30))
    np.testing.assert_array_equal(crop, whole[20:50, 70:110])


def test_a_mesh_without_holes_leaves_none():
    vertices, triangles = dome_at(800.0), triangulate(dome())
    depth = rasterise_depth(vertices, triangles, CAMERA)
    rows, columns = np.mgrid[:120, :160] + 0.5
    near_middle = np.hypot(columns - 80, rows - 60) < 35
    assert (depth[near_middle] > 0).all()
    assert depth[60, 80] == pytest.approx(720, abs=1.5)


def test_triangles_without_area_behind_the_camera_or_outside_the_image_are_left_out():
    here, beside, behind = [0, 0, 500.0], [10, 0, 500.0], [0, 10, -500.0]
    vertices = np.array([here, here, beside, behind, [900, 0, 500.0], [900, 9, 500.0], [950, 0, 500.0]])
    depth = rasterise_depth(vertices, np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6]]), CAMERA)
    assert not depth.any()


def test_triangles_cover_the_face_once_but_not_the_hollows_of_its_rim():
    corners = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], float)
    hollow = np.array([[50.0, 3.0], [50.0, 60.0]])
    shape = np.concatenate([corners, hollow])
    shape = np.concatenate([shape, np.zeros((6, 1))], axis=1)
    triangles = triangulate(shape)
    first, second, third = shape[triangles, :2].transpose(1, 0, 2)
    assert np.abs(np.cross(second - first, third - first)).sum() / 2 == pytest.approx(100 * 100 - 100 * 3 / 2)


def test_filled_depth_keeps_the_mesh_and_goes_on_as_the_head_does():
    vertices, triangles = dome_at(800.0), triangulate(dome())
    depth = rasterise_depth(vertices, triangles, CAMERA)
    beyond = np.full_like(depth, 850.0)
    filled = fill_depth(depth, beyond)
    inner = binary_erosion(depth > 0, iterations=4)
    np.testing.assert_array_equal(filled[inner], depth[inner])
    outside = depth == 0
    assert np.abs(np.diff(filled, axis=1))[outside[:, 1:] | outside[:, :-1]].max() < 6
    assert filled[0, 0] > filled[60, 20] and filled.max() < 850


def test_landmarks_that_cover_nothing_are_not_those_of_a_face():
    with pytest.raises(LandmarksUnavailable):
        fill_depth(np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32))


def test_a_skull_turns_away_from_the_camera_and_ends_in_its_outline():
    pose = np.eye(4)
    pose[2, 3] = 800.0
    depth = skull_depth(pose, CAMERA, CAMERA.rectangle)
    across = depth[54, 80:]
    assert across[0] == pytest.approx(800 + 40 - 95, abs=1)
    assert (np.diff(across[:49]) > 0).all()
    assert 0 < across[:50].max() - across[-1] < 50
