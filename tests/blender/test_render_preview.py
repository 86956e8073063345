"""The engine in a 3D viewport, for which an off-screen buffer stands in."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace

import bpy
import gpu
import numpy as np
import pytest
from mathutils import Matrix

WIDTH, HEIGHT = 80, 40


@pytest.fixture(scope="module")
def graphics() -> None:
    """Without a window, Blender initialises the graphics card at the first render that needs it."""
    scene = bpy.data.scenes.new("Graphics")
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    bpy.ops.render.render(scene=scene.name)
    bpy.data.scenes.remove(scene)


@pytest.fixture
def context(stage):
    """A viewport that looks through the scene's camera."""
    projection = stage.camera.calc_matrix_camera(bpy.context.evaluated_depsgraph_get(), x=WIDTH, y=HEIGHT)
    region_data = SimpleNamespace(window_matrix=projection, view_matrix=stage.camera.matrix_world.inverted())
    return SimpleNamespace(region=SimpleNamespace(width=WIDTH, height=HEIGHT), region_data=region_data)


@pytest.fixture
def preview(graphics, stage, context, module):
    """Draws the viewport, once or until nothing more comes: pixels (height, width, 4), bottom row first, and a line."""
    preview = module("s2l_blender_addon.head.render_preview").RenderPreview()
    buffer = gpu.types.GPUOffScreen(WIDTH, HEIGHT, format="RGBA32F")

    def draw() -> tuple[np.ndarray, str]:
        with buffer.bind(), gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
            framebuffer = gpu.state.active_framebuffer_get()
            framebuffer.clear(color=(0.0, 0.0, 0.0, 0.0))
            gpu.matrix.load_matrix(Matrix.Translation((-1, -1, 0)) @ Matrix.Diagonal((2 / WIDTH, 2 / HEIGHT, 1, 1)))
            gpu.matrix.load_projection_matrix(Matrix())
            line = preview.draw(context, bpy.context.evaluated_depsgraph_get())
            return np.array(framebuffer.read_color(0, 0, WIDTH, HEIGHT, 4, 0, "FLOAT").to_list()), line

    def finish() -> tuple[np.ndarray, str]:
        drawn, deadline = draw(), time.monotonic() + 10
        while preview.is_waiting:
            assert time.monotonic() < deadline
            drawn = draw()
        return drawn

    yield SimpleNamespace(draw=draw, finish=finish)
    buffer.free()


def test_viewport_shows_the_picture_once_it_is_there(preview) -> None:
    pixels, _ = preview.draw()
    assert not pixels.any()
    pixels, line = preview.finish()
    assert line == ""
    red, green, blue, alpha = np.moveaxis(pixels, -1, 0)
    assert np.allclose(red, (np.arange(WIDTH) + 0.5) / WIDTH, atol=0.01)
    assert np.allclose(green.T, 1 - (np.arange(HEIGHT) + 0.5) / HEIGHT, atol=0.01)
    assert np.allclose(blue, 0.4, atol=1e-3)
    assert np.all(alpha == 1)


def test_picture_is_asked_for_once_until_something_changes(preview, stage, asked) -> None:
    for _ in range(3):
        preview.finish()
    assert len(asked()) == 1
    stage.scene.frame_set(3)
    pixels, _ = preview.finish()
    assert len(asked()) == 2
    assert np.allclose(pixels[..., 2], 0.48, atol=1e-3)


def test_viewport_sees_what_its_camera_renders(preview, stage, context, asked) -> None:
    stage.camera.data.shift_x, stage.camera.data.shift_y = 0.1, -0.05
    depsgraph = bpy.context.evaluated_depsgraph_get()
    context.region_data.window_matrix = stage.camera.calc_matrix_camera(depsgraph, x=WIDTH, y=HEIGHT)
    context.region_data.view_matrix = Matrix.Translation((0.1, 0, 0))
    preview.finish()
    focal = WIDTH * stage.camera.data.lens / stage.camera.data.sensor_width
    camera = {"fx": focal, "fy": focal, "cx": 40 - 0.1 * WIDTH, "cy": 20 - 0.05 * WIDTH, "width": 80, "height": 40}
    assert asked()[0]["camera"] == pytest.approx(camera, rel=1e-5)
    assert asked()[0]["pose"][3] == pytest.approx(100)


def test_large_viewports_show_few_pixels(module, context) -> None:
    context.region.width, context.region.height = 1920, 1080
    _, view = module("s2l_blender_addon.head.render_preview").view_of_region(context)
    assert (view.width, view.height) == (384, 216)
    assert math.isclose(view.fx, context.region_data.window_matrix[0][0] * 192)


def test_paused_viewport_keeps_its_picture_until_it_is_resumed(preview, stage, context, asked) -> None:
    before, _ = preview.finish()
    context.region_data.pause_render = True
    stage.scene.frame_set(3)
    paused, line = preview.finish()
    assert (line, len(asked())) == ("Rendering Paused", 1)
    assert np.array_equal(paused, before)
    context.region_data.pause_render = False
    resumed, _ = preview.finish()
    assert np.allclose(resumed[..., 2], 0.48, atol=1e-3)


def test_orthographic_view_is_explained(preview, context) -> None:
    context.region_data.window_matrix = Matrix()
    pixels, line = preview.draw()
    assert line == "The view is orthographic. Press 5 on the numpad for perspective, or 0 for the camera."
    assert not pixels.any()


def test_failed_picture_is_explained_and_not_asked_for_again(preview, fake_renderer, asked) -> None:
    fake_renderer("crash")
    _, line = preview.finish()
    for _ in range(3):
        assert "out of luck" in line
        _, line = preview.finish()
    assert len(asked()) == 1


def test_doubt_stays_with_its_picture(preview, fake_renderer) -> None:
    fake_renderer("render_turned_too_far")
    preview.finish()
    assert preview.draw()[1] == "The head is turned 12° outside of what the footage shows"
