"""A single picture, or one frame of a movie, speaks in a new strip above it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import bpy
import pytest
from test_operators import reason
from versions import handles, set_content_start, set_handles

DUB_STILL = "S2L_OT_dub_still"


@pytest.fixture
def job_of(module, scene):
    """Returns the job for the settings of the scene, and the frames of its result."""

    def job_of():
        job, placement = module("s2l_blender_addon.queue.still_job").job_of_scene(bpy.context, scene)
        return job, range(placement.first, placement.end)

    return job_of


def speaking_strips() -> list:
    return [strip for strip in bpy.context.scene.sequence_editor.strips_all if "s2l_job" in strip]


def test_the_job_names_the_picture_and_the_speech(scene, portrait, speech, job_of, tmp_path) -> None:
    job, _ = job_of()
    assert (job.verb, Path(job.picture.path)) == ("still", tmp_path / "portrait.png")
    assert (job.output_path, job.rate) == (str(tmp_path / "portrait_dubbed.mp4"), "25")
    assert job.voice.seconds == pytest.approx(30 / 25)
    assert (job.speaker_path, job.blinks, job.head_motion, job.consent) == ("", False, False, True)


def test_settings_of_the_panels_are_in_the_job(scene, portrait, speech, job_of) -> None:
    still, dub = scene.s2l.still, scene.s2l.dub
    still.speaker_path, still.blinks, still.head_motion = "/speakers/Ada.s2l", True, True
    dub.layer, dub.format, dub.use_silence_level, dub.rest_strength = "mouth", "png", True, 0.5
    job, _ = job_of()
    assert (job.speaker_path, job.blinks, job.head_motion) == ("/speakers/Ada.s2l", True, True)
    assert (job.encoding.layer, job.encoding.format, job.silence_db, job.rest_strength) == (
        "mouth", "png", (-25.0,), (0.5,),
    )  # fmt: skip
    portrait.s2l.speaker_path = "/speakers/Grace.s2l"
    assert job_of()[0].speaker_path == "/speakers/Grace.s2l"


def test_details_of_the_consent_are_in_the_job(module, portrait, speech, job_of) -> None:
    assert job_of()[0].consent_record is None
    portrait.s2l.consent_for, portrait.s2l.consent_until = "A trailer", "2999-12-31"
    record = job_of()[0].consent_record
    assert (record.who, record.purpose, record.until) == ("Portrait", "A trailer", "2999-12-31")
    portrait.s2l.consent_until = "2020-01-31"
    with pytest.raises(module("s2l_core.errors").ConsentExpired, match=r"ended on 2020-01-31"):
        job_of()


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ((101, 201), (125, 155)),  # the speech ends before the picture
        ((101, 140), (125, 140)),
        ((130, 201), (130, 155)),
        ((10, 20), (125, 155)),  # they do not meet
    ],
)
def test_it_speaks_where_picture_and_speech_meet(portrait, speech, job_of, shown, expected) -> None:
    set_handles(portrait, *shown)
    _, frames = job_of()
    assert (frames.start, frames.stop) == expected


def test_the_frame_of_a_movie_under_the_playhead_speaks(module, scene, portrait, footage, speech, job_of) -> None:
    scene.sequence_editor.active_strip, footage.s2l.consent = footage, True
    scene.frame_current = 130
    job, frames = job_of()
    assert (Path(job.picture.path), job.picture.start) == (Path(footage.filepath), pytest.approx(29 / 25))
    assert frames == range(125, 151)
    scene.frame_current = 400
    assert reason(module, DUB_STILL) == "Move the playhead to the frame of Interview that is to speak"


def test_picture_and_speech_are_the_two_strips_that_are_selected(module, scene, portrait, footage, speech) -> None:
    library = module("s2l_blender_addon.sequencer.strips")
    scene.s2l.dub.sound_strip = ""
    portrait.select, speech.select, footage.select = True, False, False
    assert library.voices(scene) == []
    speech.select = True
    assert library.voices(scene) == [speech]
    scene.sequence_editor.active_strip = speech
    assert library.picture(scene) == portrait and library.voices(scene) == [speech]
    footage.select = True  # then the picture may be a title
    assert library.picture(scene) is None


def no_strip(scene, portrait) -> None:
    scene.sequence_editor.active_strip = None


def no_speech(scene, portrait) -> None:
    scene.s2l.dub.sound_strip = ""
    portrait.select = False
    for strip in scene.sequence_editor.strips:
        strip.select = False


def no_consent(scene, portrait) -> None:
    portrait.s2l.consent = False


def another_picture(scene, portrait) -> None:
    portrait.elements[0].filename = "somebody_else.png"


def raw_colours(scene, portrait) -> None:
    portrait.elements[0].filename = "portrait.exr"
    portrait.s2l.consent = True


AGREED = "Confirm in the Dub panel that the speaker in Portrait agreed"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (no_strip, "Select the movie or image strip of the speaker"),
        (no_speech, "Choose the sound strip with the new speech"),
        (no_consent, AGREED),
        (another_picture, AGREED),
        (raw_colours, "The strip Portrait has the colour space sRGB: only Linear Rec.709 is supported"),
    ],
)
def test_button_says_why_it_is_grey(module, scene, portrait, speech, change, expected) -> None:
    assert reason(module, DUB_STILL) == ""
    change(scene, portrait)
    assert reason(module, DUB_STILL).startswith(expected)
    assert not bpy.ops.s2l.dub_still.poll()


def test_a_picture_that_is_missing_is_named_before_the_job_starts(module, portrait, speech, job_of, tmp_path) -> None:
    (tmp_path / "portrait.png").unlink()
    with pytest.raises(module("s2l_core.errors").FileMissing, match="The picture of the strip Portrait is missing"):
        job_of()


def test_nobody_speaks_without_consent(module, portrait, speech, job_of) -> None:
    portrait.s2l.consent = False
    with pytest.raises(module("s2l_core.errors").ConsentMissing, match=r"the consent of the person in .*portrait\.png"):
        job_of()


def test_result_lies_above_the_picture_and_looks_like_it(scene, portrait, speech, fake_worker) -> None:
    portrait.transform.scale_x, portrait.transform.offset_y, portrait.crop.max_x = 0.5, 12.0, 3
    assert bpy.ops.s2l.dub_still() == {"FINISHED"}
    (strip,) = speaking_strips()
    assert (strip.name, strip.channel, handles(strip)) == ("Portrait Dubbed", 3, (125, 155))
    assert (strip.transform.scale_x, strip.transform.offset_y, strip.crop.max_x) == (0.5, 12.0, 3)
    assert handles(portrait) == (101, 201)
    assert scene.sequence_editor.active_strip == strip


def test_a_picture_that_is_seen_through_gets_a_meta_strip(portrait, speech, fake_worker) -> None:
    portrait.blend_type, portrait.blend_alpha = "ALPHA_OVER", 0.5
    assert bpy.ops.s2l.dub_still() == {"FINISHED"}
    (strip,) = speaking_strips()
    meta = strip.parent_meta()
    assert (meta.name, meta.blend_alpha, set(meta.strips)) == ("Portrait Meta", 0.5, {portrait, strip})


def test_entry_and_record_are_those_of_a_dub(module, queue, press, portrait, speech, fake_worker) -> None:
    press(DUB_STILL)
    (entry,) = queue.entries()
    assert entry.name == "Dub Portrait"
    assert module("s2l_core.jobs").from_json(entry.job_text) == entry.job
    recorded, _ = module("s2l_blender_addon.queue.records").read(entry.record_path)
    assert (recorded.job, recorded.target.placement) == (entry.job, entry.target.placement)
    queue.finish()
    assert entry.status == "done"
    assert entry.outcome == f"Rendered 30 frames. The result is {entry.job.output_path}."


def test_interrupted_still_is_found_when_the_file_is_opened_again(
    module, queue, press, portrait, speech, fake_worker, tmp_path, monkeypatch
) -> None:
    blend = str(tmp_path / "edit.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    press(DUB_STILL)
    queue.module.abandon()
    monkeypatch.setattr(module("s2l_blender_addon.queue.recovery"), "WORKER_GRACE_SECONDS", 0.0)
    bpy.ops.wm.open_mainfile(filepath=blend)
    (entry,) = queue.entries()
    assert (entry.name, entry.status) == ("Dub Portrait", "interrupted")
    bpy.ops.s2l.resume_entry(entry=entry.identifier)
    queue.finish()
    assert entry.status == "done" and len(speaking_strips()) == 1


def test_dubbing_again_asks_what_becomes_of_the_earlier_result(queue, press, portrait, speech, fake_worker) -> None:
    press(DUB_STILL)
    queue.finish()
    operator = press(DUB_STILL, "VERSION")
    assert operator.questions == ["Dub Still"]
    queue.finish()
    assert [(strip.channel, strip.mute) for strip in speaking_strips()] == [(3, True), (4, False)]


def test_redo_runs_the_same_job_where_the_strip_is_now(queue, press, portrait, speech, fake_worker) -> None:
    press(DUB_STILL)
    queue.finish()
    (first,) = speaking_strips()
    set_content_start(first, 135)
    press("S2L_OT_redo")
    queue.finish()
    again = next(strip for strip in speaking_strips() if strip != first)
    assert handles(again)[0] == 135 and first.mute
    old, new = (json.loads(strip["s2l_job"]) for strip in (first, again))
    assert {name for name in old if old[name] != new[name]} == {"output_path"}


@pytest.mark.parametrize("source", ["picture", "movie"])
def test_redo_with_changes_puts_the_settings_back_into_the_panels(
    scene, portrait, footage, speech, queue, press, fake_worker, module, job_of, source
) -> None:
    still, dub = scene.s2l.still, scene.s2l.dub
    strip = portrait if source == "picture" else footage
    scene.sequence_editor.active_strip, strip.s2l.consent, scene.frame_current = strip, True, 130
    still.speaker_path, still.blinks, dub.layer, dub.format = "/speakers/Ada.s2l", True, "mouth", "prores"
    press(DUB_STILL)
    queue.finish()
    (result,) = speaking_strips()
    still.speaker_path, still.blinks, dub.layer, dub.format, dub.sound_strip = "", False, "picture", "h264", ""
    scene.frame_current, scene.sequence_editor.active_strip = 1, result
    assert bpy.ops.s2l.redo_with_changes() == {"FINISHED"}
    before, (now, _) = module("s2l_blender_addon.sequencer.results").job_of(result), job_of()
    assert dataclasses.replace(now, output_path=before.output_path) == before


def test_dub_all_lets_the_pictures_speak_that_sounds_drive(module, scene, portrait, speech, queue, fake_worker) -> None:
    scene.s2l.dub.sound_strip = ""
    speech.s2l.drives = "Portrait"
    portrait.name = "Renamed"
    assert speech.s2l.drives == "Renamed"
    assert bpy.ops.s2l.dub_all() == {"FINISHED"}
    (entry,) = queue.entries()
    assert (entry.name, entry.job.verb) == ("Dub Renamed", "still")
    portrait.s2l.consent = False
    with pytest.raises(RuntimeError, match="the consent of the person in"):
        bpy.ops.s2l.dub_all()


def test_batch_command_lets_pictures_speak_with_consent(
    module, scene, portrait, speech, fake_worker, tmp_path, capsys
) -> None:
    run = module("s2l_blender_addon.batch").run
    speech.s2l.drives, portrait.s2l.consent, scene.s2l.dub.sound_strip = "Portrait", False, ""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "edit.blend"))
    assert run(["dub", "--all"]) == 1
    assert "Portrait: failed. A picture speaks only with the consent" in capsys.readouterr().out
    assert run(["dub", "--strip", "Portrait", "--consent"]) == 0
    assert "Portrait: done. Rendered 30 frames." in capsys.readouterr().out
    assert len(speaking_strips()) == 1
    assert run(["check", "--strip", "Portrait"]) == 1
    assert "There is no movie or image strip Portrait." in capsys.readouterr().out


def test_chosen_speaker_moves_the_active_picture(module, scene, portrait, footage) -> None:
    module("s2l_blender_addon.speakers").remember(scene, "/speakers/Ada.s2l", {"name": "Ada"})
    assert bpy.ops.s2l.use_speaker() == {"FINISHED"}
    assert (portrait.s2l.speaker_path, footage.s2l.speaker_path) == ("/speakers/Ada.s2l", "")


def test_own_preset_keeps_the_settings_of_stills(scene) -> None:
    scene.s2l.still.blinks = True
    bpy.ops.s2l.add_preset(name="Alive")
    (path,) = (path for folder in bpy.utils.preset_paths("s2l") for path in Path(folder).glob("Alive.py"))
    scene.s2l.still.blinks = False
    bpy.ops.script.execute_preset(filepath=str(path), menu_idname="S2L_PT_presets")
    bpy.ops.s2l.add_preset(name="Alive", remove_name=True)
    assert scene.s2l.still.blinks
