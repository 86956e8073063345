"""The command ``blender -c s2l``, with the arguments that a shell would pass."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest

pytestmark = pytest.mark.any_blender


@pytest.fixture
def run(module):
    return module("s2l_blender_addon.batch").run


@pytest.fixture
def edit(scene, ready_to_dub, footage, speech, tmp_path) -> Path:
    """A saved file in which a sound drives a movie strip."""
    scene.s2l.footage_strip = scene.s2l.dub.sound_strip = ""
    speech.s2l.drives = footage.name
    path = tmp_path / "edit.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def dubbed_in(path: Path) -> list[str]:
    """The names of the dubbed strips in a saved file."""
    bpy.ops.wm.open_mainfile(filepath=str(path))
    return [strip.name for strip in bpy.context.scene.sequence_editor.strips if "s2l_job" in strip]


def test_dub_all_puts_the_result_into_the_file(run, edit, fake_worker) -> None:
    bpy.ops.wm.read_homefile(use_empty=True)
    assert run(["dub", "--all", str(edit)]) == 0
    assert len(dubbed_in(edit)) == 1


def test_dubbing_leaves_the_choices_in_the_file_as_they_are(run, edit, fake_worker) -> None:
    assert run(["dub", "--strip", "Interview"]) == 0
    dubbed_in(edit)
    assert (bpy.context.scene.s2l.footage_strip, bpy.context.scene.s2l.dub.sound_strip) == ("", "")


def test_strip_can_be_named(run, edit, fake_worker, capsys) -> None:
    assert run(["dub", "--strip", "Interview", "--json"]) == 0
    *_, last = (json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{"))
    assert (last["file"], last["strip"], last["verb"], last["status"]) == (str(edit), "Interview", "dub", "done")
    assert Path(last["output"]).is_file()


def test_dry_run_changes_nothing_and_tells_what_would_be_done(run, edit, fake_worker, capsys) -> None:
    before = edit.read_bytes()
    assert run(["dub", "--all", "--dry-run"]) == 0
    assert "edit.blend, Interview: planned. Dub Interview into" in capsys.readouterr().out
    assert edit.read_bytes() == before
    assert not list(edit.parent.glob("*.mp4"))


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["dub"], 2, ""),
        (["dub", "--all", "--strip", "Interview"], 2, ""),
        (["sing", "--all"], 2, ""),
        (["check", "--all", "--render", "/tmp/x"], 2, "--render can only be used with dub"),
        (["dub", "--strip", "Gone"], 1, "There is no movie or image strip Gone."),
        (["train", "--all"], 1, "needs the consent of the person"),
        (["train", "--all", "--consent", "--consent-until", "2020-01-31"], 1, "ended on 2020-01-31"),
        (["train", "--all", "--consent-record", "gone.json"], 1, "gone.json cannot be read"),
        (["train", "--all", "--consent-who", "Ada"], 1, "it is not confirmed"),
        (["dub", "--all", "gone.blend"], 1, "gone.blend"),
    ],
)
def test_exit_status_and_sentence(run, edit, fake_worker, capsys, words, status, sentence) -> None:
    assert run(words) == status
    assert sentence in capsys.readouterr().out


def test_nothing_to_do_has_a_status_of_its_own(run, scene, footage, fake_worker, capsys) -> None:
    assert run(["dub", "--all"]) == 3
    assert "No sound strip drives a movie" in capsys.readouterr().out


def test_failed_job_leaves_the_file_alone(run, edit, fake_worker, capsys) -> None:
    fake_worker("fail")
    before = edit.read_bytes()
    assert run(["dub", "--all"]) == 1
    assert "Interview: failed. Nobody is there." in capsys.readouterr().out
    assert edit.read_bytes() == before


def test_a_dub_that_changed_nothing_is_told_and_kept(run, edit, fake_worker, capsys) -> None:
    fake_worker("leave_as_it_was")
    assert run(["dub", "--all"]) == 1
    assert "Interview: untouched. Dubbed 0 of 30 frames: 30 occluded. The result is" in capsys.readouterr().out
    assert len(dubbed_in(edit)) == 1


def test_one_bad_file_does_not_keep_the_next_from_being_done(run, edit, fake_worker) -> None:
    assert run(["dub", "--all", "gone.blend", str(edit)]) == 1
    assert len(dubbed_in(edit)) == 1


def test_train_and_check_need_no_window(run, edit, scene, fake_worker, capsys) -> None:
    assert run(["train", "--strip", "Interview", "--consent"]) == 0
    assert run(["check", "--all"]) == 0
    told = capsys.readouterr().out
    assert f"Interview: done. Saved the speaker to {bpy.context.scene.s2l.dub.speaker_path}." in told
    assert "Interview: done. The footage is usable." in told
    assert bpy.context.scene.s2l.check.verdict == "usable"


def test_interrupted_job_is_taken_up_where_it_was(module, run, edit, fake_worker, monkeypatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    fake_worker("wait")
    queue = module("s2l_blender_addon.queue.job_queue")
    with monkeypatch.context() as patch:
        patch.setattr(queue.time, "sleep", interrupt)
        assert run(["dub", "--all"]) == 130
    queue.abandon()
    fake_worker("answer")
    monkeypatch.setattr(module("s2l_blender_addon.queue.recovery"), "WORKER_GRACE_SECONDS", 0.0)
    assert run(["dub", "--all", "--resume"]) == 0
    assert len(list(edit.parent.glob("*.mp4"))) == 1


def test_an_add_on_that_is_enabled_for_once_has_the_settings_that_it_comes_with(module) -> None:
    context = SimpleNamespace(preferences=SimpleNamespace(addons={}))  # as after `blender --addons`
    settings = module("s2l_blender_addon.preferences").settings(context)
    assert (settings.worker_python, settings.device) == ("", "auto")


@pytest.fixture
def edits(scene, edit, tmp_path) -> list[Path]:
    """Two saved files with the same strips."""
    other = tmp_path / "other.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(other), copy=True)
    return [edit, other]


RESULT = {"summary": "Dubbed 30 frames.", "frames_dubbed": 30, "untouched": [], "warnings": []}


def test_the_jobs_of_all_files_are_one_plan_that_is_removed_when_it_is_done(
    run, edits, fake_worker, planner, finish_tasks, capsys
) -> None:
    fake_worker("fail")  # whoever ran a job by itself would fail
    planner.do = lambda folder: finish_tasks(folder, RESULT)
    assert run(["dub", "--all", *map(str, edits)]) == 0
    assert len(planner.ran) == 1
    assert [len(dubbed_in(path)) for path in edits] == [1, 1]
    assert not Path(planner.ran[0]).exists()
    told = capsys.readouterr().out
    assert "edit.blend, Interview: done. Dubbed 30 frames." in told
    assert "other.blend, Interview: done. Dubbed 30 frames." in told


def test_a_task_that_fails_keeps_no_other_file_from_its_turn(
    module, run, edits, fake_worker, planner, finish_tasks, capsys
) -> None:
    states, farm, errors = (module(f"s2l_core.{name}") for name in ("farm.states", "farm.plan", "errors"))

    def do(folder: str) -> None:
        finish_tasks(folder, RESULT, ("shot1-join",))
        failed = states.failed(states.begun_here(), errors.NoFace("Nobody is there.", "Look again."))
        states.write_state(folder, farm.Task("shot0-look", "look", 0), failed)

    planner.do = do
    assert run(["dub", "--all", *map(str, edits)]) == 1
    assert "edit.blend, Interview: failed. Nobody is there. Look again." in capsys.readouterr().out
    assert [len(dubbed_in(path)) for path in edits] == [0, 1]
    assert Path(planner.ran[0]).is_dir()  # it goes on from there


def test_jobs_that_cannot_be_planned_together_run_one_after_the_other(
    module, run, edits, fake_worker, planner, capsys
) -> None:
    planner.error = module("s2l_core.errors").BadPlan("The files of the jobs are on different drives.")
    assert run(["dub", "--all", *map(str, edits)]) == 0
    assert [len(dubbed_in(path)) for path in edits] == [1, 1]
    assert "The files of the jobs are on different drives." in capsys.readouterr().out


def test_an_interrupted_plan_goes_on_with_what_is_not_done(
    module, run, edits, fake_worker, planner, finish_tasks, monkeypatch
) -> None:
    fake_worker("fail")

    def interrupt(folder: str) -> None:
        finish_tasks(folder, RESULT, ("shot0-join",))
        planner.is_slow = True

    def stop(seconds: float) -> None:
        if planner.is_slow:
            planner.is_slow = False
            raise KeyboardInterrupt

    planner.do = interrupt
    with monkeypatch.context() as patch:
        patch.setattr(module("s2l_blender_addon.queue.together").time, "sleep", stop)
        assert run(["dub", "--all", *map(str, edits)]) == 130
    module("s2l_blender_addon.queue.job_queue").abandon()
    monkeypatch.setattr(module("s2l_blender_addon.queue.recovery"), "WORKER_GRACE_SECONDS", 0.0)
    planner.do = lambda folder: finish_tasks(folder, RESULT)
    assert run(["dub", "--all", "--resume", *map(str, edits)]) == 0
    assert planner.ran[0] == planner.ran[1]
    assert [len(dubbed_in(path)) for path in edits] == [1, 1]
    assert len(list(edits[0].parent.glob("*.mp4"))) == 2
