"""The queue, with a fake worker. Its timer is driven by the tests, since there is no window."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path

import bpy
import pytest
from versions import content_start, handles, set_content_start, set_duration, trim

DUB, TRAIN, CHECK = "S2L_OT_dub_strip", "S2L_OT_train_speaker", "S2L_OT_check_footage"


def dubbed_strips() -> list:
    return [strip for strip in bpy.context.scene.sequence_editor.strips_all if "s2l_job" in strip]


def test_buttons_add_and_the_jobs_run_one_after_the_other(queue, press, scene, ready_to_dub, fake_worker) -> None:
    fake_worker("answer_slowly")
    for name in (CHECK, TRAIN, DUB):
        press(name)
    assert [entry.name for entry in queue.entries()] == ["Check Interview", "Train Speaker", "Dub Interview"]
    assert queue.statuses() == ["waiting"] * 3
    seen = []
    queue.until(lambda: seen.append(queue.statuses().count("running")) or queue.statuses() == ["done"] * 3)
    assert max(seen) == 1
    assert scene.s2l.check.verdict == "usable"
    assert scene.s2l.dub.speaker_path.endswith("Speaker.s2l")
    assert len(dubbed_strips()) == 1


def test_timer_runs_only_while_there_is_something_to_do(queue, press, ready_to_dub, fake_worker) -> None:
    assert queue.module._tick() is None
    press(CHECK)
    assert bpy.app.timers.is_registered(queue.module._tick)
    while (pause := queue.module._tick()) is not None:
        assert pause == 0.1
    assert queue.statuses() == ["done"]


def test_waiting_jobs_change_places(queue, press, scene, ready_to_dub, fake_worker) -> None:
    for name in ("Ada", "Grace", "Edith"):
        scene.s2l.train.speaker_name = scene.s2l.train.consent = name
        press(TRAIN)
    first, _, last = queue.entries()
    bpy.ops.s2l.move_entry_up(entry=last.identifier)
    bpy.ops.s2l.move_entry_down(entry=first.identifier)
    bpy.ops.s2l.move_entry_up(entry=last.identifier)
    bpy.ops.s2l.move_entry_up(entry=last.identifier)  # it is the first already
    assert [entry.job.name for entry in queue.entries()] == ["Edith", "Ada", "Grace"]
    queue.finish()
    assert scene.s2l.dub.speaker_path.endswith("Grace.s2l")


def test_an_entry_is_a_snapshot(queue, press, scene, ready_to_dub, footage, fake_worker) -> None:
    press(DUB)
    before = queue.entries()[0].job
    trim(footage, start=30)
    scene.s2l.dub.speaker_path = "/nowhere/else.s2l"
    queue.finish()
    assert json.loads(dubbed_strips()[0]["s2l_job"])["footage"]["start"] == before.footage.start


def test_text_of_a_job_is_its_document(module, queue, press, ready_to_dub, fake_worker) -> None:
    press(DUB)
    (entry,) = queue.entries()
    assert module("s2l_core.jobs").from_json(entry.job_text) == entry.job


def test_jobs_that_wait_do_not_share_an_output(queue, press, ready_to_dub, fake_worker, tmp_path) -> None:
    press(DUB)
    press(DUB)
    assert len({entry.job.output_path for entry in queue.entries()}) == 2
    queue.finish()
    assert len(list(tmp_path.glob("*.mp4"))) == 2


def rename_scene() -> None:
    bpy.context.scene.name = "Renamed"


def rename_strips() -> None:
    for strip in bpy.context.scene.sequence_editor.strips:
        strip.name = f"{strip.name} Renamed"


def remove_strips() -> None:
    strips = bpy.context.scene.sequence_editor.strips
    for strip in list(strips):
        strips.remove(strip)


def undo() -> None:
    bpy.ops.ed.undo_push(message="Before")
    bpy.context.scene.frame_start = 5
    bpy.ops.ed.undo_push(message="Start")
    bpy.ops.ed.undo()


def remove_editor() -> None:
    bpy.context.scene.sequence_editor_clear()


@pytest.mark.parametrize("change", [rename_scene, rename_strips, remove_strips, undo, remove_editor])
@pytest.mark.parametrize("is_running", [False, True])
def test_the_file_may_change_under_a_job(queue, press, ready_to_dub, fake_worker, change, is_running) -> None:
    fake_worker("answer_slowly")
    press(DUB)
    if is_running:
        queue.until(lambda: queue.statuses() == ["running"])
    change()
    queue.finish()
    assert queue.statuses() == ["done"]
    (strip,) = dubbed_strips()
    assert handles(strip) == (125, 151)


def test_interrupted_script_leaves_a_job_that_can_be_resumed(queue, ready_to_dub, fake_worker, monkeypatch) -> None:
    def interrupt(seconds: float) -> None:
        if seconds > 0:
            raise KeyboardInterrupt

    fake_worker("ignore")
    with monkeypatch.context() as patch:
        patch.setattr(queue.module.time, "sleep", interrupt)
        with pytest.raises((KeyboardInterrupt, RuntimeError)):
            bpy.ops.s2l.dub_strip()
    (entry,) = queue.entries()
    assert entry.status == json.loads(entry.record_path.read_text())["status"] == "interrupted"
    fake_worker("answer")
    bpy.ops.s2l.resume_entry(entry=entry.identifier)
    queue.finish()
    assert entry.status == "done"


@pytest.mark.parametrize("is_running", [False, True])
def test_result_waits_while_another_file_is_open(queue, press, ready_to_dub, fake_worker, tmp_path, is_running) -> None:
    blend = str(tmp_path / "edit.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    fake_worker("answer_slowly")
    press(DUB)
    if is_running:
        queue.until(lambda: queue.statuses() == ["running"])
    bpy.ops.wm.read_homefile(use_empty=True)
    queue.finish()
    (entry,) = queue.entries()
    assert entry.status == "ready"
    assert f"saved in {entry.job.output_path}. Open {blend} again and press Insert." in entry.outcome
    assert Path(entry.job.output_path).is_file()
    bpy.ops.s2l.insert_entry(entry=entry.identifier)
    assert entry.status == "ready"
    bpy.ops.wm.open_mainfile(filepath=blend)
    assert queue.entries() == [entry]
    bpy.ops.s2l.insert_entry(entry=entry.identifier)
    assert entry.status == "done"
    assert len(dubbed_strips()) == 1


def test_new_file_is_not_taken_for_the_unsaved_one_before(queue, press, ready_to_dub, fake_worker) -> None:
    name = bpy.context.scene.name
    press(DUB)
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.context.scene.name = name
    queue.finish()
    assert queue.statuses() == ["ready"]


@pytest.mark.parametrize("context", [{}, {"window": None}], ids=["with a window", "as in a timer"])
def test_delivery_is_one_undo_step(queue, press, ready_to_dub, fake_worker, context) -> None:
    bpy.ops.ed.undo_push(message="Before")
    press(DUB)
    with bpy.context.temp_override(**context):
        queue.finish()
    bpy.ops.ed.undo()
    assert dubbed_strips() == []
    assert len(bpy.context.scene.sequence_editor.strips) == 2
    bpy.ops.ed.redo()
    assert len(dubbed_strips()) == 1


def test_delivery_waits_for_a_render(module, queue, press, ready_to_dub, fake_worker, monkeypatch) -> None:
    monkeypatch.setattr(module("s2l_blender_addon.compat"), "is_sequencer_busy", lambda: True)
    press(DUB)
    queue.until(lambda: queue.entries()[0].client and queue.entries()[0].client.has_ended)
    for _ in range(3):
        queue.module.advance()
    assert dubbed_strips() == []
    monkeypatch.undo()
    queue.finish()
    assert len(dubbed_strips()) == 1


def test_every_channel_taken_keeps_the_result_ready(queue, press, strips, movie, ready_to_dub, fake_worker) -> None:
    for channel in range(3, 129):
        blocker = strips.new_movie("Blocker", str(movie), channel, 120)
        set_duration(blocker, 40)
    press(DUB)
    queue.finish()
    (entry,) = queue.entries()
    assert entry.status == "ready"
    assert "channel" in entry.outcome
    strips.remove(blocker)
    bpy.ops.s2l.insert_entry(entry=entry.identifier)
    assert queue.statuses() == ["done"]


def test_worker_crash_fails_with_its_last_words_and_the_next_job_runs(
    module, queue, press, ready_to_dub, fake_worker
) -> None:
    fake_worker("crash")
    press(DUB)
    press(CHECK)
    queue.until(lambda: queue.statuses()[0] == "failed")
    fake_worker("answer")
    queue.finish()
    failed, done = queue.entries()
    assert (failed.failure.code, done.status) == ("worker_lost", "done")
    text = module("operators.queue_entries").error_text(failed)
    assert "Dub Interview" in text
    assert "Code: worker_lost\nout of luck" in text
    assert text in module("operators.engine").report_text(bpy.context)
    assert bpy.ops.s2l.copy_error(entry=failed.identifier) == {"FINISHED"}
    bpy.ops.s2l.retry_entry(entry=failed.identifier)
    queue.finish()
    assert queue.statuses() == ["done", "done"]


@pytest.mark.parametrize("behaviour", ["wait", "ignore"])
def test_cancelled_job_is_gone_and_can_be_resumed(queue, press, ready_to_dub, fake_worker, behaviour) -> None:
    fake_worker(behaviour)
    press(DUB)
    queue.until(lambda: queue.statuses() == ["running"])
    (entry,) = queue.entries()
    process = entry.client._process._process
    bpy.ops.s2l.cancel_entry(entry=entry.identifier)
    queue.finish()
    assert entry.status == "cancelled"
    process.wait(timeout=5)
    fake_worker("answer")
    bpy.ops.s2l.resume_entry(entry=entry.identifier)
    queue.finish()
    assert entry.status == "done"


def test_cancelled_worker_is_killed_within_a_second(module) -> None:
    assert module("s2l_blender_addon.engine.worker_client").CANCEL_GRACE_SECONDS + 0.2 <= 1.0


def test_cancel_takes_its_turn_from_a_waiting_job(queue, press, ready_to_dub, fake_worker) -> None:
    press(DUB)
    press(CHECK)
    bpy.ops.s2l.cancel_entry(entry=queue.entries()[0].identifier)
    queue.finish()
    assert queue.statuses() == ["cancelled", "done"]
    assert dubbed_strips() == []


def test_no_thread_of_a_job_runs_when_its_result_is_delivered(
    queue, module, press, ready_to_dub, fake_worker, monkeypatch
) -> None:
    before, at_delivery = set(threading.enumerate()), []
    deliveries = module("s2l_blender_addon.queue.deliveries")
    deliver = deliveries.deliver

    def watch(entry):
        at_delivery.append(set(threading.enumerate()) - before)
        return deliver(entry)

    monkeypatch.setattr(deliveries, "deliver", watch)
    press(DUB)
    queue.finish()
    assert at_delivery == [set()]


def test_removing_forgets_an_entry_and_only_what_has_a_result_keeps_its_record(
    queue, press, ready_to_dub, fake_worker, tmp_path
) -> None:
    press(DUB)
    queue.finish()
    press(DUB, "KEEP")
    bpy.ops.s2l.remove_entry(entry=queue.entries()[1].identifier)
    bpy.ops.s2l.clear_finished()
    assert queue.entries() == []
    assert [path.name for path in tmp_path.glob("*.job.json")] == [
        f"{path.name}.job.json" for path in tmp_path.glob("*.mp4")
    ]


def test_button_does_nothing_to_an_entry_that_it_is_not_for(queue, press, ready_to_dub, fake_worker) -> None:
    press(CHECK)
    (entry,) = queue.entries()
    for button in (bpy.ops.s2l.retry_entry, bpy.ops.s2l.insert_entry, bpy.ops.s2l.resume_entry):
        assert button(entry=entry.identifier) == {"CANCELLED"}
    assert bpy.ops.s2l.cancel_entry(entry="no such entry") == {"CANCELLED"}
    assert queue.statuses() == ["waiting"]


def test_engine_that_is_not_there_fails_the_entry_only(queue, press, ready_to_dub, preferences) -> None:
    preferences.worker_python = "/nowhere/python"
    press(CHECK)
    queue.finish()
    preferences.worker_python = ""
    assert queue.entries()[0].failure.code == "engine_incomplete"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("KEEP", {("Interview Dubbed", 3, False), ("Interview Dubbed.001", 4, False)}),
        ("VERSION", {("Interview Dubbed", 3, True), ("Interview Dubbed.001", 4, False)}),
        ("REPLACE", {("Interview Dubbed.001", 3, False)}),
    ],
)
def test_dubbing_again_asks_what_becomes_of_the_earlier_result(
    queue, press, ready_to_dub, fake_worker, tmp_path, answer, expected
) -> None:
    assert press(DUB).questions == []
    queue.finish()
    operator = press(DUB, answer)
    assert operator.questions == ["Dub Strip"]
    queue.finish()
    assert {(strip.name, strip.channel, strip.mute) for strip in dubbed_strips()} == expected
    assert len(list(tmp_path.glob("*.mp4"))) == 2


def test_dismissed_question_adds_nothing(queue, press, ready_to_dub, fake_worker) -> None:
    press(DUB)
    queue.finish()
    press(DUB, answer="")
    assert len(queue.entries()) == 1


def test_redo_runs_the_same_job_where_the_strip_is_now(queue, press, ready_to_dub, fake_worker) -> None:
    press(DUB)
    queue.finish()
    (first,) = dubbed_strips()
    set_content_start(first, content_start(first) + 10)
    press("S2L_OT_redo")
    queue.finish()
    again = next(strip for strip in dubbed_strips() if strip != first)
    assert handles(again)[0] == 135
    old, new = (json.loads(strip["s2l_job"]) for strip in (first, again))
    assert {name for name in old if old[name] != new[name]} == {"output_path"}
    assert first.mute


def change_everything(scene, footage, folder) -> None:
    dub = scene.s2l.dub
    dub.layer, dub.format, dub.crf = "mouth", "prores", 30
    dub.silence_db, dub.rest_strength = -40.0, 0.25
    dub.folder, footage.s2l.speaker_path = str(folder), "/nowhere/own.s2l"
    footage.s2l.has_face, footage.s2l.face = True, (0.25, 0.5)


def forget_everything(scene, footage) -> None:
    dub = scene.s2l.dub
    dub.layer, dub.format, dub.crf, dub.silence_db, dub.rest_strength = "picture", "h264", 17, -25.0, 1.0
    dub.folder, dub.sound_strip, dub.speaker_path, scene.s2l.footage_strip = "", "", "/nowhere/scene.s2l", ""
    footage.s2l.speaker_path, footage.s2l.has_face = "/nowhere/other.s2l", False


def job_that_the_panels_ask_for(module, scene):
    strips, dub_job = module("s2l_blender_addon.sequencer.strips"), module("s2l_blender_addon.queue.dub_job").dub_job
    job, _ = dub_job(bpy.context, scene, strips.footage(scene), strips.voices(scene))
    return job


def assert_redo_with_changes_restores(module, scene, footage) -> None:
    (dubbed,) = dubbed_strips()
    forget_everything(scene, footage)
    scene.sequence_editor.active_strip = dubbed
    assert bpy.ops.s2l.redo_with_changes() == {"FINISHED"}
    before = module("s2l_blender_addon.sequencer.results").job_of(dubbed)
    now = job_that_the_panels_ask_for(module, scene)
    assert Path(now.output_path).parent == Path(before.output_path).parent
    assert dataclasses.replace(now, output_path=before.output_path) == before


def test_redo_with_changes_puts_the_settings_back_into_the_panels(
    module, scene, queue, press, ready_to_dub, footage, fake_worker, tmp_path
) -> None:
    change_everything(scene, footage, tmp_path / "results")
    press(DUB)
    queue.finish()
    assert_redo_with_changes_restores(module, scene, footage)


def test_redo_with_changes_puts_animated_settings_back(
    module, scene, queue, press, ready_to_dub, footage, fake_worker
) -> None:
    for frame, value in ((125, -60.0), (150, -20.0)):
        scene.s2l.dub.silence_db = value
        scene.keyframe_insert("s2l.dub.silence_db", frame=frame)
    press(DUB)
    queue.finish()
    scene.animation_data_clear()
    assert_redo_with_changes_restores(module, scene, footage)


def test_redo_with_changes_takes_animation_off_settings_that_had_none(
    module, scene, queue, press, ready_to_dub, footage, fake_worker
) -> None:
    press(DUB)
    queue.finish()
    scene.keyframe_insert("s2l.dub.rest_strength", frame=130)
    assert_redo_with_changes_restores(module, scene, footage)


def test_redo_with_changes_puts_several_sounds_back(
    module, scene, strips, sound, queue, press, ready_to_dub, footage, speech, fake_worker
) -> None:
    others = [strips.new_sound(name, str(sound), channel, 120) for channel, name in ((6, "Answer"), (7, "Noise"))]
    scene.s2l.dub.sound_strip = ""
    for strip in (speech, others[0]):
        strip.s2l.drives = footage.name
    press(DUB)
    queue.finish()
    speech.s2l.drives, others[1].s2l.drives = "", footage.name
    assert_redo_with_changes_restores(module, scene, footage)
    assert [strip.s2l.drives for strip in (speech, *others)] == ["Interview", "Interview", ""]


def test_redo_needs_a_dubbed_strip(module, scene, ready_to_dub) -> None:
    for operator in (module("operators.redo").S2L_OT_redo, module("operators.redo").S2L_OT_redo_with_changes):
        assert not operator.poll(bpy.context)


def test_file_that_appears_under_the_name_of_an_output_is_not_overwritten(
    queue, press, ready_to_dub, fake_worker
) -> None:
    press(DUB)
    (entry,) = queue.entries()
    Path(entry.job.output_path).write_bytes(b"precious")
    queue.finish()
    assert entry.failure.code == "cannot_write"
    assert Path(entry.job.output_path).read_bytes() == b"precious"
