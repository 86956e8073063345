"""A plan is a document that every machine reads alike, and of which nothing is trusted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s2l_core.errors import BadJob, BadPlan, DiskFull
from s2l_core.farm import states
from s2l_core.farm.plan import Plan, Task, from_json, read_plan, ready_tasks, split_path, to_json, write_plan
from s2l_core.jobs import DubJob, Media, TrainJob

TRAIN = TrainJob(Media("SHOW/anna.mp4"), "SHOW/anna.s2l", consent=True)
DUB = DubJob("SHOW/anna.s2l", Media("SHOW/shot010.mp4"), Media("VOICES/line.wav"), "SHOW/out/shot010.mp4")
TASKS = (
    Task("anna-train", "train", 0, inputs=("SHOW/anna.mp4",), outputs=("SHOW/anna.s2l",), preset="balanced"),
    Task("shot010-look", "look", 1, needs=("anna-train",), seconds=12.5, memory_bytes=10**9, device="cpu"),
    Task("shot010-frames-0001", "frames", 1, 0, 128, ("shot010-look",)),
    Task("shot010-frames-0002", "frames", 1, 128, 72, ("shot010-look",)),
    Task("shot010-join", "join", 1, 0, 200, ("shot010-frames-0001", "shot010-frames-0002")),
)
PLAN = Plan("1.0.0", 128, {"VOICES": "/mnt/voices", "SHOW": "/mnt/show"}, (TRAIN, DUB), TASKS)


def test_a_plan_survives_the_trip_through_json() -> None:
    assert from_json(to_json(PLAN)) == PLAN
    assert to_json(from_json(to_json(PLAN))) == to_json(PLAN)


def test_a_plan_is_a_file_in_a_folder(tmp_path: Path) -> None:
    write_plan(tmp_path, PLAN)
    assert read_plan(tmp_path) == PLAN
    with pytest.raises(BadPlan, match="not the folder of a plan"):
        read_plan(tmp_path / "elsewhere")


def test_a_task_is_ready_when_those_that_it_needs_are_done() -> None:
    assert [task.name for task in ready_tasks(PLAN, [])] == ["anna-train"]
    looked = ["anna-train", "shot010-look"]
    assert [task.name for task in ready_tasks(PLAN, looked, ["shot010-frames-0001"])] == ["shot010-frames-0002"]
    assert [task.name for task in ready_tasks(PLAN, [task.name for task in TASKS[:4]])] == ["shot010-join"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": True},
        {"chunk": 0},
        {"roots": {"show": "/mnt"}},
        {"roots": {"SHOW": 7}},
        {"roots": {}},
        {"jobs": []},
        {"jobs": [{"verb": "info"}, {"verb": "info"}]},
        {"tasks": {}},
        {"tasks": [{"name": "../../x", "kind": "train", "job": 0}]},
        {"tasks": [{"name": "con", "kind": "train", "job": 0}]},
        {"tasks": [{"name": "a", "kind": "train", "job": 9}]},
        {"tasks": [{"name": "a", "kind": "train", "job": -1}]},
        {"tasks": [{"name": "a", "kind": "frames", "job": 0}]},
        {"tasks": [{"name": "a", "kind": ["train"], "job": 0}]},
        {"tasks": [{"name": "a", "kind": "train", "job": 0, "needs": ["a"]}]},
        {"tasks": [{"name": "a", "kind": "train", "job": 0}] * 2},
        {"tasks": [{"name": "a", "kind": "train", "job": 0, "inputs": ["SHOW/../../etc/passwd"]}]},
        {"tasks": [{"name": "a", "kind": "train", "job": 0, "outputs": ["/etc/passwd"]}]},
        {"tasks": [{"name": "a", "kind": "train", "job": 0, "outputs": ["NONE/a.s2l"]}]},
        {"tasks": [{"name": "a", "kind": "train", "job": 0, "seconds": -1.0}]},
        {"tasks": [{"name": "a", "kind": "train", "job": 0, "memory_bytes": 2**62}]},
        {"tasks": [{"name": "a", "kind": "train", "job": 0, "first": -5}]},
        {"tasks": [{"name": "a", "kind": "train", "job": 0, "run": "rm"}]},
    ],
    ids=str,
)
def test_a_hostile_plan_is_refused_with_a_sentence(change: dict[str, Any]) -> None:
    with pytest.raises((BadPlan, BadJob)):
        from_json(json.dumps({**json.loads(to_json(PLAN)), **change}))


@pytest.mark.parametrize("text", ["", "[]", "{}", "nothing", '{"schema": 1}', "[" * 100_000])
def test_what_is_not_a_plan_is_refused(text: str) -> None:
    with pytest.raises((BadPlan, BadJob)):
        from_json(text)


@pytest.mark.parametrize(
    "path", ["", "SHOW", "SHOW/", "/a", "show/a", "SHOW//a", "SHOW/./a", "SHOW/a/..", "SHOW/C:/a", "SHOW/a\\b"]
)
def test_a_path_stays_inside_its_root(path: str) -> None:
    with pytest.raises(BadPlan):
        split_path(path)


def test_the_state_of_a_task_is_read_back_from_its_file(tmp_path: Path) -> None:
    states.make_folders(tmp_path)
    assert set(states.read_states(tmp_path, PLAN).values()) == {states.WAITING}
    begun = states.begun_here()
    states.write_state(tmp_path, TASKS[0], begun)
    assert states.read_states(tmp_path, PLAN)["anna-train"] == begun
    states.write_state(tmp_path, TASKS[0], states.failed(begun, DiskFull("The disk is full.")))
    told = states.read_state(tmp_path, "anna-train")
    assert (told.status, told.code, told.message) == ("failed", "disk_full", "The disk is full.")


def test_a_failure_does_not_replace_the_success_of_another_machine(tmp_path: Path) -> None:
    states.make_folders(tmp_path)
    begun = states.begun_here()
    states.write_state(tmp_path, TASKS[0], states.done(begun))
    states.write_state(tmp_path, TASKS[0], states.failed(begun, DiskFull("The disk is full.")))
    states.write_state(tmp_path, TASKS[0], replace(begun, process=7))
    assert states.read_state(tmp_path, "anna-train").status == "done"
    states.forget_state(tmp_path, TASKS[0])
    assert states.read_state(tmp_path, "anna-train") == states.WAITING


@pytest.mark.parametrize("content", [b"", b"[]", b'{"status": "bored"}', b'{"status": "done", "seconds": []}', b"\xff"])
def test_a_damaged_state_means_that_the_task_waits(tmp_path: Path, content: bytes) -> None:
    states.make_folders(tmp_path)
    (tmp_path / "states" / "anna-train.json").write_bytes(content)
    assert states.read_state(tmp_path, "anna-train") == states.WAITING


def test_the_result_of_a_job_is_in_the_folder_of_the_plan(tmp_path: Path) -> None:
    states.make_folders(tmp_path)
    states.write_result(tmp_path, TASKS[4], {"frames": 3, "psnr": float("nan")})
    assert states.read_result(tmp_path, "shot010-join") == {"frames": 3, "psnr": None}
    assert states.read_result(tmp_path, "../plan") is None


def test_a_plan_is_removed_with_what_its_tasks_wrote_and_nothing_else(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "plan", tmp_path / "elsewhere"
    states.make_folders(folder)
    write_plan(folder, PLAN)
    (folder / "logs").mkdir()
    for path in ("states/anna-train.json", "results/anna-train.json", "logs/anna-train.txt", "shared/clip/diary.txt"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("{}")
    kept = folder / "shared" / "clip" / ("0123456789abcdef" * 2)
    kept.mkdir()
    (kept / "landmarks.safetensors").write_bytes(b"")
    elsewhere.mkdir()
    (elsewhere / "landmarks.safetensors").write_bytes(b"")
    (folder / "shared" / "clip" / ("fedcba9876543210" * 2)).symlink_to(elsewhere)
    (folder / "states" / "mine.json").write_text("{}")
    states.remove_plan(folder, PLAN)
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == {"states/mine.json", "shared/clip/diary.txt"}
    assert (elsewhere / "landmarks.safetensors").exists()


def test_of_a_plan_that_is_removed_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    states.make_folders(folder)
    write_plan(folder, PLAN)
    states.write_state(folder, TASKS[0], states.done(states.begun_here()))
    states.remove_plan(folder, PLAN)
    assert not folder.exists()
