"""What is left of the queue after a crash of Blender."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import bpy
import pytest

DUB = "S2L_OT_dub_strip"
CHECK = {"schema": 1, "verb": "check", "footage": {"path": "footage.mp4"}}
RESULT = {
    "summary": "Dubbed 3 frames.",
    "voice_track": 1,
    "frames_dubbed": 3,
    "warnings": ["The face is turned."],
    "untouched": [{"first": 0, "last": 1, "reason": "profile"}],
}


def dubbed_strips() -> list:
    return [strip for strip in bpy.context.scene.sequence_editor.strips_all if "s2l_job" in strip]


@pytest.fixture
def left_behind(queue, press, ready_to_dub, fake_worker, tmp_path):
    """The files of a Blender that crashed during a dub; returns the path of the record."""
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
    """Lets another Blender own a record until the returned function is called."""
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
    assert (entry.status, entry.outcome) == ("interrupted", "Another Blender is running this job now.")


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
        lambda record: record.update(result={"summary": 1}),
        lambda record: record.update(result={"warnings": 7}),
        lambda record: record.update(result={"untouched": [{"first": 0, "last": 1}]}),
        lambda record: record.update(result={"untouched": [{"first": 2**40, "last": 2**40, "reason": "profile"}]}),
        lambda record: record.update(job=CHECK, result={}),
        lambda record: record.update(job=CHECK, result={"verdict": "fine", "advice": []}),
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


def plant_pipe(path: Path) -> None:
    os.mkfifo(path)


def plant_endless_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def plant_large_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize("plant", [plant_pipe, plant_endless_device, plant_large_file, Path.mkdir])
def test_only_regular_files_of_bounded_size_are_read(queue, left_behind, plant) -> None:
    plant(left_behind.with_name("a.mp4.job.json"))
    assert [entry.record_path for entry in reopen(queue)] == [left_behind]


def test_a_link_that_waits_under_a_temporary_name_is_not_followed(module, queue, left_behind, monkeypatch) -> None:
    (entry,) = reopen(queue)
    precious = left_behind.with_name("precious")
    precious.write_text("precious")
    records = module("s2l_blender_addon.queue.records")
    monkeypatch.setattr(records.secrets, "token_hex", lambda count: "guessed")
    left_behind.with_name(".guessed.partial").symlink_to(precious)
    with pytest.raises(FileExistsError):
        records.write(entry)
    assert precious.read_text() == "precious"


def test_a_thread_searches_where_there_is_a_window(module, queue, left_behind) -> None:
    recovery, record_search = (
        module("s2l_blender_addon.queue.recovery"),
        module("s2l_blender_addon.queue.record_search"),
    )
    queue.module.abandon()
    recovery._search = record_search.Search([left_behind.parent])
    recovery._search.join()
    assert queue.entries() == []
    assert recovery._take_up() is None
    assert queue.statuses() == ["interrupted"]


def test_nothing_is_delivered_while_a_thread_searches(
    module, queue, press, ready_to_dub, fake_worker, monkeypatch
) -> None:
    is_running = [True]
    monkeypatch.setattr(module("s2l_blender_addon.queue.record_search"), "is_running", lambda: is_running[0])
    press(DUB)
    queue.until(lambda: queue.entries()[0].client is not None and queue.entries()[0].client.is_over)
    queue.module.advance()
    assert (queue.statuses(), dubbed_strips()) == (["running"], [])
    is_running[0] = False
    queue.finish()
    assert len(dubbed_strips()) == 1


VALUES = [
    None, True, -1, 2**31, 10**400, float("nan"), float("inf"), "", "\0", "\ud800", "x" * 100_000, "1e99999999",
    "../../elsewhere", [], [[]], {}, {"a": {}}, ["x"] * 10_000,
]  # fmt: skip


def mutated(document: dict, rng: random.Random) -> dict:
    """A copy in which one value, at any depth, is replaced by another one."""
    document = json.loads(json.dumps(document))
    place: Any = document
    while True:
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not (isinstance(place[key], dict | list) and place[key]) or rng.random() < 0.2:
            place[key] = rng.choice(VALUES)
            return document
        place = place[key]


@pytest.mark.parametrize("seed", range(4))
def test_mutated_records_are_read_or_refused_and_nothing_is_written(module, queue, left_behind, seed) -> None:
    records, errors = module("s2l_blender_addon.queue.records"), module("s2l_core.errors")
    rng, document = random.Random(seed), json.loads(left_behind.read_text())
    before = sorted(left_behind.parent.iterdir())
    for _ in range(50):
        text = json.dumps(mutated(document, rng))
        left_behind.write_text(text[: rng.randrange(len(text))] if rng.random() < 0.1 else text)
        try:
            entry, _ = records.read(left_behind)
        except errors.BadJob as error:
            assert len(error.message) < 1000
        else:
            assert entry.job.output_path == str(left_behind).removesuffix(".job.json")
        reopen(queue)
        queue.module.abandon()
    assert sorted(left_behind.parent.iterdir()) == before


@pytest.mark.parametrize("seed", range(4))
def test_mutated_results_are_refused_or_inserted(queue, left_behind, movie, seed) -> None:
    Path(str(left_behind).removesuffix(".job.json")).write_bytes(movie.read_bytes())
    rng, document = random.Random(seed), json.loads(left_behind.read_text())
    for _ in range(25):
        left_behind.write_text(json.dumps(document | {"status": "ready", "result": mutated(RESULT, rng)}))
        for entry in reopen(queue):
            bpy.ops.s2l.insert_entry(entry=entry.identifier)
            assert entry.status == "done", entry.outcome
        queue.module.abandon()


def test_a_search_ends_at_its_bounds_and_says_so(module, queue, left_behind, monkeypatch, capsys) -> None:
    monkeypatch.setattr(module("s2l_blender_addon.queue.record_search"), "_MOST_READ", 3)
    for number in range(5):
        left_behind.with_name(f"a{number}.mp4.job.json").write_bytes(left_behind.read_bytes())
    assert len(reopen(queue)) == 3
    assert "some were skipped" in capsys.readouterr().out


@pytest.fixture
def new_session(module, monkeypatch, tmp_path):
    """The module of sessions, with other folders for states and for temporary files."""
    session = module("s2l_blender_addon.session")
    session.end()
    monkeypatch.setattr(session, "_states_folder", lambda: tmp_path / "states")
    monkeypatch.setattr(session.tempfile, "tempdir", str(tmp_path))
    yield session
    session.end()


def test_session_outlives_the_cleaning_of_the_temporary_folder(new_session, tmp_path) -> None:
    token = new_session.token()
    assert [path.name for path in tmp_path.rglob("*.lock")] == [f"{token}.lock"]
    assert (tmp_path / "states" / f"{token}.lock").is_file()


def test_session_is_kept_in_the_temporary_folder_where_states_cannot_be(new_session, tmp_path) -> None:
    (tmp_path / "states").write_text("")
    token = new_session.token()
    assert token == new_session.token()
    assert new_session.is_alive(token)
    assert (tmp_path / f"speech2lip_{token}.lock").is_file()
    new_session.end()
    assert not new_session.is_alive(token)
    assert not list(tmp_path.rglob("*.lock"))
