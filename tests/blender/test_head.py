"""The head in the scene: a cap of a sphere that turns from side to side, from a worker that computes nothing."""

from __future__ import annotations

import collections
import io
import json
import math
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Euler, Matrix, Vector
from versions import add_movie_at_its_own_speed, handles, trim

ROOT = Path(__file__).resolve().parents[2]
FRAMES, RATE = 50, 25
ROWS, COLUMNS = 14, 12
RADIUS = 0.09
LOST = 20  # the frame in which there is no face
SQUARE = (70.0, 70.0, 32.0, 32.0, 64, 64)
WIDE = (1500.0, 1500.0, 900.0, 560.0, 1920, 1080)
TALL = (800.0, 750.0, 350.0, 700.0, 720, 1280)  # and pixels that are taller than wide


def head_arrays(intrinsics: tuple[float, ...] = SQUARE) -> dict[str, Any]:
    """The arrays of a head file."""
    rows, columns = np.meshgrid(np.linspace(-1, 1, ROWS), np.linspace(-1, 1, COLUMNS), indexing="ij")
    around, up = columns * 1.2, -rows * 1.2
    vertices = RADIUS * np.stack([np.sin(around) * np.cos(up), np.sin(up), np.cos(around) * np.cos(up)], axis=-1)
    mask = rows**2 + columns**2 < 1.7
    shoulders = np.stack([columns, -0.3 - rows, np.full_like(rows, -0.7)], axis=-1)
    time = np.arange(FRAMES) / RATE
    return {
        "version": np.array(2),
        "vertices": vertices.astype(np.float32),
        "back": np.where(border(mask)[..., None], vertices, vertices * [1, 1, -1]).astype(np.float32),
        "mask": mask,
        "confidence": (1 - 0.4 * np.abs(columns)).astype(np.float32),
        "uv": np.stack([columns + 1, 1 - rows], axis=-1).astype(np.float32) / 2,
        "times": time,
        "found": np.arange(FRAMES) != LOST,
        "poses": np.array([pose(seconds) for seconds in time], np.float32),
        "intrinsics": np.array(intrinsics),
        "curve_names": np.array(["jaw_open", "eye_open_left", "lip_shape_1"]),
        "curves": np.stack([np.sin(time) ** 2, np.cos(time), 6 * np.sin(3 * time)], axis=1).astype(np.float32),
        "torso_vertices": shoulders.astype(np.float32),
        "torso_mask": rows > 0,
        "plate_depth": np.array(1.5),
        "directions": np.array([[-40, -20], [40, -20], [0, 30]], np.float32),
        "margin": np.array(5.0),
    }  # fmt: skip


def border(mask: np.ndarray) -> np.ndarray:
    """The vertices of a mask that do not lie between four cells of it."""
    cells = np.pad(mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:], 1)
    return mask & ~(cells[:-1, :-1] & cells[1:, :-1] & cells[:-1, 1:] & cells[1:, 1:])


def pose(seconds: float) -> Matrix:
    turn = Euler((0.1 * math.cos(3 * seconds), 0.4 * math.sin(4 * seconds), 0.05 * seconds)).to_matrix().to_4x4()
    return Matrix.Translation((0.02 * math.sin(seconds), 0.01, -0.6 + 0.03 * math.cos(2 * seconds))) @ turn


@pytest.fixture
def hand_out(tmp_path, monkeypatch, fake_worker):
    """Sets the head that the worker returns, with a plate of a colour."""
    folder = tmp_path / "engine"
    folder.mkdir()
    path = folder / "head.npz"
    monkeypatch.setenv("S2L_FAKE_HEAD", str(path))

    def hand_out(intrinsics: tuple[float, ...] = SQUARE, **changes: Any) -> Path:
        np.savez_compressed(path, **{**head_arrays(intrinsics), **changes})
        return path

    plate = bpy.data.images.new("Plate", 8, 8)
    plate.pixels.foreach_set(np.tile(np.array([0.0, 1.0, 0.0, 1.0], np.float32), 64))
    plate.filepath_raw, plate.file_format = str(folder / "head_plate.png"), "PNG"
    plate.save()
    bpy.data.images.remove(plate)
    hand_out()
    return hand_out


@pytest.fixture
def footage(scene, strips, movie, tmp_path):
    """A movie strip from frame 11 on with 10 frames trimmed off its start and 5 off its end, and a chosen speaker."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    strip = strips.new_movie("Interview", str(movie), 1, 1)
    trim(strip, 10, 5)
    scene.s2l.dub.speaker_path = str(tmp_path / "Ada.s2l")
    return strip


@pytest.fixture
def create(footage, hand_out):
    """Creates the head and returns its Empty."""

    def create() -> Any:
        assert bpy.ops.s2l.create_head() == {"FINISHED"}
        return bpy.context.object

    return create


def child(head: Any, name: str) -> Any:
    return next(item for item in head.children if item.name.startswith(name))


def footage_pixels(head: Any, intrinsics: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The UV coordinates in the movie at the current frame, and the vertices of the mesh in the head's axes."""
    mesh = child(head, "Head Mesh").evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    uv, corners = np.empty((len(mesh.loops), 2), np.float32), np.empty(len(mesh.loops), np.int32)
    mesh.uv_layers["Footage"].uv.foreach_get("vector", uv.ravel())
    mesh.loops.foreach_get("vertex_index", corners)
    vertices = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", vertices.ravel())
    width, height = intrinsics[4:]
    return np.stack([uv[:, 0] * width, (1 - uv[:, 1]) * height], axis=1), vertices[corners]


def projected(vertices: np.ndarray, camera_from_head: np.ndarray, intrinsics: tuple[float, ...]) -> np.ndarray:
    """Where the footage's camera sees points of the head."""
    fx, fy, cx, cy = intrinsics[:4]
    x, y, z = (vertices @ camera_from_head[:3, :3].T + camera_from_head[:3, 3]).T
    return np.stack([cx - fx * x / z, cy + fy * y / z], axis=1)


def assert_footage_sticks(head: Any, intrinsics: tuple[float, ...] = SQUARE) -> None:
    """The mesh takes the movie from where the footage shows it, on all frames with a face."""
    poses = head_arrays()["poses"]
    for frame in (11, 12, 30, 45):
        bpy.context.scene.frame_set(frame)
        pixels, vertices = footage_pixels(head, intrinsics)
        assert np.abs(pixels - projected(vertices, poses[frame - 1], intrinsics)).max() < 1e-3


def test_head_is_made_in_a_collection_of_its_own(scene, create) -> None:
    head = create()
    (collection,) = scene.collection.children
    assert collection.name == "Head Ada"
    assert {item.name for item in collection.objects} == {
        *("Head", "Head Mesh", "Head Projector", "Head Torso", "Head Plate")
    }
    assert (head.type, head.select_get(), head.s2l.is_head) == ("EMPTY", True, True)
    assert child(head, "Head Mesh").matrix_basis == Matrix()
    assert child(head, "Head Projector").hide_render


def test_mesh_is_the_part_of_the_grid_that_the_mask_covers_in_front_and_on_the_back(create) -> None:
    arrays = head_arrays()
    mesh = child(create(), "Head Mesh").data
    mask = arrays["mask"]
    cells = (mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]).sum()
    assert len(mesh.polygons) == 2 * cells
    assert all(polygon.loop_total == 4 and polygon.use_smooth for polygon in mesh.polygons)
    front = [polygon for polygon in mesh.polygons if polygon.index < cells]
    assert all(polygon.normal.dot(polygon.center) > 0 for polygon in front)  # they face the camera
    vertex = mesh.vertices[mesh.loops[0].vertex_index]
    (row,), (column,) = np.nonzero(np.all(np.isclose(arrays["vertices"], vertex.co, atol=1e-6), axis=-1))
    assert mesh.uv_layers["Canonical"].uv[0].vector[:] == pytest.approx(arrays["uv"][row, column])
    confidence = mesh.attributes["confidence"].data[vertex.index].value
    assert confidence == pytest.approx(arrays["confidence"][row, column])
    assert not mesh.validate()


def test_mesh_is_closed(create) -> None:
    mesh = child(create(), "Head Mesh").data
    faces = collections.Counter(key for polygon in mesh.polygons for key in polygon.edge_keys)
    assert set(faces.values()) == {2}


def test_neck_and_shoulders_show_the_movie_where_the_footage_does(scene, hand_out, create) -> None:
    hand_out(WIDE)
    create()
    mesh, (fx, fy, cx, cy, width, height) = scene.objects["Head Torso"].data, WIDE
    for loop in mesh.loops:
        x, y, z = mesh.vertices[loop.vertex_index].co
        expected = (cx + fx * x / -z) / width, 1 - (cy - fy * y / -z) / height
        assert mesh.uv_layers["Footage"].uv[loop.index].vector[:] == pytest.approx(expected, abs=1e-5)
    assert len(mesh.polygons) == (ROWS // 2 - 1) * (COLUMNS - 1)
    assert all(polygon.normal.z > 0 for polygon in mesh.polygons)


def test_head_without_shoulders_in_the_picture_is_made_without_them(scene, hand_out, create) -> None:
    hand_out(torso_mask=np.zeros((ROWS, COLUMNS), bool))
    create()
    assert "Head Torso" not in scene.objects


@pytest.mark.parametrize("intrinsics", [SQUARE, WIDE, TALL])
def test_movie_lies_on_the_head_where_the_footage_shows_it(hand_out, create, intrinsics) -> None:
    hand_out(intrinsics)
    assert_footage_sticks(create(), intrinsics)


def test_movie_stays_on_a_head_that_is_posed_by_hand(create) -> None:
    head = create()
    bpy.ops.s2l.toggle_tracked_pose()
    head.location, head.rotation_quaternion, head.scale = (3.0, 1.0, 2.0), (0.6, 0.0, 0.8, 0.0), (2.0, 2.0, 2.0)
    assert_footage_sticks(head)
    assert head.matrix_world.translation == Vector((3.0, 1.0, 2.0))


def test_tracked_pose_and_expression_are_baked_where_a_face_was_found(scene, create) -> None:
    head, arrays = create(), head_arrays()
    for frame in (11, 12, 33, 45):
        scene.frame_set(frame)
        assert np.abs(np.array(head.matrix_world) - arrays["poses"][frame - 1]).max() < 1e-6
        assert [head[name] for name in arrays["curve_names"]] == pytest.approx(arrays["curves"][frame - 1], abs=1e-6)
    curves = curves_of(head)
    assert {curve.group.name for curve in curves} == {"Tracked Pose", "Expression"}
    for curve in curves:
        keyed = [round(key.co.x) for key in curve.keyframe_points]
        assert keyed == [frame for frame in range(11, 46) if frame - 1 != LOST]
    quaternions = np.array([[key.co.y for key in curve.keyframe_points] for curve in curves[3:7]])
    assert (quaternions[:, 1:] * quaternions[:, :-1]).sum(axis=0).min() > 0.9  # no flips


def curves_of(head: Any) -> list[Any]:
    (layer,) = head.animation_data.action.layers
    return list(layer.strips[0].channelbag(head.animation_data.action_slot).fcurves)


def test_expression_says_what_it_means_and_reaches_as_far_as_it_goes(create) -> None:
    head = create()
    jaw, lips = (head.id_properties_ui(name).as_dict() for name in ("jaw_open", "lip_shape_1"))
    assert (jaw["soft_min"], jaw["soft_max"]) == (0.0, 1.0)
    assert "height of the face" in jaw["description"]
    assert lips["max"] > 5.9 > lips["soft_max"]


@pytest.mark.parametrize("own_speed", [False, True])
@pytest.mark.parametrize("media_rate", [(25, 1.0), (30, 1.001)])
def test_movie_on_the_head_shows_the_frame_of_its_strip(
    module, scene, create, make_movie, shown_grey, footage, own_speed, media_rate
) -> None:
    scene.sequence_editor.strips.remove(footage)
    path = make_movie(*media_rate, FRAMES)
    if own_speed:
        add_movie_at_its_own_speed(scene, path, 3)
    else:
        scene.sequence_editor.strips.new_movie("Take", str(path), 1, 3)
    strip = scene.sequence_editor.strips[0]
    trim(strip, 7, 4)
    create()
    bpy.ops.s2l.match_camera()
    first, end = handles(strip)
    frames = (first, first + 1, (first + end) // 2, end - 1)
    in_sequencer = [shown_grey(scene, frame) for frame in frames]
    scene.render.use_sequencer = False
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
    assert [shown_grey(scene, frame) for frame in frames] == pytest.approx(in_sequencer, abs=0.006)


def test_movie_on_the_head_keeps_step_in_an_animation(module, scene, create, make_movie, footage, tmp_path) -> None:
    scene.sequence_editor.strips.remove(footage)
    add_movie_at_its_own_speed(scene, make_movie(30, 1.001, FRAMES), 1)
    (strip,) = scene.sequence_editor.strips
    create()
    bpy.ops.s2l.match_camera()
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.render.use_sequencer, scene.view_settings.view_transform = False, "Standard"
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
    scene.render.filepath, scene.frame_start, scene.frame_end = f"{tmp_path}/shown_", 4, 12
    bpy.ops.render.render(animation=True)
    strips_module = module("s2l_blender_addon.sequencer.strips")
    expected = strips_module.media_frames(strip, strips_module.playback(scene, strip))
    assert expected[3:12] != list(range(expected[3], expected[3] + 9))  # frames are left out
    for frame in range(4, 13):
        image = bpy.data.images.load(f"{tmp_path}/shown_{frame:04}.png")
        assert round(image.pixels[4 * (8 * 16 + 8)] * FRAMES) == expected[frame - 1]


def test_head_remembers_what_it_was_made_from(scene, create, footage, tmp_path) -> None:
    settings = create().s2l
    assert settings.speaker_path == str(tmp_path / "Ada.s2l")
    assert Path(settings.movie_path).samefile(footage.filepath)
    assert (settings.start, settings.end) == pytest.approx((10 / 25, 45 / 25))
    job = json.loads((tmp_path / "speech2lip/Ada_head.json").read_text())["footage"]
    assert (settings.start, settings.end) == (job["start"], job["end"])  # the engine knows the span again
    assert (settings.origin, settings.seconds_per_frame) == pytest.approx((1.0, 1 / 25))
    assert (settings.first, settings.end_frame) == (11, 46)
    assert [tuple(corner.angles) for corner in settings.directions] == [(-40, -20), (40, -20), (0, 30)]
    assert settings.margin == 5.0
    assert (tmp_path / "speech2lip/Ada_head.npz").is_file()


def test_dubbed_strip_gives_the_head_its_own_movie(scene, strips, create, make_movie) -> None:
    dubbed = strips.new_movie("Interview Dubbed", str(make_movie(25, 1.0, 40)), 2, 21)
    dubbed["s2l_footage"], dubbed["s2l_sound"] = "Interview", "Line"
    scene.sequence_editor.active_strip = dubbed
    head = create()
    assert head.s2l.movie_path == dubbed.filepath
    assert (head.s2l.first, head.s2l.end_frame) == (21, 61)
    texture = child(head, "Head Mesh").data.materials[0].node_tree.nodes.active
    assert Path(bpy.path.abspath(texture.image.filepath)).samefile(dubbed.filepath)


def test_head_is_that_of_the_chosen_face(module, scene, create, footage, tmp_path) -> None:
    module("s2l_blender_addon.sequencer.strips").choose_face(scene, footage.name, (0.75, 0.3))
    head = create()
    job = json.loads((tmp_path / "speech2lip/Ada_head.json").read_text())
    assert job["footage"]["face"] == pytest.approx([0.75, 0.3, 0.0])
    assert module("s2l_blender_addon.sequencer.strips").chosen_face(head) == tuple(job["footage"]["face"])


def test_plate_fills_the_footage_behind_the_head(scene, hand_out, create) -> None:
    hand_out(WIDE)
    create()
    bpy.ops.s2l.match_camera()
    plate = scene.objects["Head Plate"]
    corners = [world_to_camera_view(scene, scene.camera, vertex.co) for vertex in plate.data.vertices]
    assert [value for corner in corners for value in corner] == pytest.approx(
        [0, 0, 1.5, 1, 0, 1.5, 1, 1, 1.5, 0, 1, 1.5], abs=1e-5
    )


def test_plate_stands_behind_the_head_however_that_turns(scene, hand_out, create) -> None:
    hand_out(plate_depth=np.array(0.6))  # where the head is
    create()
    nearest = -max(vertex.co.z for vertex in scene.objects["Head Plate"].data.vertices)
    assert nearest == pytest.approx(-head_arrays()["poses"][:, 2, 3].min() + RADIUS, abs=1e-4)


def test_head_without_a_plate_is_made_without_it(scene, hand_out, create) -> None:
    (hand_out().parent / "head_plate.png").unlink()
    create()
    assert "Head Plate" not in scene.objects


@pytest.mark.parametrize("intrinsics", [SQUARE, WIDE, TALL])
@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
def test_matched_camera_sees_the_mesh_on_the_footage(scene, hand_out, create, intrinsics, fit) -> None:
    hand_out(intrinsics)
    head = create()
    scene.camera = bpy.data.objects.new("Mine", bpy.data.cameras.new("Mine"))
    scene.collection.objects.link(scene.camera)
    scene.camera.location, scene.camera.data.sensor_fit = (4.0, 5.0, 6.0), fit
    scene.camera.data.type = "ORTHO"
    assert bpy.ops.s2l.match_camera() == {"FINISHED"}
    assert scene.camera.name == "Mine"
    assert (scene.render.resolution_x, scene.render.resolution_y) == intrinsics[4:]
    for frame in range(11, 46):
        scene.frame_set(frame)
        pixels, vertices = footage_pixels(head, intrinsics)
        seen = [world_to_camera_view(scene, scene.camera, head.matrix_world @ Vector(point)) for point in vertices]
        seen_pixels = np.array(seen)[:, :2] * (1, -1) * intrinsics[4:] + (0, intrinsics[5])
        if frame - 1 != LOST:
            assert np.abs(seen_pixels - pixels).max() < 2e-3


def test_match_camera_adds_a_camera_where_there_is_none(scene, create) -> None:
    create()
    bpy.ops.s2l.match_camera()
    assert scene.camera.name == "Head Camera"
    bpy.ops.s2l.match_camera()
    assert {item.name for item in scene.objects if item.type == "CAMERA"} == {"Head Projector", "Head Camera"}


def test_match_camera_leaves_a_camera_that_is_animated_alone(scene, create) -> None:
    create()
    mine = bpy.data.objects.new("Mine", bpy.data.cameras.new("Mine"))
    scene.collection.objects.link(mine)
    mine.keyframe_insert("location", frame=1)
    lens, scene.camera = mine.data.lens, mine
    bpy.ops.s2l.match_camera()
    assert (scene.camera.name, mine.data.lens) == ("Head Camera", lens)


def test_match_camera_follows_a_head_that_was_moved_with_its_parent(scene, create) -> None:
    head = create()
    head.parent = bpy.data.objects.new("Stage", None)
    scene.collection.objects.link(head.parent)
    head.parent.matrix_world = Matrix.Translation((1.0, 2.0, 3.0)) @ Euler((0.3, 0.2, 0.1)).to_matrix().to_4x4()
    bpy.context.view_layer.update()
    bpy.ops.s2l.match_camera()
    scene.frame_set(20)
    pixels, vertices = footage_pixels(head, SQUARE)
    seen = world_to_camera_view(scene, scene.camera, head.matrix_world @ Vector(vertices[0]))
    assert (64 * seen.x, 64 * (1 - seen.y)) == pytest.approx(tuple(pixels[0]), abs=1e-3)


def test_match_camera_leaves_a_resolution_of_the_same_aspect_alone(scene, create) -> None:
    create()
    scene.render.resolution_x = scene.render.resolution_y = 500
    bpy.ops.s2l.match_camera()
    assert (scene.render.resolution_x, scene.render.resolution_y) == (500, 500)


def test_match_camera_leaves_every_resolution_alone_when_told_to(scene, create) -> None:
    create()
    scene.render.resolution_x, scene.render.resolution_y = 500, 300
    assert bpy.ops.s2l.match_camera(resize=False) == {"FINISHED"}
    assert (scene.render.resolution_x, scene.render.resolution_y) == (500, 300)
    scene.render.resolution_x, scene.render.resolution_percentage = 50, 1
    with pytest.raises(RuntimeError, match="resolution is 0 x 3 pixels"):
        bpy.ops.s2l.match_camera(resize=False)


def test_tracked_pose_is_muted_and_comes_back(scene, create) -> None:
    head = create()
    scene.frame_set(30)
    tracked = head.matrix_world.copy()
    bpy.ops.s2l.toggle_tracked_pose()
    head.location.x = 7.0
    jaw = head["jaw_open"]
    scene.frame_set(40)
    assert head.location.x == 7.0
    assert head["jaw_open"] != jaw  # the expression goes on
    bpy.ops.s2l.toggle_tracked_pose()
    scene.frame_set(30)
    assert np.abs(np.array(head.matrix_world) - np.array(tracked)).max() < 1e-6


def test_head_is_undone_in_one_step(scene, footage, hand_out) -> None:
    kinds = ("objects", "collections", "meshes", "materials", "actions", "images", "cameras")
    bpy.ops.ed.undo_push(message="Before")
    before = {kind: list(getattr(bpy.data, kind).keys()) for kind in kinds}
    bpy.ops.s2l.create_head("EXEC_DEFAULT", True)
    assert "Head" in bpy.data.objects
    bpy.ops.ed.undo()
    assert {kind: list(getattr(bpy.data, kind).keys()) for kind in kinds} == before
    bpy.ops.ed.redo()
    assert_footage_sticks(bpy.data.objects["Head"])


@pytest.fixture
def saved(create, tmp_path) -> Path:
    """A .blend file with a head."""
    create()
    path = tmp_path / "saved.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def test_head_survives_saving_and_opening(saved) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(saved))
    head = bpy.data.objects["Head"]
    assert_footage_sticks(head)
    assert head.s2l.is_head
    assert bpy.ops.s2l.match_camera() == {"FINISHED"}


@pytest.mark.parametrize("is_linked", [False, True])
def test_head_can_be_appended_and_linked(saved, is_linked) -> None:
    head = load_head(saved, is_linked)
    assert_footage_sticks(head)
    assert bpy.ops.s2l.match_camera() == {"FINISHED"}
    assert bpy.ops.s2l.toggle_tracked_pose.poll() is not is_linked
    bpy.context.scene.camera.location.x = 5.0
    assert bpy.ops.s2l.check_view() == {"FINISHED"}
    assert "outside of what the footage shows" in head.s2l.warning


def test_overridden_head_can_be_moved_and_keeps_its_footage(module, saved) -> None:
    linked = load_head(saved, True)
    scene, collection = bpy.context.scene, linked.users_collection[0]
    collection.override_hierarchy_create(scene, bpy.context.view_layer)
    head = next(item for item in scene.objects if item.s2l.is_head and item.override_library)
    assert_footage_sticks(head)
    assert child(head, "Head Mesh").override_library
    head.parent = bpy.data.objects.new("Stage", None)
    scene.collection.objects.link(head.parent)
    head.parent.location.x = 2.0
    head["jaw_open"] = 0.25
    assert_footage_sticks(head)
    assert head.matrix_world.translation.x > 1.9


def load_head(path: Path, is_linked: bool) -> Any:
    """Link or append the head's collection in a new file."""
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(path), link=is_linked) as (_, wanted):
        wanted.collections = ["Head Ada"]
    bpy.context.scene.collection.children.link(wanted.collections[0])
    bpy.context.view_layer.update()
    return next(item for item in wanted.collections[0].objects if item.s2l.is_head)


def test_nothing_of_python_stays_with_blender(create) -> None:
    handlers = [name for name in dir(bpy.app.handlers) if isinstance(getattr(bpy.app.handlers, name), list)]
    before = {name: len(getattr(bpy.app.handlers, name)) for name in handlers}
    create()
    bpy.ops.s2l.match_camera()
    assert {name: len(getattr(bpy.app.handlers, name)) for name in handlers} == before
    assert not any(curve.driver for item in bpy.data.objects for curve in getattr(item.animation_data, "drivers", ()))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:900])


def pickle_something(path: Path) -> None:
    np.savez(path, **{**head_arrays(), "times": np.array([print], object)})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": np.array(3)}, "newer version"),
        ({"version": np.array(1)}, r"older version of Speech2Lip\. Create the head again"),
        ({"version": np.array("1")}, "not a head file"),
        ({"vertices": np.zeros((ROWS, COLUMNS, 2), np.float32)}, "vertices has the shape"),
        ({"mask": np.zeros((ROWS, COLUMNS + 1), bool)}, "mask has the shape"),
        ({"mask": np.zeros((ROWS, COLUMNS), bool)}, "contains no head"),
        ({"found": np.zeros(FRAMES, bool)}, "contains no head"),
        ({"poses": np.full((FRAMES, 4, 4), np.nan, np.float32)}, "poses contains values that are not finite"),
        ({"uv": np.zeros((ROWS, COLUMNS, 2), "S1")}, "uv contains"),
        ({"times": np.zeros(FRAMES)}, "times do not increase"),
        ({"times": np.arange(FRAMES) + 100.0}, "No face was found in the frames of"),
        ({"intrinsics": np.array([0.0, 1, 1, 1, 64, 64])}, "focal lengths"),
        ({"directions": np.zeros((0, 2), np.float32)}, "directions has the shape"),
        ({"directions": np.zeros((100_000, 2), np.float32)}, "directions has the shape"),
        ({"margin": np.array(np.nan)}, "margin contains values that are not finite"),
    ],
)
def test_head_file_with_nonsense_gets_a_sentence_and_makes_nothing(scene, footage, hand_out, changes, sentence) -> None:
    hand_out(**changes)
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.s2l.create_head()
    assert not scene.objects
    assert not bpy.data.collections


@pytest.mark.parametrize("spoil", [cut_short, pickle_something, lambda path: path.write_text("no head")])
def test_head_file_that_cannot_be_read_gets_a_sentence(scene, footage, hand_out, spoil) -> None:
    spoil(hand_out())
    with pytest.raises(RuntimeError, match="cannot be read"):
        bpy.ops.s2l.create_head()
    assert not scene.objects


def test_head_file_that_is_missing_gets_a_sentence(module, tmp_path) -> None:
    with pytest.raises(module("s2l_core.errors").FileMissing, match=r"is missing\. Create the head again"):
        module("s2l_blender_addon.head.file").read(tmp_path / "head.npz")


def test_buttons_say_why_they_are_grey(module, scene, footage) -> None:
    create = module("operators").S2L_OT_create_head
    assert create.disabled_reason(bpy.context) == ""
    scene.s2l.dub.speaker_path = ""
    assert create.disabled_reason(bpy.context) == "Choose a speaker file, or train a speaker"
    scene.s2l.dub.speaker_path = "Ada.s2l"
    scene.sequence_editor.strips.remove(footage)
    assert create.disabled_reason(bpy.context) == "Select the movie or image strip of the speaker"
    for operator in (bpy.ops.s2l.create_head, bpy.ops.s2l.match_camera, bpy.ops.s2l.toggle_tracked_pose):
        assert not operator.poll()


def test_movie_that_is_missing_gets_a_sentence(scene, footage, hand_out) -> None:
    footage.filepath = "//gone.mp4"
    with pytest.raises(RuntimeError, match="The file of the strip Interview is missing"):
        bpy.ops.s2l.create_head()


def test_movie_that_vanishes_meanwhile_gets_a_sentence(module, scene, footage, hand_out, movie, tmp_path) -> None:
    footage.filepath = str(shutil.copy(movie, tmp_path))
    create_head, operator = module("operators").S2L_OT_create_head, SimpleNamespace()
    create_head.gather(operator, bpy.context)
    Path(footage.filepath).unlink()
    with pytest.raises(module("s2l_core.errors").FileMissing, match=r"The movie .* is missing"):
        create_head.finish(operator, bpy.context, {"output_path": str(hand_out())})
    assert not bpy.data.collections


def test_head_without_its_action_cannot_be_muted(scene, create) -> None:
    head = create()
    head.animation_data_clear()
    assert not bpy.ops.s2l.toggle_tracked_pose.poll()


def test_scene_that_vanishes_meanwhile_loses_no_file(module, scene, footage, hand_out, tmp_path) -> None:
    create_head, operator = module("operators").S2L_OT_create_head, SimpleNamespace()
    job = create_head.gather(operator, bpy.context)
    scene.name = "Renamed"
    assert job.output_path in create_head.finish(operator, bpy.context, {"output_path": job.output_path})
    assert json.loads(module("s2l_core.jobs").to_json(job))["verb"] == "head"


def remembered(corners: list[tuple[float, float]], margin: float) -> SimpleNamespace:
    """The properties of a head with these trusted directions."""
    return SimpleNamespace(directions=[SimpleNamespace(angles=corner) for corner in corners], margin=margin)


def as_row(pose: Matrix) -> list[float]:
    return [value for row in pose for value in row]


RENDERER = """
import json, sys
import numpy as np
from s2l_core.geometry.trust import trust_region
poses = np.reshape(json.load(sys.stdin), (-1, 4, 4))
cases = []
for count in (1, 2, 3, 40):
    region = trust_region(np.random.default_rng(count).normal(0.0, (12.0, 6.0), (count, 2)))
    cases.append((region.hull.tolist(), region.margin, [region.degrees_outside(pose) for pose in poses]))
json.dump(cases, sys.stdout)
"""


@pytest.mark.skipif("S2L_WORKER_PYTHON" not in os.environ, reason="needs a Python with the library")
def test_view_is_as_far_outside_as_the_renderer_says(module) -> None:
    """A box around the footage's directions contradicts the renderer, which knows their convex hull."""
    rng = np.random.default_rng(0)
    poses = [
        as_row(Matrix.Translation((x, y, 700)) @ Euler((0.3 * pitch, 0.6 * yaw, roll), "YXZ").to_matrix().to_4x4())
        for (x, y), (pitch, yaw, roll) in zip(rng.normal(0, 200, (50, 2)), rng.normal(0, 1, (50, 3)), strict=True)
    ]
    ended = subprocess.run(
        [os.environ["S2L_WORKER_PYTHON"], "-c", RENDERER], input=json.dumps(poses), cwd=ROOT, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    degrees_outside = module("s2l_blender_addon.head.trust").degrees_outside
    for corners, margin, expected in json.loads(ended.stdout):
        found = [degrees_outside(pose, remembered(corners, margin)) for pose in poses]
        assert found == pytest.approx(expected, abs=1e-3)
        assert 0.0 in found and max(found) > 10.0


def test_head_at_the_edge_of_the_picture_is_seen_from_its_side(module) -> None:
    pose = Matrix.Translation((700, 0, 700))  # half a right angle to the right, and not turned with the view
    head = remembered([(-25, -15), (25, -15), (25, 15), (-25, 15)], 0.0)
    assert module("s2l_blender_addon.head.trust").degrees_outside(as_row(pose), head) == pytest.approx(20, abs=1e-3)


def test_camera_beside_the_head_is_warned_of(scene, create) -> None:
    head = create()
    assert not bpy.ops.s2l.check_view.poll()
    bpy.ops.s2l.match_camera()
    bpy.ops.s2l.check_view()
    assert head.s2l.warning == ""
    scene.camera.matrix_world = Matrix.Translation((2.0, 0.0, -0.6)) @ Matrix.Rotation(math.pi / 2, 4, "Y")
    bpy.ops.s2l.check_view()
    assert re.fullmatch(r"Frame 1: Head Camera sees Head \d\d° outside of what the footage shows", head.s2l.warning)
    head.scale = (0, 0, 0)
    with pytest.raises(RuntimeError, match="scale of the head is zero"):
        bpy.ops.s2l.check_view()


def claim_a_huge_array(path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("vertices.npy", header.getvalue())


def unpack_to_a_megabyte(path: Path) -> None:
    np.savez_compressed(path, vertices=np.zeros(1 << 20, np.uint8))


@pytest.mark.parametrize("spoil", [claim_a_huge_array, unpack_to_a_megabyte, os.mkfifo])
def test_head_file_is_measured_before_anything_is_allocated(module, tmp_path, monkeypatch, spoil) -> None:
    monkeypatch.setattr(module("s2l_blender_addon.head.file"), "_LARGEST", 100_000)
    path = tmp_path / "head.npz"
    spoil(path)
    with pytest.raises(module("s2l_core.errors").HeadFileBroken, match="cannot be read"):
        module("s2l_blender_addon.head.file").read(path)
