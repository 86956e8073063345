"""Jobs that other machines do: what they would miss, the plan that they run, and the results that they leave."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import bpy
import pytest


def dubbed_strips() -> list:
    return [strip for strip in bpy.context.scene.sequence_editor.strips_all if "s2l_job" in strip]


@pytest.fixture
def edit(scene, ready_to_dub, footage, speech, movie, sound, tmp_path) -> Path:
    """A saved file in which a sound strip drives a movie strip, with everything in the shared folder."""
    speech.s2l.drives = footage.name
    (tmp_path / "Ada.s2l").write_bytes(b"a speaker")
    scene.s2l.submit.folder = os.path.commonpath([movie, sound, tmp_path])
    path = tmp_path / "edit.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


@pytest.fixture
def finish(finish_tasks) -> Callable[[object, dict], None]:
    """Does what another machine does at the end of a job."""
    return lambda entry, result: finish_tasks(entry.submission.plan, result, (entry.submission.tasks[-1],))


@pytest.fixture
def at_once(queue, monkeypatch) -> None:
    monkeypatch.setattr(queue.module, "LOOK_SECONDS", 0.0)


RESULT = {"summary": "Dubbed 50 frames.", "frames_dubbed": 50, "untouched": [], "warnings": []}


def test_a_check_lists_what_other_machines_would_miss(scene, ready_to_dub, footage, speech, fake_worker) -> None:
    speech.s2l.drives = footage.name
    scene.s2l.submit.folder = "/nowhere"
    with pytest.raises(RuntimeError) as refused:
        bpy.ops.s2l.submit()
    sentences = str(refused.value)
    assert "The file is not saved" in sentences
    assert "Ada.s2l is missing" in sentences
    assert "lies outside of /nowhere" in sentences


@pytest.mark.parametrize("facts", [{}, {"consent": True, "consent_revoked": "2026-01-02T03:04:05+00:00"}])
def test_a_speaker_without_consent_is_not_submitted(module, scene, edit, fake_worker, facts) -> None:
    module("s2l_blender_addon.speakers").remember(scene, scene.s2l.dub.speaker_path, {"name": "Ada", **facts})
    with pytest.raises(RuntimeError, match="No valid consent is recorded"):
        bpy.ops.s2l.submit()


def test_an_engine_that_is_not_set_up_is_a_sentence_of_the_check(module, edit, monkeypatch) -> None:
    missing = module("s2l_core.errors").EngineIncomplete("No Python with the engine's packages was found.")

    def find(context: bpy.types.Context) -> str:
        raise missing

    monkeypatch.setattr(module("s2l_blender_addon.queue.preflight"), "find_worker_python", find)
    with pytest.raises(RuntimeError, match="No Python with the engine's packages"):
        bpy.ops.s2l.submit()


@pytest.mark.usefixtures("planner", "fake_worker", "at_once")
def test_submitted_dubs_stand_in_the_queue_and_their_results_are_inserted(scene, edit, queue, finish) -> None:
    scene.s2l.submit.farm = "FLAMENCO"
    assert bpy.ops.s2l.submit() == {"FINISHED"}
    (entry,) = queue.entries()
    assert (entry.name, entry.status) == ("Dub Interview", "submitted")
    assert json.loads((Path(entry.submission.plan) / "flamenco.json").read_text())["type"] == "speech2lip"
    queue.module.advance()
    assert entry.outcome == "0 of 2 tasks are done."
    finish(entry, RESULT)
    queue.until(lambda: entry.status == "done")
    assert [json.loads(strip["s2l_job"])["verb"] for strip in dubbed_strips()] == ["dub"]


@pytest.mark.usefixtures("planner", "fake_worker", "at_once")
def test_results_are_inserted_in_another_session_too(edit, queue, finish) -> None:
    bpy.ops.s2l.submit()
    (submitted,) = queue.entries()
    bpy.ops.wm.save_mainfile()
    queue.module.abandon()
    finish(submitted, RESULT)
    bpy.ops.wm.open_mainfile(filepath=str(edit))
    (entry,) = queue.entries()
    assert entry.status == "submitted"
    queue.until(lambda: entry.status == "done")
    assert len(dubbed_strips()) == 1


@pytest.fixture
def press_submit(module) -> Callable[..., list[str]]:
    """Presses OK in the dialog of Submit; returns what it reports."""

    def press_submit(**fields: object) -> list[str]:
        cls, reports = module("operators.submit").S2L_OT_submit, []
        parts = {name: value for name, value in vars(cls).items() if callable(value) or name in ("_is_asked",)}
        operator = type("Submit", (), {**parts, "consent": False, "_is_asked": True, **fields})()
        operator.report = lambda level, text: reports.append(text)
        operator.execute(bpy.context)
        return reports

    return press_submit


@pytest.mark.usefixtures("fake_worker", "at_once")
def test_the_button_leaves_planning_to_the_queue(scene, edit, queue, planner, press_submit, finish) -> None:
    planner.is_slow = True
    assert press_submit() == ["Planning 1 job for other machines."]
    queue.module.advance()
    (entry,) = queue.entries()
    assert (entry.status, entry.submission) == ("planning", None)
    with pytest.raises(RuntimeError, match="Wait until the jobs that were submitted before are planned"):
        bpy.ops.s2l.submit()
    planner.is_slow = False
    queue.module.advance()
    assert entry.status == "submitted"
    finish(entry, RESULT)
    queue.until(lambda: entry.status == "done")
    assert len(dubbed_strips()) == 1


@pytest.mark.usefixtures("fake_worker")
def test_planning_can_be_cancelled(scene, edit, queue, planner, press_submit) -> None:
    planner.is_slow = True
    press_submit()
    (entry,) = queue.entries()
    assert bpy.ops.s2l.cancel_submit() == {"FINISHED"}
    queue.module.advance()
    assert queue.entries() == []
    assert not entry.record_path.exists()


@pytest.mark.usefixtures("fake_worker")
def test_jobs_that_cannot_be_planned_say_why_in_the_queue(module, scene, edit, queue, planner, press_submit) -> None:
    planner.error = module("s2l_core.errors").BadPlan("speaker.mp4 is in none of the roots PROJECT.")
    press_submit()
    queue.module.advance()
    (entry,) = queue.entries()
    assert entry.status == "failed"
    assert entry.outcome.startswith("speaker.mp4 is in none of the roots PROJECT.")


def test_a_script_is_told_why_jobs_cannot_be_planned(module, scene, edit, queue, planner, fake_worker) -> None:
    planner.error = module("s2l_core.errors").BadPlan("speaker.mp4 is in none of the roots PROJECT.")
    with pytest.raises(RuntimeError, match="is in none of the roots"):
        bpy.ops.s2l.submit()
    assert queue.entries() == []
    assert not list(edit.parent.glob("*.job.json"))


@pytest.mark.usefixtures("planner", "fake_worker", "at_once")
def test_a_training_is_submitted_with_the_dubs_that_wait_for_it(scene, edit, queue, finish_tasks, tmp_path) -> None:
    scene.s2l.dub.speaker_path, scene.s2l.train.speaker_name = "", "Grace"
    scene.s2l.train.consent, scene.s2l.submit.training = "Grace", True
    assert bpy.ops.s2l.submit() == {"FINISHED"}
    training, dub = queue.entries()
    assert (training.name, dub.name) == ("Train Grace", "Dub Interview")
    assert dub.job.speaker_path == training.job.speaker_path == str(tmp_path / "Grace.s2l")
    finish_tasks(training.submission.plan, {}, training.submission.tasks)
    queue.until(lambda: training.status == "done")
    assert scene.s2l.dub.speaker_path == str(tmp_path / "Grace.s2l")
    finish_tasks(dub.submission.plan, RESULT, dub.submission.tasks)
    queue.until(lambda: dub.status == "done")
    assert len(dubbed_strips()) == 1


def test_a_training_is_submitted_only_with_consent(scene, edit, fake_worker, planner, queue) -> None:
    scene.s2l.train.consent, scene.s2l.submit.training = "", True
    with pytest.raises(RuntimeError, match="needs the consent of the person"):
        bpy.ops.s2l.submit()
    assert bpy.ops.s2l.submit(consent=True) == {"FINISHED"}
    assert scene.s2l.train.consent == scene.s2l.train.speaker_name


def test_nothing_is_submitted_if_nothing_is_chosen(scene, edit, fake_worker) -> None:
    scene.s2l.submit.dubs = False
    with pytest.raises(RuntimeError, match="Choose Dubs, Training or Head"):
        bpy.ops.s2l.submit()


def test_the_button_says_why_nothing_can_be_submitted(scene, fake_worker) -> None:
    with pytest.raises(RuntimeError, match="Choose the strip that a sound strip drives"):
        bpy.ops.s2l.submit()


def test_pictures_that_speak_are_submitted_too(scene, strips, portrait, speech, queue, planner, fake_worker) -> None:
    speech.s2l.drives = portrait.name
    scene.s2l.submit.folder = os.path.commonpath([bpy.path.abspath(speech.sound.filepath), scene.s2l.dub.folder])
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(scene.s2l.dub.folder) / "edit.blend"))
    assert bpy.ops.s2l.submit() == {"FINISHED"}
    assert [entry.job.verb for entry in queue.entries()] == ["still"]


@pytest.mark.usefixtures("planner", "fake_worker", "at_once")
def test_the_queue_says_which_task_failed_and_waits_for_another_try(module, edit, queue, finish) -> None:
    states, errors = module("s2l_core.farm.states"), module("s2l_core.errors")
    bpy.ops.s2l.submit()
    (entry,) = queue.entries()
    states.make_folders(entry.submission.plan)
    task = module("s2l_core.farm.plan").Task(entry.submission.tasks[0], "look", 0)
    failed = states.failed(states.begun_here(), errors.DiskFull("The disk is full."))
    states.write_state(entry.submission.plan, task, failed)
    queue.module.advance()
    assert entry.status == "submitted"
    assert entry.outcome.startswith("shot0-look failed on ")
    assert "The disk is full." in entry.outcome
    finish(entry, RESULT)
    queue.until(lambda: entry.status == "done")


@pytest.mark.usefixtures("planner", "fake_worker", "at_once")
def test_a_hostile_result_in_the_folder_of_a_plan_is_not_shown(edit, queue, finish) -> None:
    bpy.ops.s2l.submit()
    (entry,) = queue.entries()
    finish(entry, RESULT | {"untouched": "everything"})
    queue.until(lambda: entry.status == "done")
    assert entry.result == {}
