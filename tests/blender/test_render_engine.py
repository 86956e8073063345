"""The render engine, with a fake worker whose pictures encode the job."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from exr import read_passes
from mathutils import Matrix
from versions import new_compositor_tree

WIDTH, HEIGHT = 32, 16  # of the stage


@pytest.fixture
def render(stage, tmp_path):
    """Renders a frame and returns its passes."""

    def render(frame: int = 1) -> dict[str, np.ndarray]:
        stage.scene.frame_set(frame)
        stage.scene.render.filepath = str(tmp_path / "still.exr")
        assert bpy.ops.render.render(write_still=True) == {"FINISHED"}
        return read_passes(tmp_path / "still.exr")

    return render


@pytest.fixture
def render_animation(stage, tmp_path):
    """Renders frames into a folder and returns the passes of each frame."""

    def render_animation(first: int, last: int, folder: str = "frames") -> list[dict[str, np.ndarray]]:
        stage.scene.frame_start, stage.scene.frame_end = first, last
        stage.scene.render.filepath = str(tmp_path / folder / "####.exr")
        bpy.ops.render.render(animation=True)
        return [read_passes(path) for path in sorted((tmp_path / folder).glob("*.exr"))]

    return render_animation


@pytest.fixture
def shown(module, monkeypatch):
    """The lines that are shown during renders."""
    engine = module("s2l_blender_addon.head.render_engine")
    shown: list[str] = []
    real_stats = engine.stats

    def stats(scene: Any, text: str) -> str:
        shown.append(real_stats(scene, text))
        return shown[-1]

    monkeypatch.setattr(engine, "stats", stats)
    return shown


@pytest.fixture
def break_off(stage, module, monkeypatch):
    """Renders as if the user pressed Escape at once."""

    def break_off() -> None:
        rendering = module("s2l_blender_addon.head.rendering")
        real_render = rendering.render
        with monkeypatch.context() as patch:
            patch.setattr(
                rendering,
                "render",
                lambda worker, job, is_cancelled, report: real_render(worker, job, lambda: True, report),
            )
            bpy.ops.render.render()

    return break_off


def test_the_chosen_face_is_rendered(stage, render, asked) -> None:
    render()
    stage.head.s2l.has_face, stage.head.s2l.face, stage.head.s2l.face_since = True, (0.75, 0.25), 1.5
    render()
    assert [job["footage"]["face"] for job in asked()] == [[], [0.75, 0.25, 1.5]]


def test_passes_are_colours_with_alpha_depth_and_mask(render) -> None:
    passes = render()
    alpha, blue, green, red = np.moveaxis(passes["Combined"], -1, 0)
    assert np.allclose(red, (np.arange(WIDTH) + 0.5) / WIDTH)
    assert np.allclose(green.T, (np.arange(HEIGHT) + 0.5) / HEIGHT)
    assert np.allclose(blue, 0.4)
    assert np.all(alpha == 1)
    assert np.allclose(passes["Depth"], 0.6)
    assert np.all(passes["Mask"][:, : WIDTH // 2] == 1)
    assert np.all(passes["Mask"][:, WIDTH // 2 :] == 0)


def test_head_is_asked_for_as_the_camera_sees_it(stage, render, asked) -> None:
    stage.camera.matrix_world = Matrix.Translation((0.1, 0.2, 0.0)) @ Matrix.Rotation(math.radians(10), 4, "Y")
    stage.camera.data.sensor_width, stage.camera.data.lens = 36.0, 72.0
    render()
    (job,) = asked()
    view = {"fx": 64.0, "fy": 64.0, "cx": 16.0, "cy": 8.0, "width": WIDTH, "height": HEIGHT}
    assert job["camera"] == pytest.approx(view)
    relative = stage.camera.matrix_world.inverted() @ stage.head.matrix_world
    x, y, z = relative.translation
    pose = np.array(job["pose"]).reshape(4, 4)
    assert pose[:3, 3] == pytest.approx([1000 * x, -1000 * y, -1000 * z], abs=1e-3)
    assert pose[0, 2] == pytest.approx(math.sin(math.radians(10)), abs=1e-6)
    footage = np.array(job["camera_from_footage"]).reshape(4, 4)
    assert footage[:3, 3] == pytest.approx(pose[:3, 3] - 600 * pose[:3, 2], abs=1e-3)  # the head is in front of it
    assert np.allclose(footage[:3, :3], pose[:3, :3])
    assert (job["background"], job["fade"], job["landmarks"], job["device"]) == (True, True, "bundled", "auto")


@pytest.mark.parametrize(("frame", "moment"), [(1, 0.4), (6, 0.6), (-20, 0.4), (100, 1.18)])
def test_movie_is_held_before_and_after_its_span(render, asked, movie, frame, moment) -> None:
    render(frame)
    (job,) = asked()
    assert job["moment"] == pytest.approx(moment)
    assert (job["footage"]["path"], job["footage"]["start"]) == (str(movie), pytest.approx(0.4))


def test_transparent_film_asks_for_the_head_alone(stage, render) -> None:
    stage.scene.render.film_transparent = True
    assert np.all(render()["Combined"][..., 0] == 0.5)


def test_poses_outside_of_the_footage_are_kept_where_the_scene_says_so(stage, render, asked) -> None:
    stage.scene.s2l.render.fade = False
    render()
    assert asked()[0]["fade"] is False


def test_first_of_several_heads_is_rendered_and_hidden_ones_are_not(stage, render, capfd) -> None:
    for name, distance in (("A", 0.3), ("B", 0.5)):
        other = stage.head.copy()
        other.name, other.location.z = name, -distance
        stage.scene.collection.objects.link(other)
    assert render()["Depth"][0, 0] == pytest.approx(0.3)
    assert warnings(capfd) == ["There are 3 heads: only A, the first by name, is rendered"]
    bpy.data.objects["A"].hide_render = True
    assert render()["Depth"][0, 0] == pytest.approx(0.5)


def test_head_in_an_instanced_collection_is_rendered_where_the_instance_is(stage, render, asked) -> None:
    collection = bpy.data.collections.new("Asset")
    stage.scene.collection.objects.unlink(stage.head)
    collection.objects.link(stage.head)
    instance = bpy.data.objects.new("Instance", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", collection
    instance.location.z = -0.4
    stage.scene.collection.objects.link(instance)
    assert render()["Depth"][0, 0] == pytest.approx(1.0)
    assert asked()[0]["camera_from_footage"][11] == pytest.approx(400)


def test_footage_camera_goes_along_with_the_parent_of_a_head(stage, render, asked) -> None:
    parent = bpy.data.objects.new("Parent", None)
    stage.scene.collection.objects.link(parent)
    stage.head.parent = parent
    parent.location.z = -0.2
    render()
    (job,) = asked()
    assert (job["pose"][11], job["camera_from_footage"][11]) == pytest.approx((800, 200))


def test_every_view_layer_has_the_picture(stage, render, tmp_path, asked) -> None:
    stage.scene.view_layers.new("Second")
    stage.scene.view_layers.new("Third").use = False
    render()
    assert len(asked()) == 2
    written = (tmp_path / "still.exr").read_bytes()
    assert b"Second.Combined" in written
    assert b"Third" not in written


def test_compositor_has_sockets_for_the_passes(stage) -> None:
    tree = new_compositor_tree(stage.scene)
    node = tree.nodes.new("CompositorNodeRLayers")
    node.scene = stage.scene
    assert {"Image", "Alpha", "Depth", "Mask"} <= {socket.name for socket in node.outputs if socket.enabled}


@pytest.mark.parametrize("crop", [False, True])
def test_border_shows_its_part_of_the_same_picture(stage, render, crop) -> None:
    whole = render()["Combined"]
    settings = stage.scene.render
    settings.use_border, settings.use_crop_to_border = True, crop
    settings.border_min_x, settings.border_max_x, settings.border_min_y, settings.border_max_y = 0.25, 0.5, 0.5, 1.0
    part = render()["Combined"]
    if not crop:
        assert part.shape == whole.shape
        part = part[: HEIGHT // 2, WIDTH // 4 : WIDTH // 2]
    assert np.array_equal(part, whole[: HEIGHT // 2, WIDTH // 4 : WIDTH // 2])


def test_border_has_the_pixels_that_blender_counts(stage, render, module) -> None:
    settings = stage.scene.render
    settings.resolution_x = settings.resolution_y = 100
    settings.use_border = settings.use_crop_to_border = True
    settings.border_min_x = settings.border_min_y = 0.0
    pixels = module("s2l_blender_addon.head.render_engine").pixels
    for share in (0.07, 0.29, 0.57, 0.7, 0.83):
        settings.border_max_x = settings.border_max_y = share
        passes = render()
        assert passes["Mask"].shape[:2] == (pixels(share, 100),) * 2
        assert passes["Depth"].all()


def test_chunks_are_the_frames_of_the_whole_animation(stage, render_animation) -> None:
    stage.camera.keyframe_insert("location", frame=1)
    stage.camera.location.x = 0.3
    stage.camera.keyframe_insert("location", frame=20)
    chunks = render_animation(1, 10, "chunk") and render_animation(11, 20, "chunk")
    whole = render_animation(1, 20, "whole")
    assert len(chunks) == len(whole) == 20
    for part, frame in zip(chunks, whole, strict=True):
        assert all(np.array_equal(part[name], frame[name]) for name in ("Combined", "Depth", "Mask"))


def test_one_process_renders_all_frames_and_leaves_no_files(render_animation, asked) -> None:
    render_animation(1, 5)
    assert len({job["process"] for job in asked()}) == 1
    folder = Path(asked()[0]["output_path"]).parent
    assert not list(folder.iterdir())


def test_stats_tell_what_remains_of_the_animation(render_animation, shown) -> None:
    render_animation(1, 3)
    assert not shown[0].startswith("Remaining")
    assert shown[-1].startswith("Remaining ")


def test_doubts_are_shown_and_told_once(render_animation, render, fake_renderer, shown, capfd) -> None:
    fake_renderer("render_turned_too_far")
    text = "The head is turned 12° outside of what the footage shows"
    render_animation(1, 4)
    assert len([line for line in shown if line.endswith(text)]) == 4
    assert warnings(capfd) == [f"{text} in frame 1"]
    render(3)
    assert warnings(capfd) == [f"{text} in frame 3"]


def test_frame_without_face_is_told(render, fake_renderer, capfd) -> None:
    fake_renderer("render_without_face")
    render(7)
    assert warnings(capfd) == ["There is no face in the footage in frame 7"]


def warnings(capfd) -> list[str]:
    """The warnings that Blender has printed."""
    lines = capfd.readouterr().out.splitlines()
    return [line.partition("Warning: ")[2] for line in lines if "Warning: " in line]


def test_break_stops_the_picture_and_keeps_the_process(break_off, render, fake_renderer, module, preferences) -> None:
    fake_renderer("wait_then_render")
    break_off()
    warm_worker = module("s2l_blender_addon.engine.warm_worker")
    process = warm_worker.current(preferences.worker_python)._process
    assert process.is_open
    assert np.allclose(render()["Depth"], 0.6)
    assert warm_worker.current(preferences.worker_python)._process is process


def test_break_is_heard_even_where_the_worker_is_deaf(break_off, render, fake_renderer, module, monkeypatch) -> None:
    fake_renderer("ignore")
    monkeypatch.setattr(module("s2l_blender_addon.engine.worker_client"), "CANCEL_GRACE_SECONDS", 0.1)
    break_off()
    fake_renderer("render")
    assert np.allclose(render()["Depth"], 0.6)


def test_lost_worker_is_started_once_more(render, fake_renderer, asked) -> None:
    fake_renderer("crash_once")
    assert np.allclose(render()["Depth"], 0.6)
    assert len({job["process"] for job in asked()}) == 2


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ("crash", "The worker ended before its job, with status 9: out of luck."),
        ("fail", "There is no file .*grey_25_1.0_50.mp4. Look again."),
        ("render_too_little", r"cannot be read: it holds float32 \(6, 15, 32\)"),
        ("render_rubbish", "cannot be read: EOF"),
        ("render_nothing", "cannot be read: .*No such file"),
    ],
)
def test_what_goes_wrong_is_told_and_no_file_is_written(render, fake_renderer, tmp_path, behaviour, sentence) -> None:
    fake_renderer(behaviour)
    with pytest.raises(RuntimeError, match=sentence):
        render()
    assert not (tmp_path / "still.exr").exists()


def test_error_ends_the_animation(render_animation, fake_renderer, asked, tmp_path) -> None:
    fake_renderer("crash")
    with pytest.raises(RuntimeError, match="out of luck"):
        render_animation(1, 5)
    assert len(asked()) == 2
    assert not list((tmp_path / "frames").glob("*"))


def without_camera(stage) -> None:
    stage.scene.camera = None


def orthographic(stage) -> None:
    stage.camera.data.type = "ORTHO"


def without_size(stage) -> None:
    stage.scene.render.resolution_x, stage.scene.render.resolution_percentage = 4, 1


def hidden_head(stage) -> None:
    stage.head.hide_render = True


def flat_head(stage) -> None:
    stage.head.scale = (0, 0, 0)


def without_movie(stage) -> None:
    stage.head.s2l.movie_path = ""


def without_engine(stage) -> None:
    bpy.context.preferences.addons["bl_ext.user_default.speech2lip"].preferences.worker_python = "/nowhere/python"


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (without_camera, "no camera"),
        (orthographic, "The camera Camera is orthographic"),
        (without_size, "too small"),
        (hidden_head, "The scene has no visible head"),
        (flat_head, "The scale of the head is zero"),
        (without_movie, "The head Head has no movie"),
        (without_engine, "/nowhere/python cannot be started"),
    ],
)
def test_mistakes_are_told_in_a_sentence(stage, render, mistake, sentence) -> None:
    mistake(stage)
    with pytest.raises(RuntimeError, match=sentence):
        render()


def test_another_file_ends_the_process_and_removes_its_folder(render, asked, module, preferences) -> None:
    render()
    process = module("s2l_blender_addon.engine.warm_worker").current(preferences.worker_python)._process
    bpy.ops.wm.read_homefile(use_empty=True)
    assert process.wait(timeout=5) != 0
    assert not Path(asked()[0]["output_path"]).parent.exists()


def test_idle_process_ends_and_the_next_frame_starts_another(render, asked, module, monkeypatch, preferences) -> None:
    warm_worker = module("s2l_blender_addon.engine.warm_worker")
    monkeypatch.setattr(warm_worker, "IDLE_SECONDS", 0.05)
    render()
    assert warm_worker.current(preferences.worker_python)._process.wait(timeout=5) == 0
    render()
    assert len({job["process"] for job in asked()}) == 2
