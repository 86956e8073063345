"""What is left of the queue when Blender vanishes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import bpy
import pytest

DUB = "S2L_OT_dub_strip"


def dubbed_strips() -> list:
    return [strip for strip in bpy.context.scene.sequence_editor.strips_all if "s2l_job" in strip]


@pytest.fixture
def left_behind(queue, press, ready_to_dub, fake_worker, tmp_path):
    """What a Blender that has vanished in the middle of a dub leaves; gives the path of the record."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "edit.blend"))
    fake_worker("ignore")
    press(DUB)
    queue.until(lambda: queue.statuses() == ["running"])
    (entry,) = queue.entries()
    record = entry.record_path.read_text()
    queue.module.abandon()
    entry.record_path.write_text(record)
    fake_worker("answer")
    return entry.record_path


def reopen(queue) -> list:
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    for entry in queue.entries():
        entry.earliest = 0.0
    return queue.entries()


def test_new_blender_finds_what_was_interrupted_and_resumes_it(queue, left_behind) -> None:
    assert json.loads(left_behind.read_text())["status"] == "running"
    (entry,) = reopen(queue)
    assert (entry.status, entry.name) == ("interrupted", "Dub Interview")
    assert reopen(queue) == [entry]
    bpy.ops.s2l.resume_entry(entry=entry.identifier)
    queue.finish()
    assert entry.status == "done"
    assert len(dubbed_strips()) == 1
    bpy.ops.wm.save_mainfile()
    assert json.loads(left_behind.read_text())["status"] == "done"
    queue.module.abandon()
    assert reopen(queue) == []
    assert len(dubbed_strips()) == 1


@pytest.mark.parametrize("has_crashed", [False, True])
def test_result_in_a_file_that_was_not_saved_is_not_lost(queue, left_behind, has_crashed) -> None:
    (entry,) = reopen(queue)
    bpy.ops.s2l.resume_entry(entry=entry.identifier)
    queue.finish()
    if has_crashed:
        queue.module.abandon()
    (entry,) = reopen(queue)
    assert (entry.status, dubbed_strips()) == ("ready", [])
    bpy.ops.s2l.insert_entry(entry=entry.identifier)
    assert entry.status == "done"
    assert len(dubbed_strips()) == 1


def test_removed_entry_does_not_come_back(queue, left_behind) -> None:
    (entry,) = reopen(queue)
    bpy.ops.s2l.resume_entry(entry=entry.identifier)
    queue.finish()
    bpy.ops.s2l.clear_finished()
    assert reopen(queue) == []


def test_resumed_job_waits_until_the_old_worker_must_be_gone(queue, left_behind) -> None:
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    (entry,) = queue.entries()
    bpy.ops.s2l.resume_entry(entry=entry.identifier)
    for _ in range(3):
        queue.module.advance()
    assert entry.status == "waiting"


def test_output_that_was_whole_before_blender_vanished_is_taken(queue, left_behind, movie) -> None:
    output = Path(str(left_behind).removesuffix(".job.json"))
    (entry,) = reopen(queue)
    bpy.ops.s2l.resume_entry(entry=entry.identifier)
    output.write_bytes(movie.read_bytes())  # the old worker still works for some seconds
    queue.finish()
    assert entry.status == "done"
    assert len(dubbed_strips()) == 1
    assert output.read_bytes() == movie.read_bytes()


def test_discarding_forgets_what_was_interrupted(queue, left_behind) -> None:
    (entry,) = reopen(queue)
    bpy.ops.s2l.remove_entry(entry=entry.identifier)
    assert not left_behind.exists()
    assert reopen(queue) == []


@pytest.fixture
def other_blender(module):
    """Gives a record to another Blender, which lives until the function that this gives is called."""
    source = module("s2l_blender_addon.session").__file__
    program = f"import runpy; s = runpy.run_path({source!r}); print(s['token'](), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True) as other:

        def give(record: Path):
            document = json.loads(record.read_text())
            document["session"] = token
            record.write_text(json.dumps(document))
            return lambda: (other.kill(), other.wait())

        token = other.stdout.readline().strip()
        yield give
        other.kill()


def test_job_of_a_blender_that_lives_is_left_to_it(queue, left_behind, other_blender) -> None:
    end = other_blender(left_behind)
    assert reopen(queue) == []
    end()
    assert len(reopen(queue)) == 1


def test_job_that_another_blender_has_resumed_is_left_to_it(queue, left_behind, other_blender) -> None:
    (entry,) = reopen(queue)
    other_blender(left_behind)
    bpy.ops.s2l.resume_entry(entry=entry.identifier)
    assert (entry.status, entry.outcome) == ("interrupted", "Another Blender does this job now.")


def test_file_and_folder_that_were_moved_together_find_their_jobs(queue, left_behind, tmp_path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    record = left_behind.rename(moved / left_behind.name)
    bpy.context.scene.s2l.dub.folder = str(moved)
    bpy.ops.wm.save_as_mainfile(filepath=str(moved / "edit.blend"))
    (tmp_path / "edit.blend").unlink()
    (entry,) = reopen(queue)
    assert entry.job.output_path == str(record).removesuffix(".job.json")
    bpy.ops.s2l.resume_entry(entry=entry.identifier)
    queue.finish()
    assert entry.status == "done"


def test_scene_that_was_renamed_before_the_crash_gets_its_result(queue, left_behind) -> None:
    bpy.context.scene.name = "Renamed"
    bpy.ops.wm.save_mainfile()
    (entry,) = reopen(queue)
    bpy.ops.s2l.resume_entry(entry=entry.identifier)
    queue.finish()
    assert queue.statuses() == ["done"]


def test_jobs_of_another_file_are_left_to_it(queue, left_behind, tmp_path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "other.blend"))
    assert reopen(queue) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record.clear(),
        lambda record: record["job"].update(verb="info"),
        lambda record: record["job"].update(output_path=7),
        lambda record: record["target"].update(placement=[]),
        lambda record: record["target"]["placement"].update(first="1"),
        lambda record: record["target"].update(existing="DELETE"),
        lambda record: record.update(session="../../etc/passwd", status="odd"),
        lambda record: record.update(record=99),
        lambda record: record.update(result=[1]),
        lambda record: record.update(failure={"code": 1}),
    ],
)
def test_record_that_makes_no_sense_is_left_alone(queue, left_behind, spoil) -> None:
    document = json.loads(left_behind.read_text())
    spoil(document)
    left_behind.write_text(json.dumps(document))
    assert reopen(queue) == []
    assert left_behind.exists()


def test_record_cannot_make_its_job_write_elsewhere(queue, left_behind, tmp_path) -> None:
    precious = tmp_path / "precious.mp4"
    precious.write_bytes(b"precious")
    document = json.loads(left_behind.read_text())
    document["job"]["output_path"] = str(precious)
    left_behind.write_text(json.dumps(document))
    (entry,) = reopen(queue)
    bpy.ops.s2l.resume_entry(entry=entry.identifier)
    queue.finish()
    assert precious.read_bytes() == b"precious"
    assert Path(entry.job.output_path) != precious
