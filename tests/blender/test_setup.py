"""Setting up the engine, with a Python that pretends to install packages, or with uv and pip from a local folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest

pytestmark = pytest.mark.any_blender


@pytest.fixture
def setup_with(module, monkeypatch, tmp_path, preferences, scene) -> Iterator[SimpleNamespace]:
    """An online installation without an engine, whose base Python has a given behaviour, see ``fake_python.py``."""
    environment = tmp_path / "engine" / "environment"
    for name in ("engine.installation", "preferences"):
        monkeypatch.setattr(module(f"s2l_blender_addon.{name}"), "engine_environment", lambda: environment)
    monkeypatch.setattr(module("operators.engine_setup"), "engine_environment", lambda: environment)
    monkeypatch.delenv("S2L_WORKER_PYTHON", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("S2L_FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("S2L_FAKE_SETUP", "nothing")
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
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
    preferences.torch_build = "auto"


def test_setup_makes_installs_checks_and_uses_the_engine(module, setup_with, preferences) -> None:
    preferences.worker_python = "/nowhere/python"
    assert bpy.ops.s2l.set_up_engine() == {"FINISHED"}
    programs = [run["command"][4] if run["command"][3] == "-m" else "worker" for run in setup_with.runs()]
    assert programs == ["venv", "pip", "pip", *["uv"] * 5, "worker"]  # pip says its settings, and installs uv
    python = setup_with.environment / "bin/python"
    assert module("s2l_blender_addon.preferences").find_worker_python(bpy.context) == str(python)
    assert "landmarks: bundled" in preferences.engine_report
    assert [path.name for path in setup_with.environment.parent.iterdir()] == ["environment"]
    assert setup_with.engine.missing(bpy.context) == []


def test_packages_are_the_pinned_ones_and_come_with_the_extension(module, setup_with) -> None:
    bpy.ops.s2l.set_up_engine()
    named = {Path(part) for run in setup_with.runs() for part in run["command"] if part.endswith(".txt")}
    folder = Path(module("s2l_blender_addon").__file__).parents[1] / "requirements"
    hashed = ("uv.txt", "engine.txt", "bundled-models.txt", "speech-network.txt", "person-matte.txt")
    names = ("constraints.txt", *(f"hashed/{name}" for name in hashed))
    assert named == {folder / name for name in names}
    assert all(path.is_file() for path in named)


def test_everything_but_pytorch_is_checked_by_hashes_and_nothing_is_built_with_other_tools(setup_with) -> None:
    setup_with.trouble("uv")
    bpy.ops.s2l.set_up_engine()
    installations = [run["command"] for run in setup_with.runs() if "install" in run["command"]]
    assert len(installations) == 7  # uv, which fails once, and all five by pip
    for command in installations:
        assert ("--require-hashes" in command) == ("--no-deps" in command) == ("torch" not in command)
        assert ("--only-binary" in command) != ("--no-build-isolation" in command)


@pytest.mark.parametrize(
    ("chosen", "index", "options", "told"),
    [
        ("auto", "", ["--torch-backend", "auto"], "chosen by uv for the graphics driver of this machine"),
        ("cpu", "", ["--torch-backend", "cpu"], "cpu, chosen in the preferences"),
        ("auto", "https://mirror.example/simple", [], "from the places that your settings of pip or uv name"),
        ("cu130", "https://mirror.example/simple", ["--torch-backend", "cu130"], "cu130, chosen in the preferences"),
    ],
)
def test_build_of_pytorch_is_the_users_choice_and_is_reported(
    setup_with, preferences, monkeypatch, chosen, index, options, told
) -> None:
    preferences.torch_build = chosen
    monkeypatch.setenv("S2L_FAKE_INDEX", index)
    bpy.ops.s2l.set_up_engine()
    (command,) = [run["command"] for run in setup_with.runs() if "torch" in run["command"]]
    assert [part for part in command if part in ("--torch-backend", chosen)] == options
    assert f"PyTorch build: {told}\n" in preferences.engine_report
    assert "installed with: uv\n" in preferences.engine_report


def test_where_uv_fails_pip_installs_and_the_report_says_why(setup_with, preferences) -> None:
    setup_with.trouble("uv")
    assert bpy.ops.s2l.set_up_engine() == {"FINISHED"}
    reason = "No solution found when resolving dependencies: torch is not there"
    assert f"installed with: pip, since uv failed: {reason}\n" in preferences.engine_report
    assert "PyTorch build: the plain one of the package index" in preferences.engine_report


def test_chosen_build_of_pytorch_is_not_exchanged_for_another_where_uv_fails(setup_with, preferences) -> None:
    preferences.torch_build = "cu130"
    setup_with.trouble("uv")
    with pytest.raises(
        RuntimeError, match=r"torch is not there\. Only uv can install.* Set PyTorch Build to Automatic"
    ):
        bpy.ops.s2l.set_up_engine()


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ("venv", "could not be set up: ensurepip is not available. Try again"),
        ("pip", "could not be set up: No matching distribution found for torch==2.13.0. Settings used"),
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


def test_cancelling_ends_uv_with_its_children_and_leaves_nothing(setup_with) -> None:
    setup_with.trouble("hang")
    setup = setup_with.engine.start(bpy.context)
    until(lambda: setup_with.engine.advance() or any(line.startswith("child") for line in setup.log))
    (child,) = [line.split()[1] for line in setup.log if line.startswith("child")]
    assert setup.step == 1
    assert setup.text == "Downloading torch (888.1MiB)"
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
    assert environment == "A Python environment for the engine"
    assert {"torch", "numpy"} <= set(packages.replace(",", "").split())
    preferences.worker_python = "/nowhere/python"
    assert setup_with.engine.missing(bpy.context) == ["The chosen worker Python: /nowhere/python"]


def test_commands_can_be_run_by_hand(module, setup_with) -> None:
    setup = module("s2l_blender_addon.engine.setup")
    lines = setup.as_text(setup.commands("/some where/python", setup_with.environment, "cpu")).splitlines()
    venv = ["/some where/python", "-I", "-X", "utf8", "-m", "venv", str(setup_with.environment)]
    assert shlex.split(lines[0]) == venv
    assert [shlex.split(line)[5] for line in lines] == ["venv", "pip", *["uv"] * 5]
    assert bpy.ops.s2l.copy_command() == {"FINISHED"}


def test_nothing_of_blenders_folder_or_python_variables_reaches_the_setup(setup_with, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mirror.example")
    bpy.ops.s2l.set_up_engine()
    *setup, worker = setup_with.runs()
    assert not [name for run in (*setup, worker) for name in run["variables"] if name.startswith("PYTHON")]
    assert all({"PIP_INDEX_URL", "UV_DEFAULT_INDEX"} <= set(run["variables"]) for run in setup)
    assert {Path(run["folder"]).name for run in setup} == {"environment.partial"}


def test_report_and_errors_name_the_index_without_its_secrets(setup_with, preferences, monkeypatch) -> None:
    monkeypatch.setenv("UV_INDEX", "studio=https://ada:secret@wheels.example/t0ken")
    monkeypatch.setenv("UV_INDEX_STUDIO_PASSWORD", "secret")
    bpy.ops.s2l.set_up_engine()
    assert "pip: index-url https://mirror.example\n" in preferences.engine_report
    assert "UV_INDEX studio=https://wheels.example, UV_INDEX_STUDIO_PASSWORD" in preferences.engine_report
    assert not re.search("secret|t0ken", preferences.engine_report)
    setup_with.trouble("pip")
    with pytest.raises(
        RuntimeError, match=r"Settings used: index-url https://mirror\.example, UV_INDEX .*\. Try again"
    ):
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
    package_index = module("s2l_blender_addon.engine.package_index")
    assert package_index.pip_phrases(package_index.pip_settings(lines)) == settings


@pytest.mark.parametrize(
    ("pip", "variables", "given"),
    [
        ({}, {}, {}),
        ({"index-url": "https://a"}, {}, {"UV_DEFAULT_INDEX": "https://a"}),
        ({"index-url": "https://a"}, {"UV_INDEX": "https://b"}, {}),
        (
            {"extra-index-url": "https://a https://b", "find-links": "/a /b"},
            {},
            {"UV_INDEX": "https://a https://b", "UV_INDEX_STRATEGY": "unsafe-best-match", "UV_FIND_LINKS": "/a,/b"},
        ),
        (
            {"cert": "/a.pem", "proxy": "host:3128", "no-index": "1"},
            {"SSL_CERT_FILE": "/b.pem"},
            {"ALL_PROXY": "http://host:3128"},
        ),
    ],
)
def test_uv_gets_packages_from_where_pip_would_unless_the_user_told_it_otherwise(module, pip, variables, given) -> None:
    variables = {"XDG_CONFIG_HOME": "/nowhere", "XDG_CONFIG_DIRS": "/nowhere", **variables}
    package_index = module("s2l_blender_addon.engine.package_index")
    assert package_index.uv_variables(pip, variables) == given
    assert package_index.uv_options(pip, variables) == (["--no-index"] if "no-index" in pip else [])


@pytest.mark.parametrize(
    ("text", "has_places"),
    [("", False), ("offline = true", False), ("[[index]]\nurl = 'https://a'", True), ("[pip]\nno-index = true", True)],
)
def test_uvs_own_file_of_settings_holds_before_those_of_pip(module, tmp_path, text, has_places) -> None:
    package_index = module("s2l_blender_addon.engine.package_index")
    path = tmp_path / "uv/uv.toml"
    path.parent.mkdir()
    path.write_text(text)
    variables = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert package_index.uv_phrases(variables)[0] == f"the file {path}"
    assert package_index.has_own_places({}, variables) == has_places
    assert package_index.uv_variables({"index-url": "https://b"}, variables) == (
        {} if has_places else {"UV_DEFAULT_INDEX": "https://b"}
    )


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
        ("Downloading opencv-python-headless (47.7MiB)", "Downloading opencv-python-headless (47.7MiB)"),
        ("Prepared 39 packages in 5.27s", "Unpacking packages"),
        ("Requirement already satisfied: numpy", ""),
    ],
)
def test_lines_of_pip_and_uv_are_told_in_few_words(module, line, text) -> None:
    assert module("s2l_blender_addon.engine.setup").told(line) == text


def is_running(process: str) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def until(has_come, limit: float = 120.0) -> None:
    deadline = time.monotonic() + limit
    while not has_come():
        assert time.monotonic() < deadline
        time.sleep(0.01)
