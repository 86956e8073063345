"""Pinhole cameras compared with what Blender itself projects."""

from __future__ import annotations

import math

import bpy
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Euler, Matrix, Vector

POINTS = [Vector(point) for point in ((0.0, 0.0, 0.09), (-0.08, 0.03, 0.0), (0.07, -0.1, 0.02), (0.02, 0.12, -0.05))]
FITS = ("AUTO", "HORIZONTAL", "VERTICAL")
RENDERS = [
    (512, 512, 1.0, 1.0),
    (640, 360, 1.0, 1.0),
    (360, 640, 1.0, 1.0),
    (720, 576, 1.0667, 1.0),
    (720, 480, 1, 1.2),
]


@pytest.fixture
def cameras(module):
    return module("s2l_blender_addon.head.cameras")


@pytest.fixture
def view(module):
    """Makes a pinhole camera."""
    return module("s2l_core.jobs").CameraView


@pytest.fixture
def camera(scene):
    """A camera somewhere in the scene, looking at the head."""
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.matrix_world = Matrix.Translation((0.2, -0.1, 0.7)) @ Euler((0.1, 0.3, -0.05)).to_matrix().to_4x4()
    scene.camera = camera
    bpy.context.view_layer.update()
    return camera


def set_render(scene, width: int, height: int, aspect_x: float, aspect_y: float) -> None:
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = aspect_x, aspect_y


def blender_pixel(scene, camera, point: Vector) -> tuple[float, float]:
    """Where Blender renders a point of the world, in pixels from the upper left corner."""
    x, y, _ = world_to_camera_view(scene, camera, point)
    return x * scene.render.resolution_x, (1 - y) * scene.render.resolution_y


def pinhole_pixel(pose: tuple[float, ...], view, point: Vector) -> tuple[float, float]:
    """Where a pinhole camera sees a point of the head: metres in Blender's axes."""
    x, y, z, _ = Matrix([pose[0:4], pose[4:8], pose[8:12], pose[12:16]]) @ Vector(
        (1000 * point.x, -1000 * point.y, -1000 * point.z, 1)
    )
    return view.fx * x / z + view.cx, view.fy * y / z + view.cy


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("render", RENDERS)
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.13, -0.21)])
def test_view_projects_the_head_to_the_pixels_of_blender(cameras, scene, camera, fit, render, shift) -> None:
    set_render(scene, *render)
    camera.data.sensor_fit, camera.data.sensor_height, camera.data.lens = fit, 20.0, 42.0
    camera.data.shift_x, camera.data.shift_y = shift
    head = Matrix.Translation((0.05, 0.02, -0.1)) @ Euler((-0.2, 0.4, 0.1)).to_matrix().to_4x4()
    pose, view = cameras.camera_from_head(camera.matrix_world, head), cameras.view_of(scene, camera)
    for point in POINTS:
        assert math.dist(pinhole_pixel(pose, view, point), blender_pixel(scene, camera, head @ point)) < 2e-3


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("footage", [(512, 512), (640, 360), (360, 640)])
@pytest.mark.parametrize("pixel_aspect", [0.8, 1.0, 1.25])
@pytest.mark.parametrize("centre", [(0.5, 0.5), (0.41, 0.63)])
def test_matched_camera_projects_like_the_footage(
    cameras, view, scene, camera, fit, footage, pixel_aspect, centre
) -> None:
    width, height = footage
    wanted = view(900.0, 900.0 / pixel_aspect, centre[0] * width, centre[1] * height, width, height)
    camera.data.sensor_fit, camera.data.sensor_height, camera.data.shift_x = fit, 20.0, 0.5
    cameras.set_resolution(scene, wanted)
    cameras.match(scene, camera, wanted)
    camera.matrix_world = Matrix()
    for frame in range(20):
        head = Matrix.Translation((0, 0, -0.8)) @ Euler((0.02 * frame, 0.5 - 0.05 * frame, 0.1)).to_matrix().to_4x4()
        pose = cameras.camera_from_head(camera.matrix_world, head)
        for point in POINTS:
            expected = pinhole_pixel(pose, wanted, point)
            assert math.dist(blender_pixel(scene, camera, head @ point), expected) < 1e-3
    assert cameras.has_aspect(scene, wanted)


def test_match_gives_back_the_view_that_it_was_given(cameras, view, scene, camera) -> None:
    wanted = view(700.0, 800.0, 200.0, 260.0, 480, 640)
    cameras.set_resolution(scene, wanted)
    cameras.match(scene, camera, wanted)
    got = cameras.view_of(scene, camera)
    assert [got.fx, got.fy, got.cx, got.cy] == pytest.approx([700.0, 800.0, 200.0, 260.0], abs=1e-3)
    assert (got.width, got.height) == (480, 640)


def test_render_of_another_aspect_shows_all_of_the_footage_in_its_middle(cameras, view, scene, camera) -> None:
    set_render(scene, 1000, 500, 1.0, 1.0)
    square = view(600.0, 600.0, 256.0, 206.0, 512, 512)
    assert not cameras.has_aspect(scene, square)
    cameras.match(scene, camera, square)
    got = cameras.view_of(scene, camera)
    scale = 500 / 512
    assert [got.fx, got.fy] == pytest.approx([600 * scale] * 2)
    assert [got.cx, got.cy] == pytest.approx([500.0, 250 - 50 * scale])


def test_view_has_the_size_that_is_rendered(cameras, scene, camera) -> None:
    set_render(scene, 641, 361, 1.0, 1.0)
    whole = cameras.view_of(scene, camera)
    scene.render.resolution_percentage = 50
    half = cameras.view_of(scene, camera)
    assert (half.width, half.height) == (320, 180)
    assert half.fx == pytest.approx(whole.fx * 320 / 641)


def test_scaled_head_looks_like_one_of_its_own_size_that_is_nearer(cameras) -> None:
    head = Matrix.Translation((0.0, 0.0, -1.0)) @ Matrix.Scale(2.0, 4)
    pose = cameras.camera_from_head(Matrix.Scale(3.0, 4), head)
    assert pose == pytest.approx((1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 500, 0, 0, 0, 1))


@pytest.mark.parametrize(("kind", "word"), [("ORTHO", "orthographic"), ("PANO", "panoramic")])
def test_camera_without_perspective_gets_a_sentence_and_match_gives_it_one(
    module, cameras, view, scene, camera, kind, word
) -> None:
    camera.data.type = kind
    with pytest.raises(module("s2l_core.errors").BadJob, match=f"The camera Camera is {word}. Choose Perspective"):
        cameras.view_of(scene, camera)
    cameras.match(scene, camera, view(600.0, 600.0, 256.0, 256.0, 512, 512))
    assert cameras.view_of(scene, camera).fx > 0


def test_picture_without_size_gets_a_sentence(module, cameras, view, scene, camera) -> None:
    set_render(scene, 40, 40, 1.0, 1.0)
    scene.render.resolution_percentage = 1
    errors = module("s2l_core.errors")
    with pytest.raises(errors.BadJob, match="0 x 0 pixels"):
        cameras.view_of(scene, camera)
    with pytest.raises(errors.BadJob, match="0 x 0 pixels"):
        cameras.match(scene, camera, view(600.0, 600.0, 256.0, 256.0, 512, 512))


def test_head_without_size_gets_a_sentence(module, cameras) -> None:
    with pytest.raises(module("s2l_core.errors").BadJob, match="scale of the head is zero"):
        cameras.camera_from_head(Matrix(), Matrix.Scale(0.0, 4))
