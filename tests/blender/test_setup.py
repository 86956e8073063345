"""Setting up the engine, with a Python that pretends to install packages."""

from __future__ import annotations

import json
import os
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
    for name in ("engine.installation", "preferences"):
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
        engine=module("s2l_blender_addon.engine.installation"),
        trouble=lambda name: monkeypatch.setenv("S2L_FAKE_SETUP", name),
        runs=lambda: [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()],
    )
    module("s2l_blender_addon.engine.installation").unregister()
    bpy.context.preferences.system.use_online_access = False
    preferences.base_python = preferences.worker_python = preferences.engine_report = ""


def test_setup_makes_installs_checks_and_uses_the_engine(module, setup_with, preferences) -> None:
    preferences.worker_python = "/nowhere/python"
    assert bpy.ops.s2l.set_up_engine() == {"FINISHED"}
    assert [run["command"][3] for run in setup_with.runs()] == ["-m", "-m", "-m", "-m", "-c"]
    assert [run["command"][4] for run in setup_with.runs()][:-1] == ["venv", "pip", "pip", "pip"]
    python = setup_with.environment / "bin/python"
    assert module("s2l_blender_addon.preferences").find_worker_python(bpy.context) == str(python)
    assert "landmarks: bundled" in preferences.engine_report
    assert [path.name for path in setup_with.environment.parent.iterdir()] == ["environment"]
    assert setup_with.engine.missing(bpy.context) == []


def test_packages_are_the_pinned_ones_and_come_with_the_extension(module, setup_with) -> None:
    bpy.ops.s2l.set_up_engine()
    named = {Path(part) for run in setup_with.runs() for part in run["command"] if part.endswith(".txt")}
    assert {path.name for path in named} == {"constraints.txt", "runtime.txt", "bundled-models.txt"}
    assert {path.parent.parent for path in named} == {Path(module("s2l_blender_addon").__file__).parents[1]}
    assert all(path.is_file() for path in named)


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ("venv", "could not be set up: ensurepip is not available. Try again"),
        ("pip", "could not be set up: No matching distribution found for torch==2.13.0. pip used"),
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
    setup = module("s2l_blender_addon.engine.setup")
    lines = setup.as_text(setup.commands("/some where/python", setup_with.environment)).splitlines()
    venv = ["/some where/python", "-I", "-X", "utf8", "-m", "venv", str(setup_with.environment)]
    assert shlex.split(lines[0]) == venv
    assert [shlex.split(line)[5] for line in lines] == ["venv", "pip", "pip"]
    assert bpy.ops.s2l.copy_command() == {"FINISHED"}


def test_nothing_of_blenders_folder_or_python_variables_reaches_the_setup(setup_with, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example")
    bpy.ops.s2l.set_up_engine()
    *setup, worker = setup_with.runs()
    assert not [name for run in (*setup, worker) for name in run["variables"] if name.startswith("PYTHON")]
    assert all("PIP_INDEX_URL" in run["variables"] for run in setup)
    assert {Path(run["folder"]).name for run in setup} == {"environment.partial"}


def test_report_and_errors_name_the_index_without_its_secrets(setup_with, preferences) -> None:
    bpy.ops.s2l.set_up_engine()
    assert "pip: index-url https://mirror.example\n" in f"{preferences.engine_report}\n"
    setup_with.trouble("pip")
    with pytest.raises(RuntimeError, match=r"pip used index-url https://mirror\.example\. Try again"):
        bpy.ops.s2l.set_up_engine()


@pytest.mark.parametrize(
    ("lines", "settings"),
    [
        ([], ["index-url https://pypi.org"]),
        (["global.index-url='http://a/x'", ":env:.index-url='http://b/x'"], ["index-url http://b"]),
        (["install.index-url='http://u:p@a:8/x?t=1'", "global.index-url='http://b'"], ["index-url http://a:8"]),
        (
            ["global.extra-index-url='\\nhttp://t@a/x\\nhttp://b'"],
            ["index-url https://pypi.org", "extra-index-url http://a http://b"],
        ),
        (["user.x", "global.proxy='u:p@host:3128'"], ["index-url https://pypi.org", "proxy host:3128"]),
    ],
)  # fmt: skip
def test_settings_of_pip_are_told_in_the_order_in_which_they_hold(module, lines, settings) -> None:
    assert module("s2l_blender_addon.engine.setup").pip_settings(lines) == settings


@pytest.mark.parametrize("name", ["environment", "environment.partial", "environment.replaced"])
@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_what_setup_did_not_make_is_never_removed(setup_with, tmp_path, name, kind) -> None:
    path, precious = setup_with.environment.with_name(name), tmp_path / "footage"
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
        (path / "footage").touch()
    elif kind == "link":
        precious.mkdir()
        (precious / "speech2lip-engine.txt").write_text("Made by Set Up Engine")
        path.symlink_to(precious)
    else:
        path.touch()
    with pytest.raises(RuntimeError, match="is in the way"):
        bpy.ops.s2l.set_up_engine()
    assert os.path.lexists(path)
    assert kind != "folder" or (path / "footage").exists()
    assert kind != "link" or list(precious.iterdir())
    assert not (tmp_path / "log").exists()  # no program was started


def test_leftovers_of_a_killed_setup_are_removed(setup_with) -> None:
    assert bpy.ops.s2l.set_up_engine() == {"FINISHED"}
    setup_with.environment.rename(setup_with.environment.with_name("environment.partial"))
    assert bpy.ops.s2l.set_up_engine() == {"FINISHED"}
    assert [path.name for path in setup_with.environment.parent.iterdir()] == ["environment"]


HOSTILE = [
    "torch",
    "json",
    "numpy",
    "encodings",
    "sitecustomize",
    "usercustomize",
    "venv",
    "ensurepip",
    "pip",
    "s2l_core",
]


@pytest.fixture
def hostile_places(tmp_path, monkeypatch) -> Path:
    """Lets Blender's current folder and PYTHONPATH offer modules; those that were run write their names into a file."""
    executed = tmp_path / "executed"
    for folder in (tmp_path / "current", tmp_path / "path"):
        folder.mkdir()
        for name in HOSTILE:
            (folder / f"{name}.py").write_text(f"open({str(executed)!r}, 'a').write({name!r} + '\\n')\n")
    monkeypatch.chdir(tmp_path / "current")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "path/json.py"))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path / "path"))
    return executed


@pytest.mark.skipif("S2L_WORKER_PYTHON" not in os.environ, reason="needs a Python with the library")
def test_worker_runs_nothing_from_a_hostile_place(module, hostile_places) -> None:
    client = module("s2l_blender_addon.engine.worker_client").WorkerClient(
        os.environ["S2L_WORKER_PYTHON"], module("s2l_core.jobs").InfoJob()
    )
    until(client.poll, 300.0)
    assert client.error is None, client.error
    assert client.result["torch"]
    assert not hostile_places.exists(), hostile_places.read_text()


@pytest.mark.skipif("S2L_WORKER_PYTHON" not in os.environ, reason="needs a Python with venv")
def test_setup_runs_nothing_from_a_hostile_place(module, hostile_places, monkeypatch, tmp_path) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    setup = module("s2l_blender_addon.engine.setup").EngineSetup(os.environ["S2L_WORKER_PYTHON"], tmp_path / "engine")
    until(setup.poll, 300.0)
    assert setup.error is not None
    assert "no-index 1" in str(setup.error)
    assert not hostile_places.exists(), hostile_places.read_text()


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
    assert module("s2l_blender_addon.engine.setup").told(line) == text


def is_running(process: str) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def until(has_come, limit: float = 120.0) -> None:
    deadline = time.monotonic() + limit
    while not has_come():
        assert time.monotonic() < deadline
        time.sleep(0.01)
