"""A plan becomes a job of Open Job Description and of Flamenco with the same tasks, names and dependencies."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from s2l_core.errors import BadPlan
from s2l_core.farm import flamenco, openjd
from s2l_core.farm.emitting import emit
from s2l_core.farm.plan import Plan, Task, write_plan
from s2l_core.jobs import DubJob, Media, TrainJob

TESTS = Path(__file__).parent
TRAIN = TrainJob(Media("SHOW/anna.mp4"), "SHOW/anna.s2l", consent=True)
DUB = DubJob("SHOW/anna.s2l", Media("SHOW/shot010.mp4"), Media("VOICES/line.wav"), "SHOW/out/shot010.mp4")
FRAMES = [f"shot010-frames-{number:04d}" for number in range(1, 4)]
TASKS = (
    Task("anna-train", "train", 0, inputs=("SHOW/anna.mp4",), outputs=("SHOW/anna.s2l",), device="cuda"),
    Task("shot010-look", "look", 1, needs=("anna-train",), inputs=("VOICES/line.wav",), memory_bytes=3 * 2**30),
    *(Task(name, "frames", 1, 128 * index, 128, ("shot010-look",)) for index, name in enumerate(FRAMES)),
    Task("shot010-join", "join", 1, 0, 384, tuple(FRAMES)),
)
PLAN = Plan("1.0.0", 128, {"VOICES": "/mnt/voices", "SHOW": "/mnt/show"}, (TRAIN, DUB), TASKS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "night"
    folder.mkdir()
    write_plan(folder, PLAN)
    return folder


@pytest.fixture
def node() -> str:
    return program_or_skip("node", "Flamenco's job type")


@pytest.fixture
def openjd_cli() -> str:
    return program_or_skip(str(Path(sys.executable).with_name("openjd")), "Open Job Description")


def program_or_skip(name: str, what: str) -> str:
    if (found := shutil.which(name)) is None:
        warnings.warn(f"{what} is not tested: {Path(name).name} is not installed", stacklevel=2)
        pytest.skip(f"{Path(name).name} is not installed")
    return found


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that writes down with which arguments it was called."""
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\necho \"$@\" >> '{tmp_path / 'calls.txt'}'\n")
    path.chmod(0o755)
    return path


def calls(tmp_path: Path) -> list[list[str]]:
    return [line.split() for line in (tmp_path / "calls.txt").read_text().splitlines()]


def compiled(node: str, job: Path) -> list[dict[str, Any]]:
    """The tasks that Flamenco's manager makes of a job."""
    command = [node, str(TESTS / "flamenco_author.js"), str(flamenco.JOB_TYPE_SCRIPT), str(job)]
    tasks: list[dict[str, Any]] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return tasks


def test_open_job_description_runs_each_task_after_those_that_it_needs(
    openjd_cli: str, program: Path, folder: Path, tmp_path: Path
) -> None:
    emit(folder, "openjd", {})
    values = ["Program=" + str(program), "Root_SHOW=/farm/show", "Root_VOICES=/farm/voices"]
    options = [word for value in values for word in ("-p", value)]
    subprocess.run([openjd_cli, "check", folder / openjd.TEMPLATE_FILE], check=True)
    subprocess.run([openjd_cli, "run", folder / openjd.TEMPLATE_FILE, *options], check=True, stdout=subprocess.DEVNULL)
    roots = ["--root", "SHOW=/farm/show", "--root", "VOICES=/farm/voices"]
    assert calls(tmp_path) == [["run", str(folder), task.name, *roots] for task in TASKS]


def test_a_farm_with_open_job_description_maps_the_folders_of_a_plan(
    openjd_cli: str, program: Path, folder: Path, tmp_path: Path
) -> None:
    emit(folder, "openjd", {})
    rule = {"source_path_format": "POSIX", "source_path": "/mnt/show", "destination_path": "/farm/show"}
    mapping = json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": [rule]})
    values = ["Program=" + str(program), "Root_SHOW=/mnt/show/ep1", "Root_VOICES=/farm/voices"]
    options = [word for value in values for word in ("-p", value)]
    step = ["--step", "1 anna-train", "--path-mapping-rules", mapping]
    command = [openjd_cli, "run", str(folder / openjd.TEMPLATE_FILE), *options, *step]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert "SHOW=/farm/show/ep1" in calls(tmp_path)[0]


def test_a_step_states_what_its_tasks_need_of_a_machine() -> None:
    train, look, *_ = openjd.template(PLAN, "night")["steps"]
    amounts = [
        {amount["name"]: amount["min"] for amount in step["hostRequirements"]["amounts"]} for step in (train, look)
    ]
    assert amounts[0]["amount.worker.gpu"] == 1
    assert amounts[1] == {"amount.worker.vcpu": 1, "amount.worker.memory": 3 * 1024}


def test_folders_that_are_only_read_are_not_sent_back() -> None:
    flows = {each["name"]: each.get("dataFlow") for each in openjd.template(PLAN, "night")["parameterDefinitions"]}
    assert flows == {"Program": None, "PlanFolder": "INOUT", "Root_SHOW": "INOUT", "Root_VOICES": "IN"}


def test_a_step_holds_no_more_tasks_than_the_format_allows(openjd_cli: str, folder: Path) -> None:
    chunks = [Task(f"long-frames-{number:05d}", "frames", 1, number, 1) for number in range(2500)]
    names = tuple(task.name for task in chunks)
    write_plan(folder, Plan("1.0.0", 1, PLAN.roots, PLAN.jobs, (*chunks, Task("long-join", "join", 1, needs=names))))
    emit(folder, "openjd", {})
    subprocess.run([openjd_cli, "check", folder / openjd.TEMPLATE_FILE], check=True)
    steps = json.loads((folder / openjd.TEMPLATE_FILE).read_text())["steps"]
    assert len(steps) == 4
    assert [each["dependsOn"] for each in steps[3]["dependencies"]] == [step["name"] for step in steps[:3]]


def test_flamenco_compiles_the_tasks_of_the_plan(node: str, folder: Path) -> None:
    emit(folder, "flamenco", {"SHOW": "{show}"}, priority=70)
    tasks = compiled(node, folder / flamenco.JOB_FILE)
    assert [(task["name"], tuple(task["dependencies"])) for task in tasks] == [
        (task.name, task.needs) for task in TASKS
    ]
    arguments = ["run", str(folder), "anna-train", "--root", "SHOW={show}", "--root", "VOICES=/mnt/voices"]
    assert tasks[0]["commands"] == [{"name": "exec", "parameters": {"exe": "s2l", "args": arguments}}]
    assert json.loads((folder / flamenco.JOB_FILE).read_text())["priority"] == 70


@pytest.mark.parametrize("farm", ["openjd", "flamenco"])
def test_the_same_plan_makes_the_same_documents(farm: Any, folder: Path) -> None:
    files = [Path(path) for path in emit(folder, farm, {})["files"]]
    before = [path.read_bytes() for path in files]
    emit(folder, farm, {})
    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize(("roots", "priority"), [({"MOON": "/mnt"}, 50), ({}, 101), ({}, -1)])
def test_what_the_plan_does_not_have_is_refused(roots: dict[str, str], priority: int, folder: Path) -> None:
    with pytest.raises(BadPlan):
        emit(folder, "openjd", roots, priority)
    assert [path.name for path in folder.iterdir()] == ["plan.json"]
