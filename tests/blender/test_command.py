"""Commands of the engine, with the real one: what they print, how they fail, and that they can be cancelled."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.any_blender,
    pytest.mark.skipif("S2L_WORKER_PYTHON" not in os.environ, reason="needs a Python with the library"),
]

PYTHON = os.environ.get("S2L_WORKER_PYTHON", "")


@pytest.fixture
def begin(module) -> Callable[..., object]:
    return lambda *words, python=PYTHON: module("s2l_blender_addon.engine.command").EngineCommand(python, words)


def test_what_a_command_prints_is_its_result(begin) -> None:
    command = begin("info")
    command.wait()
    assert command.result["version"]


def test_a_command_that_fails_says_why(module, begin, tmp_path) -> None:
    command = begin("plan", str(tmp_path / "gone.json"), "--out", str(tmp_path / "plan"))
    with pytest.raises(module("s2l_core.errors").Speech2LipError, match=r"gone\.json cannot be read"):
        command.wait()
    assert command.result is None


def test_a_command_ends_when_it_is_cancelled(module, begin) -> None:
    command = begin("calibrate")
    while not command.poll() and command.progress is None:
        time.sleep(0.05)
    command.cancel()
    with pytest.raises(module("s2l_core.errors").Cancelled):
        command.wait()


def test_a_python_that_cannot_be_started_is_an_error(module, begin) -> None:
    with pytest.raises(module("s2l_core.errors").EngineIncomplete, match="cannot be started"):
        begin("info", python="/nowhere/python")


def test_jobs_are_planned_in_a_process_of_the_engine(module, movie, sound, tmp_path) -> None:
    jobs = module("s2l_core.jobs")
    (tmp_path / "Ada.s2l").write_bytes(b"a speaker")
    job = jobs.DubJob(
        str(tmp_path / "Ada.s2l"), jobs.Media(str(movie)), jobs.Media(str(sound)), str(tmp_path / "dub.mp4")
    )
    planning = module("s2l_blender_addon.engine.planner").Planning(PYTHON, [job], str(tmp_path / "plan"), "", 128)
    plan = planning.plan()
    assert [task.kind for task in plan.tasks] == ["look", "frames", "join"]
    assert planning.command.progress.phase == "Plan jobs"
    assert json.loads((Path(tmp_path) / "plan" / "plan.json").read_text())["chunk"] == 128
