"""The operators whose jobs take seconds: previews, offsets, faces and estimates."""

from __future__ import annotations

import json
from pathlib import Path

import bpy
import pytest
from versions import handles

FACES = [
    {"x": 0.25, "y": 0.4, "since": 0.0, "share": 1.0, "width_px": 180.0, "picture": "/nowhere/face_1.png"},
    {"x": 0.75, "y": 0.5, "since": 2.0, "share": 0.6, "width_px": 120.0, "picture": "/nowhere/face_2.png"},
]


@pytest.fixture
def asked(fake_worker, module, tmp_path, monkeypatch):
    """Returns the job that was sent to the warm worker."""
    monkeypatch.setenv("S2L_FAKE_LOG", str(tmp_path / "job.json"))
    yield lambda: json.loads((tmp_path / "job.json").read_text())
    module("s2l_blender_addon.engine.warm_worker").end()


@pytest.fixture
def offset(monkeypatch):
    """Sets the measurement that the worker returns."""

    def offset(seconds: float, is_reliable: bool = True) -> None:
        measured = {"offset_seconds": seconds, "confidence": 0.8, "is_reliable": is_reliable}
        monkeypatch.setenv("S2L_FAKE_OFFSET", json.dumps(measured))

    return offset


@pytest.mark.parametrize(("current", "shown"), [(130, 130), (1, 125), (999, 150)])
def test_preview_dubs_the_current_frame_or_the_nearest_one(
    scene, strips, ready_to_dub, asked, draw_picture, current, shown
) -> None:
    draw_picture(8, 4)
    scene.frame_current = current
    before = list(strips)
    assert bpy.ops.s2l.preview_frame() == {"FINISHED"}
    job = asked()
    assert job["frame"] + 125 == shown
    assert job["dub"]["moments"][job["frame"]] == pytest.approx((shown - 101) / 25, abs=0.03)
    assert list(strips) == before and not Path(job["dub"]["output_path"]).exists()
    image = bpy.data.images["Speech2Lip Preview"]
    assert tuple(image.size) == (8, 4) and image.packed_file


def test_preview_that_is_made_again_shows_the_new_picture(ready_to_dub, asked, draw_picture) -> None:
    draw_picture(8, 4)
    bpy.ops.s2l.preview_frame()
    draw_picture(16, 6)
    bpy.ops.s2l.preview_frame()
    (image,) = [image for image in bpy.data.images if image.name.startswith("Speech2Lip Preview")]
    assert tuple(image.size) == (16, 6)


def test_of_several_people_the_one_whose_picture_is_clicked_is_the_speaker(
    scene, footage, asked, monkeypatch, module
) -> None:
    monkeypatch.setenv("S2L_FAKE_FACES", json.dumps(FACES))
    scene.s2l.footage_strip = footage.name
    assert bpy.ops.s2l.find_faces() == {"FINISHED"}
    faces = module("s2l_blender_addon.pictures.faces")
    assert faces.shown_for(scene, footage) and scene.s2l.face == "0"
    scene.s2l.face = "1"
    media = module("s2l_blender_addon.sequencer.strips").visible_media(scene, footage)
    assert media.face == pytest.approx((0.75, 0.5, 2.0))
    bpy.ops.s2l.find_faces()
    assert scene.s2l.face == "1"  # what was chosen stays chosen


def test_a_single_person_needs_no_choice(scene, footage, asked, monkeypatch, module) -> None:
    monkeypatch.setenv("S2L_FAKE_FACES", json.dumps(FACES[:1]))
    assert bpy.ops.s2l.find_faces() == {"FINISHED"}
    assert not module("s2l_blender_addon.pictures.faces").shown_for(scene, footage)
    assert not footage.s2l.has_face


def test_offset_is_measured_where_picture_and_sound_play_together_and_fixed_by_moving_the_sound(
    scene, footage, speech, asked, offset
) -> None:
    offset(0.2)
    scene.sequence_editor.active_strip = speech
    scene.s2l.footage_strip = footage.name
    assert bpy.ops.s2l.measure_offset() == {"FINISHED"}
    job = asked()
    assert job["footage"]["start"] == pytest.approx(24 / 25) and job["voice"]["start"] == pytest.approx(0.0)
    before = handles(speech)
    assert bpy.ops.s2l.fix_offset() == {"FINISHED"}
    assert speech.sound_offset == pytest.approx(-0.2)
    assert handles(speech) == before
    assert not bpy.ops.s2l.fix_offset.poll()  # it is in step now


@pytest.mark.parametrize(
    ("seconds", "is_reliable", "sentence"),
    [
        (0.2, True, "The sound is 0.20 s late (confidence 80%)"),
        (-0.12, True, "The sound is 0.12 s early (confidence 80%)"),
        (0.01, True, "The sound is in sync with the lips"),
        (0.2, False, "The lips do not clearly move with this sound"),
    ],
)
def test_what_was_measured_is_said_in_a_line_and_only_a_clear_offset_is_fixed(
    module, scene, footage, speech, asked, offset, seconds, is_reliable, sentence
) -> None:
    offset(seconds, is_reliable)
    scene.sequence_editor.active_strip = speech
    scene.s2l.footage_strip = footage.name
    bpy.ops.s2l.measure_offset()
    assert module("operators.audio_offset").describe(scene.s2l.offset) == sentence
    assert bpy.ops.s2l.fix_offset.poll() == (is_reliable and abs(seconds) > 0.02)


def test_estimates_of_training_and_dub_are_said_in_words(scene, ready_to_dub, asked) -> None:
    assert bpy.ops.s2l.estimate_training() == {"FINISHED"}
    assert scene.s2l.train.estimate == "Interview, Balanced: about 6 min, 1.2 GB of memory, 41 MB on disk"
    assert asked()["job"]["preset"] == "balanced"
    assert bpy.ops.s2l.estimate_dub() == {"FINISHED"}
    assert scene.s2l.dub.estimate == "Interview, 26 frames: about 6 min, 1.2 GB of memory, 41 MB on disk"
    assert asked()["job"]["speaker_path"] == ready_to_dub.dub.speaker_path


def test_preview_and_estimate_are_of_the_picture_that_is_active(
    scene, portrait, footage, speech, asked, draw_picture
) -> None:
    draw_picture(8, 4)
    scene.frame_current = 130
    assert bpy.ops.s2l.preview_frame() == {"FINISHED"}
    job = asked()
    assert (job["dub"]["verb"], job["frame"]) == ("still", 5)
    assert bpy.ops.s2l.estimate_dub() == {"FINISHED"}
    assert asked()["job"]["verb"] == "still"
    assert scene.s2l.dub.estimate.startswith("Portrait, 30 frames: about 6 min")


def test_preview_and_estimate_of_a_still_are_of_the_frame_of_a_movie_under_the_playhead(
    scene, footage, speech, asked, draw_picture
) -> None:
    draw_picture(8, 4)
    scene.sequence_editor.active_strip, footage.s2l.consent, scene.s2l.dub.sound_strip = footage, True, speech.name
    scene.frame_current = 130
    assert bpy.ops.s2l.preview_still() == {"FINISHED"}
    job = asked()
    assert (job["dub"]["verb"], job["frame"]) == ("still", 5)
    assert (job["dub"]["picture"]["path"], job["dub"]["picture"]["start"]) == (footage.filepath, pytest.approx(29 / 25))
    assert bpy.ops.s2l.estimate_still() == {"FINISHED"}
    assert asked()["job"]["picture"]["start"] == pytest.approx(29 / 25)
    assert scene.s2l.still.estimate.startswith("Interview, 26 frames: about 6 min") and not scene.s2l.dub.estimate
    scene.frame_current = 400  # shows nothing of it
    assert not bpy.ops.s2l.preview_still.poll() and not bpy.ops.s2l.estimate_still.poll()


def test_of_several_people_in_a_picture_one_is_chosen(scene, portrait, footage, asked, monkeypatch) -> None:
    monkeypatch.setenv("S2L_FAKE_FACES", json.dumps(FACES))
    assert bpy.ops.s2l.find_faces() == {"FINISHED"}
    assert Path(asked()["footage"]["path"]).name == "portrait.png"
    scene.s2l.face = "1"
    assert tuple(portrait.s2l.face) == pytest.approx((0.75, 0.5))


def test_entries_that_wait_behind_another_are_estimated(ready_to_dub, queue, press, fake_worker, asked) -> None:
    bpy.ops.s2l.estimate_dub()  # so that the engine is warm
    fake_worker("wait")
    press("S2L_OT_check_footage")
    queue.until(lambda: queue.statuses() == ["running"])
    fake_worker("answer")
    press("S2L_OT_dub_strip")
    queue.until(lambda: bool(queue.entries()[1].estimate))
    assert asked()["measure"] is False  # the running job would be in the way
    assert queue.entries()[1].estimate == "Takes about 6 min, 1.2 GB of memory, 41 MB on disk"
    queue.module.cancel(queue.entries()[0])
    queue.finish()
