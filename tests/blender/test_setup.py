"""Setting up the engine, with a Python that pretends to install packages."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest


@pytest.fixture
def setup_with(module, monkeypatch, tmp_path, preferences, scene) -> Iterator[SimpleNamespace]:
    """An installation without an engine, online, whose base Python does as told, see ``fake_python.py``."""
    environment = tmp_path / "engine" / "environment"
    for name in ("engine", "preferences"):
        monkeypatch.setattr(module(f"s2l_blender_addon.{name}"), "engine_environment", lambda: environment)
    monkeypatch.setattr(module("operators.engine_setup"), "engine_environment", lambda: environment)
    monkeypatch.delenv("S2L_WORKER_PYTHON", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("S2L_FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("S2L_FAKE_SETUP", "nothing")
    preferences.base_python = str(Path(__file__).with_name("fake_python.py"))
    bpy.context.preferences.system.use_online_access = True
    yield SimpleNamespace(
        environment=environment,
        engine=module("s2l_blender_addon.engine"),
        trouble=lambda name: monkeypatch.setenv("S2L_FAKE_SETUP", name),
        commands=lambda: [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()],
    )
    module("s2l_blender_addon.engine").unregister()
    bpy.context.preferences.system.use_online_access = False
    preferences.base_python = preferences.worker_python = preferences.engine_report = ""


def test_setup_makes_installs_checks_and_uses_the_engine(module, setup_with, preferences) -> None:
    preferences.worker_python = "/nowhere/python"
    assert bpy.ops.s2l.set_up_engine() == {"FINISHED"}
    assert [arguments[1] for arguments in setup_with.commands()] == ["venv", "pip", "pip", "s2l_core.worker"]
    python = setup_with.environment / "bin/python"
    assert module("s2l_blender_addon.preferences").find_worker_python(bpy.context) == str(python)
    assert "landmarks: bundled" in preferences.engine_report
    assert [path.name for path in setup_with.environment.parent.iterdir()] == ["environment"]
    assert setup_with.engine.missing(bpy.context) == []


def test_packages_are_the_pinned_ones_and_come_with_the_extension(module, setup_with) -> None:
    bpy.ops.s2l.set_up_engine()
    named = {Path(part) for command in setup_with.commands() for part in command if part.endswith(".txt")}
    assert {path.name for path in named} == {"constraints.txt", "runtime.txt", "bundled-models.txt"}
    assert {path.parent.parent for path in named} == {Path(module("s2l_blender_addon").__file__).parents[1]}
    assert all(path.is_file() for path in named)


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ("venv", "could not be set up: ensurepip is not available. Try again"),
        ("pip", "could not be set up: No matching distribution found for torch==2.13.0. Try again"),
        ("crash", "torch is for another processor"),
        ("blind", "The new engine cannot find faces"),
    ],
)
def test_failed_setup_says_why_and_keeps_the_engine_that_was_there(setup_with, trouble, sentence) -> None:
    assert bpy.ops.s2l.set_up_engine() == {"FINISHED"}
    (mark := setup_with.environment / "earlier").touch()
    setup_with.trouble(trouble)
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.s2l.set_up_engine()
    assert mark.exists()
    assert [path.name for path in setup_with.environment.parent.iterdir()] == ["environment"]


def test_setting_up_again_replaces_a_broken_engine(setup_with) -> None:
    bpy.ops.s2l.set_up_engine()
    (mark := setup_with.environment / "broken").touch()
    assert bpy.ops.s2l.set_up_engine() == {"FINISHED"}
    assert not mark.exists()


def test_python_that_is_not_there_gets_a_sentence(setup_with, preferences) -> None:
    preferences.base_python = "/nowhere/python"
    with pytest.raises(RuntimeError, match="/nowhere/python"):
        bpy.ops.s2l.set_up_engine()


def test_cancelling_ends_pip_with_its_children_and_leaves_nothing(setup_with) -> None:
    setup_with.trouble("hang")
    setup = setup_with.engine.start(bpy.context)
    until(lambda: setup_with.engine.advance() or any(line.startswith("child") for line in setup.log))
    (child,) = [line.split()[1] for line in setup.log if line.startswith("child")]
    assert setup.step == 1
    assert setup.text == "Downloading torch (888.1 MB)"
    assert bpy.ops.s2l.cancel_setup() == {"FINISHED"}
    until(setup_with.engine.advance)
    assert setup.error.code == "cancelled"
    assert list(setup_with.environment.parent.iterdir()) == []
    until(lambda: not is_running(child))
    assert not bpy.ops.s2l.cancel_setup.poll()


def test_leaving_blender_stops_the_setup(setup_with) -> None:
    setup_with.trouble("hang")
    setup = setup_with.engine.start(bpy.context)
    until(lambda: setup.poll() or setup.step == 1)
    setup_with.engine.unregister()
    assert list(setup_with.environment.parent.iterdir()) == []


def test_button_says_that_blender_must_go_online(module, setup_with) -> None:
    operator = module("operators.engine_setup").S2L_OT_set_up_engine
    assert operator.disabled_reason(bpy.context) == ""
    bpy.context.preferences.system.use_online_access = False
    assert operator.disabled_reason(bpy.context) == "Allow online access in the preferences, under System"
    assert not bpy.ops.s2l.set_up_engine.poll()


def test_one_setup_at_a_time(module, setup_with) -> None:
    setup_with.trouble("hang")
    setup_with.engine.start(bpy.context)
    assert not bpy.ops.s2l.set_up_engine.poll()


def test_without_an_engine_the_page_lists_what_is_missing(setup_with, preferences) -> None:
    environment, packages = setup_with.engine.missing(bpy.context)
    assert environment == "A Python environment of the engine's own"
    assert {"torch", "numpy"} <= set(packages.replace(",", "").split())
    preferences.worker_python = "/nowhere/python"
    assert setup_with.engine.missing(bpy.context) == ["The worker Python that was chosen: /nowhere/python"]


def test_commands_can_be_run_by_hand(module, setup_with) -> None:
    setup = module("s2l_blender_addon.engine_setup")
    lines = setup.as_text(setup.commands("/some where/python", setup_with.environment)).splitlines()
    assert shlex.split(lines[0]) == ["/some where/python", "-m", "venv", str(setup_with.environment)]
    assert [shlex.split(line)[2] for line in lines] == ["venv", "pip", "pip"]
    assert bpy.ops.s2l.copy_command() == {"FINISHED"}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("Collecting torch==2.13.0 (from -r runtime.txt (line 13))", "Collecting torch"),
        ("Collecting opencv-python>=4", "Collecting opencv-python"),
        ("Downloading torch-2.13.0-cp311-none-linux_x86_64.whl (888.1 MB)", "Downloading torch (888.1 MB)"),
        ("Downloading https://host/a/torch-2.13.0-cp311-none-any.whl (1 kB)", "Downloading torch (1 kB)"),
        ("Installing collected packages: mpmath, torch", "Unpacking packages"),
        ("Requirement already satisfied: numpy", ""),
    ],
)
def test_pips_lines_are_told_in_few_words(module, line, text) -> None:
    assert module("s2l_blender_addon.engine_setup").told(line) == text


def is_running(process: str) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def until(has_come, limit: float = 10.0) -> None:
    deadline = time.monotonic() + limit
    while not has_come():
        assert time.monotonic() < deadline
        time.sleep(0.01)
