"""What Blender renders from scenes with synthetic media is signed, after the render, by the engine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import bpy
import pytest
from versions import new_effect, set_format

pytestmark = pytest.mark.any_blender

ROOT = Path(__file__).resolve().parents[2]
JOB = {"schema": 1, "verb": "dub", "speaker_path": "Ada.s2l", "footage": {"path": "take.mp4"},
       "voice": {"path": "line.wav"}, "output_path": "dub.mp4"}  # fmt: skip


@pytest.fixture
def signing(module):
    return module("s2l_blender_addon.render_signing")


@pytest.fixture
def result(scene, strips, movie):
    """A result strip on frames 1 to 50, in a small scene of two frames."""
    strip = strips.new_movie("Dub", str(movie), 2, 1)
    strip["s2l_job"] = json.dumps(JOB)
    scene.frame_start, scene.frame_end, scene.frame_current = 1, 2, 1
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 64, 64, 100
    return strip


@pytest.fixture
def asked(module, signing, monkeypatch):
    """The jobs that would be sent to the engine."""
    jobs = []

    class Answered:
        error, result = None, {"credentials": "Signed with the key of this machine."}

        def poll(self, timeout=0.0):
            return True

    class Worker:
        def ask(self, job):
            jobs.append(job)
            return Answered()

    monkeypatch.setattr(signing.warm_worker, "current", lambda python: Worker())
    return jobs


def render_pictures(scene, folder: Path, file_format: str = "PNG") -> None:
    set_format(scene, file_format)
    scene.render.filepath = f"{folder}/"
    bpy.ops.render.render(animation=True)


def test_a_render_with_a_result_is_signed_with_it_as_source(scene, result, signing, asked, movie, tmp_path) -> None:
    render_pictures(scene, tmp_path)
    (job,) = asked
    assert sorted(job.files) == sorted(map(str, tmp_path.glob("*.png")))
    assert len(job.files) == 2
    assert job.sources == (str(movie),)
    assert signing.last_outcome() == "Signed with the key of this machine."


@pytest.mark.parametrize("name", ["still", "still.png"])
def test_a_still_that_a_script_writes_is_signed(scene, result, asked, tmp_path, name) -> None:
    set_format(scene, "PNG")
    scene.render.filepath = str(tmp_path / name)
    bpy.ops.render.render(write_still=True)
    assert [job.files for job in asked] == [(str(tmp_path / "still.png"),)]


def test_a_render_without_synthetic_media_is_not_signed(scene, result, asked, strips, tmp_path) -> None:
    new_effect(strips, "Grey", "COLOR", 1, 1, 100)
    result.mute = True
    render_pictures(scene, tmp_path)
    result.mute, scene.frame_start, scene.frame_end = False, 80, 81
    scene.frame_current = 80
    render_pictures(scene, tmp_path)
    assert asked == []


def test_renders_are_signed_unless_it_is_switched_off(scene, result, asked, preferences, tmp_path) -> None:
    preferences.sign_renders = False
    try:
        render_pictures(scene, tmp_path)
    finally:
        preferences.sign_renders = True
    assert asked == []


def test_heads_and_results_in_scene_strips_are_sources(scene, result, strips, signing, movie, tmp_path) -> None:
    other = bpy.data.scenes.new("Cut")
    other.sequence_editor_create().strips.new_scene("Nested", scene, 1, 1)
    other.frame_current, other.frame_start, other.frame_end = 1, 1, 2
    head = bpy.data.objects.new("Head", None)
    other.collection.objects.link(head)
    head.s2l.is_head, head.s2l.movie_path = True, str(tmp_path / "footage.mp4")
    assert signing.synthetic_media(other) == [str(movie), str(tmp_path / "footage.mp4")]
    head.hide_render = True
    assert signing.synthetic_media(other) == [str(movie)]


def test_a_render_remains_if_it_cannot_be_signed(scene, result, signing, preferences, tmp_path) -> None:
    preferences.worker_python = str(tmp_path / "none")
    try:
        render_pictures(scene, tmp_path)
    finally:
        preferences.worker_python = ""
    assert len(list(tmp_path.glob("*.png"))) == 2
    assert signing.last_outcome().startswith("The render was not signed: ")


def test_the_engine_gets_the_key_of_the_preferences(module, preferences, tmp_path) -> None:
    child = module("s2l_blender_addon.engine.child_process")
    preferences.signing_key, preferences.timestamp_server = str(tmp_path / "key.pem"), "http://time.example"
    found = child.environment()
    preferences.signing_key = preferences.timestamp_server = ""
    assert (found["S2L_SIGNING_KEY"], found["S2L_TIMESTAMP_SERVER"]) == (
        str(tmp_path / "key.pem"),
        "http://time.example",
    )
    assert "S2L_SIGNING_KEY" not in child.environment()


def test_unregistering_leaves_no_handlers(module, signing) -> None:
    lists = [handlers for handlers, _ in signing._HANDLERS]
    before = [len(handlers) for handlers in lists]
    signing.unregister()
    assert [len(handlers) for handlers in lists] == [count - 1 for count in before]
    signing.register()


@pytest.mark.parametrize("file_format", ["PNG", "OPEN_EXR", "movie"])
def test_the_engine_signs_pictures_and_movies(module, scene, result, file_format, tmp_path, monkeypatch) -> None:
    has_package = subprocess.run([os.environ["S2L_WORKER_PYTHON"], "-c", "import c2pa"], capture_output=True)
    if has_package.returncode:
        pytest.skip("needs c2pa-python in the engine")
    if file_format == "movie":
        set_format(scene, "FFMPEG")
        scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "MPEG4", "H264"
        scene.render.filepath = str(tmp_path / "render.mp4")
        bpy.ops.render.render(animation=True)
    else:
        render_pictures(scene, tmp_path, file_format)
    module("s2l_blender_addon.engine.warm_worker").end()
    files = [path for path in tmp_path.iterdir() if path.suffix in (".png", ".exr", ".mp4")]
    words = [os.environ["S2L_WORKER_PYTHON"], "-m", "s2l_core.cli", "verify", "--json", *map(str, files)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert done.returncode == 0, found
    assert all(each["actions"] == ["c2pa.created", "c2pa.placed"] for each in found["files"])


def test_the_active_result_is_verified(scene, result, fake_worker, module, monkeypatch) -> None:
    operator = module("operators").S2L_OT_verify_result
    scene.sequence_editor.active_strip = None
    assert operator.disabled_reason(bpy.context) == "Select a result strip first"
    scene.sequence_editor.active_strip = result
    assert operator.disabled_reason(bpy.context) == ""
    chain = [{"title": "take.mp4"}, {"title": "camera.mov"}]
    checked = {"path": bpy.path.abspath(result.filepath), "status": "valid", "summary": "Valid: unchanged."}
    said = operator.finish(None, bpy.context, {"files": [checked | {"chain": chain}]})
    assert said == "Valid: unchanged. Made from take.mp4, which was made from camera.mov."
    assert result.s2l.verdict.endswith(said)  # where the panel shows it, since Blender's status bar forgets it
    assert result.s2l.is_valid
