"""The operators with the real engine."""

from __future__ import annotations

import json
import math
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from exr import read_passes, write_passes
from mathutils import Matrix, Vector
from versions import content_duration, handles, trim

pytestmark = pytest.mark.any_blender

DEMO = Path(__file__).resolve().parents[2] / "demo"


def test_check_engine_shows_versions_and_devices(scene, preferences) -> None:
    assert bpy.ops.s2l.check_engine() == {"FINISHED"}
    lines = dict(line.split(": ", 1) for line in preferences.engine_report.splitlines())
    assert lines["schema"] == "1"
    assert lines["torch"]
    assert "cpu" in lines["devices"]
    assert "bundled" in lines["landmarks"]


def test_check_judges_the_trimmed_part_of_real_footage(scene, strips, shared_data, tmp_path) -> None:
    movie = tmp_path / "interview.mp4"  # the record of the job is written beside it for as long as it runs
    movie.symlink_to(shared_data / "speakers/cnn2_71s.mp4")
    strip = strips.new_movie("Interview", str(movie), 1, 1)
    trim(strip, 100, content_duration(strip) - 200)
    assert bpy.ops.s2l.check_footage() == {"FINISHED"}
    assert scene.s2l.check.verdict == "poor"
    assert "only 4.0 s" in scene.s2l.check.advice


def test_movie_strip_becomes_a_dubbed_strip_and_that_a_head_that_renders(scene, strips, tmp_path, module) -> None:
    footage = strips.new_movie("Speaker", str(DEMO / "speaker.mp4"), 2, 1)
    trim(footage, end=content_duration(footage) - 260)  # ten seconds are the least
    scene.s2l.train.preset, scene.s2l.train.folder, scene.s2l.dub.folder = "draft", str(tmp_path), str(tmp_path)
    assert bpy.ops.s2l.train_speaker(consent=True) == {"FINISHED"}
    assert scene.s2l.dub.speaker_path == str(tmp_path / "Speaker.s2l")

    speech = strips.new_sound("Line", str(DEMO / "line.flac"), 1, 101)
    trim(speech, 25, content_duration(speech) - 50)
    scene.s2l.dub.sound_strip = speech.name
    assert bpy.ops.s2l.dub_strip() == {"FINISHED"}
    dubbed = scene.sequence_editor.active_strip
    assert (handles(dubbed)[0], content_duration(dubbed), dubbed.channel) == (126, 25, 3)
    assert json.loads(dubbed["s2l_result"])["frames_written"] == 25
    results = {"Speaker.s2l", "speaker_dubbed.mp4"}
    written = results | {f"{name}.job.json" for name in results} | {"consent.s2l.json"}
    assert {path.name for path in tmp_path.iterdir()} == written

    assert bpy.ops.s2l.create_head() == {"FINISHED"}
    head = bpy.context.object
    assert head.s2l.movie_path == dubbed.filepath
    assert (head.s2l.first, head.s2l.end_frame) == (126, 151)
    assert bpy.ops.s2l.match_camera() == {"FINISHED"}
    scene.frame_set(140)
    chin, crown = (bound(scene, head, choose) for choose in (min, max))
    assert 0.1 < chin.y < crown.y < 1.0  # the head is in the picture

    put_on_dolly(scene, head)
    render = render_passes(scene, module, tmp_path)
    whole, chunk = render(130, 134), render(132, 134)
    for frame, part in zip(whole[2:], chunk, strict=True):
        assert all(np.array_equal(frame[name], part[name]) for name in ("Combined", "Depth", "Mask"))
    first, last = whole[0], whole[-1]
    assert np.abs(first["Combined"] - last["Combined"]).mean() > 0.01  # the head has moved
    assert 0.1 < first["Mask"].mean() < 0.8
    assert first["Depth"][first["Mask"] > 0.5] == pytest.approx(-head.location.z, abs=0.2)

    for spoil, sentence in ((enter_head, "The camera is inside the head"), (lose_movie, "There is no file")):
        spoil(scene, head)
        with pytest.raises(RuntimeError, match=sentence):
            bpy.ops.render.render()


def test_a_frame_of_a_movie_and_a_picture_of_it_speak(scene, strips, tmp_path) -> None:
    movie = strips.new_movie("Speaker", str(DEMO / "speaker.mp4"), 2, 1)
    speech = strips.new_sound("Line", str(DEMO / "line.flac"), 1, 101)
    trim(speech, 25, content_duration(speech) - 37)
    scene.s2l.dub.folder, scene.s2l.dub.format, scene.s2l.dub.sound_strip = str(tmp_path), "png", "Line"
    path = render_frame(scene, 120, tmp_path / "portrait.png")
    portrait = strips.new_image("Portrait", str(path), 4, 101)
    trim(portrait, end=-100)
    scene.frame_current = 120
    for strip in (movie, portrait):
        scene.sequence_editor.active_strip, strip.s2l.consent = strip, True
        assert bpy.ops.s2l.dub_still() == {"FINISHED"}
        result = scene.sequence_editor.active_strip
        assert (handles(result), result.channel) == ((126, 138), strip.channel + 1)
        assert len(result.elements) == 12
    first, last = (pixels_of(tmp_path / "portrait_dubbed" / f"{number:06}.png") for number in (1, 12))
    before = pixels_of(path)
    assert np.array_equal(first[: len(first) // 4], before[: len(before) // 4])  # above the eyes
    assert not np.array_equal(first, last)

    scene.sequence_editor.active_strip, scene.frame_current = portrait, 137
    assert bpy.ops.s2l.find_faces() == bpy.ops.s2l.estimate_dub() == bpy.ops.s2l.preview_frame() == {"FINISHED"}
    assert np.array_equal(pixels_of(Path(bpy.app.tempdir) / "s2l_preview.png"), last)
    assert scene.s2l.dub.estimate.startswith("Portrait, 12 frames: about ")


def render_frame(scene, frame: int, path: Path) -> Path:
    """A picture of what the sequencer shows, in the size of the demo's movie."""
    element = scene.sequence_editor.strips["Speaker"].elements[0]
    scene.render.resolution_x, scene.render.resolution_y = element.orig_width, element.orig_height
    scene.render.filepath, scene.view_settings.view_transform = str(path), "Standard"
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGB"
    scene.frame_set(frame)
    bpy.ops.render.render(write_still=True)
    return path


def pixels_of(path: Path) -> np.ndarray:
    """The code values of a picture from its top row on: (height, width, 4)."""
    image = bpy.data.images.load(str(path))
    width, height = image.size
    pixels = np.array(image.pixels[:], np.float32).reshape(height, width, 4)[::-1]
    bpy.data.images.remove(image)
    return np.round(pixels * 255).astype(np.uint8)


def put_on_dolly(scene, head) -> None:
    """Let the camera go around the head."""
    dolly = bpy.data.objects.new("Dolly", None)
    scene.collection.objects.link(dolly)
    dolly.location = head.matrix_world.translation
    scene.camera.parent = dolly
    scene.camera.matrix_parent_inverse.translation = -dolly.location
    for frame, degrees in ((130, -8), (134, 8)):
        dolly.rotation_euler.y = math.radians(degrees)
        dolly.keyframe_insert("rotation_euler", index=1, frame=frame)


def render_passes(scene, module, folder: Path):
    """Renders frames with the engine in a new process, and returns the passes of each frame."""
    scene.render.engine = "SPEECH2LIP"
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.render.use_sequencer = False
    write_passes(scene)

    def render(first: int, last: int) -> list[dict[str, np.ndarray]]:
        module("s2l_blender_addon.engine.warm_worker").end()
        scene.frame_start, scene.frame_end = first, last
        scene.render.filepath = str(folder / f"{first}_{last}_####.exr")
        bpy.ops.render.render(animation=True)
        return [read_passes(path) for path in sorted(folder.glob(f"{first}_{last}_*.exr"))]

    return render


def enter_head(scene, head) -> None:
    scene.camera.parent = None
    scene.camera.matrix_world = head.matrix_world


def lose_movie(scene, head) -> None:
    scene.camera.matrix_world = Matrix()
    Path(head.s2l.movie_path).unlink()


def bound(scene, head, choose) -> Vector:
    """Where the lowest or the highest vertex of a head is seen, from the picture's lower left corner in its sides."""
    mesh = next(child for child in head.children if child.type == "MESH")
    vertex = choose(mesh.data.vertices, key=lambda vertex: vertex.co.y)
    return world_to_camera_view(scene, scene.camera, head.matrix_world @ vertex.co)
