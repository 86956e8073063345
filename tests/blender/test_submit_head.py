"""Animations of heads that other machines render: what they show, what is refused, and the movie that is inserted."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from versions import new_compositor_tree

FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
RESULT = {"frames": 5, "degrees_outside": 3.2}


@pytest.fixture
def animated(stage, queue, planner, movie, tmp_path, monkeypatch) -> Any:
    """A saved file with a camera that moves around a head on frames 3 to 7, and is zoomed and shifted."""
    scene, camera = stage.scene, stage.camera
    for frame, place, lens, shift in ((3, -0.1, 45.0, 0.0), (7, 0.1, 60.0, 0.2)):
        camera.location.x, camera.data.lens, camera.data.shift_x = place, lens, shift
        stage.head.rotation_euler.y = place
        camera.keyframe_insert("location", frame=frame)
        stage.head.keyframe_insert("rotation_euler", frame=frame)
        for path in ("lens", "shift_x"):
            camera.data.keyframe_insert(path, frame=frame)
    stage.head.scale = 2.0, 2.0, 2.0
    scene.frame_start, scene.frame_end = 3, 7
    stage.head.s2l.speaker_path = str(tmp_path / "Ada.s2l")
    (tmp_path / "Ada.s2l").write_bytes(b"a speaker")
    scene.s2l.dub.folder, scene.s2l.submit.folder = str(tmp_path), "/"
    scene.s2l.submit.dubs, scene.s2l.submit.head = False, True
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "edit.blend"))
    monkeypatch.setattr(queue.module, "LOOK_SECONDS", 0.0)
    return stage


@pytest.fixture
def submitted(animated, queue) -> Any:
    """The entry of the submitted head."""
    assert bpy.ops.s2l.submit() == {"FINISHED"}
    (entry,) = queue.entries()
    return entry


def inserted() -> list[Any]:
    return [strip for strip in bpy.context.scene.sequence_editor.strips_all if "s2l_job" in strip]


def matrix(numbers: list[float]) -> np.ndarray:
    return np.reshape(numbers, (4, 4))


def seen_from(camera: dict[str, Any], field: str) -> np.ndarray:
    """A pose in a camera of a camera path, in OpenCV's axes and millimetres."""
    world = matrix(camera[field]) if field else np.eye(4)
    pose = FLIP @ np.linalg.inv(matrix(camera["camera_to_world"])) @ world @ FLIP
    pose[:3, 3] *= 1000
    return np.asarray(pose)


def test_a_submitted_frame_is_the_one_that_the_render_engine_shows(animated, submitted, asked, tmp_path) -> None:
    animated.scene.render.filepath = str(tmp_path / "frames" / "####.exr")
    bpy.ops.render.render(animation=True)
    document = json.loads(Path(submitted.job.camera_path).read_text())
    assert (document["render_width"], document["render_height"], document["fps"]) == (32, 16, 25)
    assert len(document["camera_path"]) == len(asked()) == 5
    for camera, job in zip(document["camera_path"], asked(), strict=True):
        view = job["camera"]
        assert camera["footage_seconds"] == pytest.approx(job["moment"])
        assert 16 / 2 / math.tan(math.radians(camera["fov"]) / 2) == pytest.approx(view["fy"])
        assert (camera["cx"], camera["cy"]) == pytest.approx((view["cx"], view["cy"]))
        np.testing.assert_allclose(seen_from(camera, "head_to_world"), matrix(job["pose"]), atol=1e-3)
        np.testing.assert_allclose(seen_from(camera, ""), matrix(job["camera_from_footage"]), atol=1e-3)
        assert all(getattr(submitted.job, name) == job[name] for name in ("speaker_path", "background", "fade"))
        assert vars(submitted.job.footage)["path"] == job["footage"]["path"]


def test_the_present_frame_stays(animated, queue) -> None:
    animated.scene.frame_set(42)
    bpy.ops.s2l.submit()
    assert animated.scene.frame_current == 42


def test_the_movie_is_inserted_above_the_strips_of_its_frames(
    submitted, queue, strips, finish_tasks, movie, module
) -> None:
    strips.new_movie("Interview", str(movie), 4, 1)
    assert (submitted.name, submitted.status) == ("Render Head Ada", "submitted")
    finish_tasks(submitted.submission.plan, RESULT)
    bpy.ops.ed.undo_push(message="Before")
    queue.until(lambda: submitted.status == "done")
    (strip,) = inserted()
    compat = module("s2l_blender_addon.compat")
    assert (strip.name, strip.channel) == ("Head Ada Rendered", 5)
    assert (compat.left_handle(strip), compat.right_handle(strip)) == (3, 8)
    assert bpy.context.scene.sequence_editor.active_strip == strip
    with pytest.raises(RuntimeError, match="Select a dubbed strip"):
        bpy.ops.s2l.redo()
    assert submitted.outcome.startswith("Rendered 5 frames. The head is up to 3° outside of what the footage shows;")
    bpy.ops.ed.undo()
    assert inserted() == []


def test_the_movie_is_inserted_in_another_session_too(submitted, queue, finish_tasks, tmp_path) -> None:
    bpy.ops.wm.save_mainfile()
    queue.module.abandon()
    finish_tasks(submitted.submission.plan, RESULT)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "edit.blend"))
    (entry,) = queue.entries()
    assert (entry.status, entry.job) == ("submitted", submitted.job)
    queue.until(lambda: entry.status == "done")
    assert [strip.name for strip in inserted()] == ["Head Ada Rendered"]


def test_a_camera_path_goes_with_its_entry_unless_other_machines_read_it(animated, queue, planner, module) -> None:
    planner.error = module("s2l_core.errors").BadPlan("The movie is in none of the roots PROJECT.")
    with pytest.raises(RuntimeError, match="in none of the roots"):
        bpy.ops.s2l.submit()
    folder = Path(animated.scene.s2l.dub.folder)
    assert not list(folder.glob("*.json"))
    planner.error = None
    bpy.ops.s2l.submit()
    (entry,) = queue.entries()
    queue.module.remove(entry)
    assert [path.name for path in folder.glob("*.json")] == ["head_ada.mp4.camera.json"]
    bpy.ops.s2l.submit()
    assert queue.entries()[0].job.output_path.endswith("head_ada_001.mp4")


def test_a_camera_path_that_was_not_written_for_the_entry_stays(submitted, module) -> None:
    records = module("s2l_blender_addon.queue.records")
    path = Path(submitted.job.camera_path)
    path.write_text(json.dumps({"the user's": "own"}))
    submitted.submission = None
    records.forget(submitted)
    assert path.exists() and not submitted.record_path.exists()


def test_a_record_names_no_other_file_as_its_camera_path(submitted, module) -> None:
    records = module("s2l_blender_addon.queue.records")
    document = json.loads(submitted.record_path.read_text())
    document["job"]["camera_path"] = "/etc/hostname"
    submitted.record_path.write_text(json.dumps(document))
    assert records.read(submitted.record_path)[0].job.camera_path == submitted.job.output_path + ".camera.json"


def other_head(stage: Any) -> None:
    copy = stage.head.copy()
    copy.animation_data_clear()
    stage.scene.collection.objects.link(copy)


def other_camera(stage: Any) -> None:
    flat = bpy.data.objects.new("Flat", bpy.data.cameras.new("Flat"))
    flat.data.type = "ORTHO"
    stage.scene.collection.objects.link(flat)
    stage.scene.timeline_markers.new("Start", frame=0).camera = stage.camera
    stage.scene.timeline_markers.new("Cut", frame=5).camera = flat


REFUSED = {
    "The scene is not rendered by Speech2Lip": lambda stage: setattr(stage.scene.render, "engine", "BLENDER_WORKBENCH"),
    "The scene has no camera": lambda stage: setattr(stage.scene, "camera", None),
    "There are 2 heads": other_head,
    "Head is hidden only in the viewport or only in renders": lambda stage: stage.head.hide_set(True),
    "The frame step is 2": lambda stage: setattr(stage.scene, "frame_step", 2),
    "The pixels are not square": lambda stage: setattr(stage.scene.render, "pixel_aspect_x", 2.0),
    "Disable Film > Transparent": lambda stage: setattr(stage.scene.render, "film_transparent", True),
    "Disable Render Region": lambda stage: setattr(stage.scene.render, "use_border", True),
    "Disable Stereoscopy": lambda stage: setattr(stage.scene.render, "use_multiview", True),
    "The scene is composited": lambda stage: new_compositor_tree(stage.scene),
    "Frame 5: The camera Flat is orthographic": other_camera,
    "Ada.s2l is missing": lambda stage: Path(stage.head.s2l.speaker_path).unlink(),
}


@pytest.mark.parametrize("sentence", REFUSED, ids=lambda sentence: sentence.split()[-1])
def test_what_a_movie_along_a_camera_path_cannot_show_is_refused(animated, queue, sentence) -> None:
    REFUSED[sentence](animated)
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.s2l.submit()
    assert queue.entries() == []
    assert not list(Path(animated.scene.s2l.dub.folder).glob("*.json"))
