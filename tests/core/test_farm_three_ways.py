"""The same plan, run by three engines, gives the bytes of the undivided job; so it does when a worker is killed."""

from __future__ import annotations

import builtins
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

import s2l_core
from s2l_core import cli
from s2l_core.errors import EngineIncomplete
from s2l_core.farm import flamenco, openjd, states
from s2l_core.farm.emitting import emit
from s2l_core.farm.plan import write_plan
from s2l_core.farm.planning import make_plan
from s2l_core.farm.ray_cluster import run_on_ray, together
from s2l_core.jobs import DubJob, Media

from .conftest import CLIP
from .test_farm_engines import compiled, program_or_skip
from .test_farm_run import digest

ROOT = Path(__file__).resolve().parents[2]
LINE = CLIP.with_name("line.flac")
FRAMES = 132
"""A chunk of 128 frames, and a short one."""


@pytest.fixture(scope="module")
def dub(hasty_speaker: str, tmp_path_factory: pytest.TempPathFactory) -> DubJob:
    output = str(tmp_path_factory.mktemp("whole") / "shot010.mp4")
    voice = Media(str(LINE), 0.0, FRAMES / 25)
    return DubJob(hasty_speaker, Media(str(CLIP), 0.0, 4.0), voice, output, device="cpu")


@pytest.fixture(scope="module")
def whole(dub: DubJob) -> str:
    """The hash of what the undivided job writes."""
    s2l_core.dub(dub)
    return digest(dub.output_path)


@pytest.fixture
def shot(dub: DubJob, tmp_path: Path) -> DubJob:
    return replace(dub, output_path=str(tmp_path / "shot010.mp4"))


@pytest.fixture
def folder(shot: DubJob, tmp_path: Path) -> str:
    plan = make_plan([shot])
    assert [task.kind for task in plan.tasks] == ["look", "frames", "frames", "join"]
    states.make_folders(tmp_path / "plan")
    write_plan(tmp_path / "plan", plan)
    return str(tmp_path / "plan")


@pytest.fixture
def program(tmp_path: Path) -> str:
    """The command line, as a farm finds it on its machines."""
    path = tmp_path / "s2l"
    path.write_text(f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -m s2l_core.cli \"$@\"\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def _ray() -> None:
    if importlib.util.find_spec("ray") is None:
        warnings.warn("Ray is not tested: it is not installed", stacklevel=2)
        pytest.skip("Ray is not installed")


def test_open_job_description_gives_the_bytes_of_the_undivided_job(
    folder: str, shot: DubJob, program: str, whole: str
) -> None:
    openjd_cli = program_or_skip(str(Path(sys.executable).with_name("openjd")), "Open Job Description")
    emit(folder, "openjd", {})
    values = json.loads((Path(folder) / openjd.VALUES_FILE).read_text())["parameterValues"]
    given = {value["name"]: value["value"] for value in values} | {"Program": program}
    options = [word for name, value in given.items() if ":" not in name for word in ("-p", f"{name}={value}")]
    command = [openjd_cli, "run", str(Path(folder) / openjd.TEMPLATE_FILE), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert digest(shot.output_path) == whole


def test_flamenco_gives_the_bytes_of_the_undivided_job(folder: str, shot: DubJob, program: str, whole: str) -> None:
    node = program_or_skip("node", "Flamenco's job type")
    emit(folder, "flamenco", {})
    for task in compiled(node, Path(folder) / flamenco.JOB_FILE):
        for command in task["commands"]:
            subprocess.run([program, *command["parameters"]["args"]], check=True, stdout=subprocess.DEVNULL)
    assert digest(shot.output_path) == whole


@pytest.mark.usefixtures("_ray")
def test_ray_gives_the_bytes_of_the_undivided_job_though_a_worker_is_killed(
    folder: str, shot: DubJob, whole: str
) -> None:
    killed: list[int] = []
    own_print = builtins.print
    killing = threading.Thread(target=kill_when_begun, args=(folder, "shot010-frames-0001", killed))
    killing.start()
    told = run_on_ray(folder, workers=2)
    killing.join()
    assert len(killed) == 1
    assert builtins.print is own_print
    assert (told["outputs"], told["unfinished"]) == ([shot.output_path], 0)
    assert states.read_state(folder, "shot010-frames-0001").process not in killed
    assert digest(shot.output_path) == whole


def kill_when_begun(folder: str, name: str, killed: list[int]) -> None:
    """Kill the process that does a task while it works."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        state = states.read_state(folder, name)
        if state.status == "running":
            os.kill(state.process, signal.SIGKILL)
            killed.append(state.process)
            return
        time.sleep(0.02)


def test_on_ray_one_process_does_all_tasks_of_a_job_if_there_are_many_jobs(shot: DubJob, tmp_path: Path) -> None:
    jobs = [replace(shot, output_path=str(tmp_path / f"shot{number}.mp4")) for number in range(8)]
    tasks = make_plan(jobs).tasks
    assert [[task.job for task in group] for group in together(tasks, 2)] == [4 * [job] for job in range(8)]
    assert together(tasks, 3) == [[task] for task in tasks]


@pytest.mark.usefixtures("_ray")
def test_on_ray_a_failing_task_keeps_no_other_from_its_turn(
    shot: DubJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, plan_folder = tmp_path / "broken.s2l", tmp_path / "plan"
    shutil.copy(shot.speaker_path, broken)
    good = replace(shot, voice=Media(str(LINE), 0.0, 0.5))
    bad = replace(good, speaker_path=str(broken), output_path=str(tmp_path / "bad.mp4"))
    states.make_folders(plan_folder)
    write_plan(plan_folder, make_plan([bad, good]))
    broken.write_bytes(b"nothing")
    assert cli.main(["batch", str(plan_folder), "--ray", "--workers", "2", "--json"]) == cli.FAILED
    told = json.loads(capsys.readouterr().out)
    assert told["outputs"] == [good.output_path]
    assert told["tasks"][0].startswith("bad-look failed: ")
    assert told["tasks"][1:] == ["bad-frames-0001 waits for bad-look.", "bad-join waits for bad-frames-0001."]


def test_without_ray_a_sentence_says_how_to_install_it(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineIncomplete, match="Ray is not installed"):
        run_on_ray(folder)
