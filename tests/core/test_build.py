"""The project's own papers agree with each other: version, pins, licence, the one entry for CI."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

import build
from s2l_core.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(name: str) -> dict[str, str]:
    """Packages of a requirements file with what stands behind their names, for our own Python."""
    return packages(build.pins_for("3.11", (ROOT / "requirements" / name).read_text()))


def key(package: str) -> str:
    """The name of a package as uv writes it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def packages(text: list[str]) -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in text)
    parts = (re.match(r"([\w.-]+)(.*)", line) for line in lines)
    return {part[1]: part[2] for part in parts if part}


def run_build(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, ROOT / "build.py", *arguments], capture_output=True, text=True)


def test_the_manifest_is_the_one_place_of_the_version() -> None:
    assert MANIFEST["version"] == VERSION
    assert PROJECT["dynamic"] == ["version"]
    assert f"## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()


def test_clean_removes_what_the_verbs_made_and_nothing_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [".venv/pyvenv.cfg", ".ruff_cache/tag", "dist/speech2lip-0.1.0.zip", "out/docs/index.html"]
    own = [".venv-4.5/mine.txt", "dist/mine.zip", "out/take.mp4", "s2l_core/files.py"]
    for name in made + own:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "MAIN", build.MAIN._replace(folder=tmp_path / ".venv"))
    monkeypatch.setattr(build, "BLENDERS", {"4.5": build.BLENDERS["4.5"]._replace(folder=tmp_path / ".venv-4.5")})
    monkeypatch.setattr(build, "DIST", tmp_path / "dist")
    monkeypatch.setattr(build, "RESULTS", tmp_path / "out")
    assert build.clean([]) == 0
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(own)


def test_the_licence_is_the_same_everywhere() -> None:
    assert PROJECT["license"] == "GPL-3.0-or-later"
    assert MANIFEST["license"] == ["SPDX:GPL-3.0-or-later"]
    assert "GNU GENERAL PUBLIC LICENSE" in (ROOT / "LICENSE").read_text()


def test_every_pin_is_exact_and_names_no_local_build() -> None:
    assert all(re.fullmatch(r"==[\w.]+", version) for version in requirements("constraints.txt").values())


def test_every_python_of_blender_has_a_pin_of_every_package_of_its_own_where_it_must() -> None:
    text = (ROOT / "requirements" / "constraints.txt").read_text()
    ours, newer = (packages(build.pins_for(version, text)) for version in build.ENGINE_PYTHONS)
    assert set(ours) == set(newer)
    assert {name for name in ours if ours[name] != newer[name]} == {"numpy"}


@pytest.mark.parametrize(("name", "sources"), [("engine.txt", ("runtime.txt", "tools.txt")), ("uv.txt", ("uv.txt",))])
def test_hashed_pins_are_the_constraints_and_contain_everything_but_pytorch(
    name: str, sources: tuple[str, ...]
) -> None:
    pins = {key(package): version for package, version in requirements("constraints.txt").items()}
    lines = (ROOT / "requirements" / "hashed" / name).read_text().splitlines()
    pinned = re.findall(r"^([\w.-]+)(==[\w.]+)(?: ; .*)? \\$", "\n".join(lines), re.MULTILINE)
    ours = {package: version for package, version in pinned if package != "numpy"}
    assert ours.items() <= pins.items()
    named = {key(package) for source in sources for package in requirements(source)}
    assert named - {"torch"} == named & {package for package, _ in pinned}
    assert not {"torch", "triton"} & set(ours)
    assert {version for package, version in pinned if package == "numpy"} <= {"==1.26.4", "==2.4.6"}


@pytest.mark.parametrize("path", (ROOT / "requirements" / "hashed").iterdir(), ids=lambda path: path.name)
def test_every_pin_of_the_engine_has_hashes_and_no_file_names_an_index(path: Path) -> None:
    pins = build.each_pin(path.read_text())
    assert pins
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", pin) for pin in pins)
    assert "://" not in path.read_text()


def test_pytorch_and_the_libraries_of_its_build_are_left_to_the_back_end() -> None:
    pins = "".join(
        f"{name} \\\n    --hash=sha256:0\n" for name in ("torch==2", "torchx==1", "nvidia-nccl-cu13==2", "triton==3")
    )
    assert build.without_torch(pins) == "torchx==1 \\\n    --hash=sha256:0\n"


@pytest.mark.parametrize(
    "name", ["runtime.txt", "test.txt", "docs.txt", *(f"blender-{version}.txt" for version in build.BLENDERS)]
)
def test_every_package_is_pinned_once(name: str) -> None:
    pins = requirements("constraints.txt")
    for package, version in requirements(name).items():
        assert bool(version) != (package in pins), f"{package} of {name} is pinned twice or not at all"


def test_the_library_asks_for_what_the_engine_installs() -> None:
    extras = {package for packages in PROJECT["optional-dependencies"].values() for package in packages}
    left_to_the_user = {"transformers", "ray"}  # of use with weights of other networks, and with a cluster
    assert {*PROJECT["dependencies"], *extras} - set(requirements("runtime.txt")) == left_to_the_user
    assert set(requirements("runtime.txt")) <= {*PROJECT["dependencies"], *extras}


def test_ci_calls_exactly_the_test_verb() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "exec python3 build.py test"


def test_build_lists_its_verbs() -> None:
    shown = run_build("--help")
    assert shown.returncode == 0
    assert all(f"  {verb} " in shown.stdout for verb in ("demo", "test", "zip", "bench", "clean"))


@pytest.mark.parametrize("arguments", [[], ["fly"], ["bench", "no-such-benchmark"]])
def test_build_refuses_what_it_does_not_know(arguments: list[str]) -> None:
    refused = run_build(*arguments)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


@pytest.fixture
def pythons(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The versions of Python that the machine has, for a test to add to."""
    found: set[str] = set()
    monkeypatch.setattr(build, "find_python", lambda version: f"python{version}" if version in found else None)
    return found


def test_a_machine_without_a_python_of_blender_is_told_what_to_install(tmp_path: Path, pythons: set[str]) -> None:
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or 3\.13.*apt install python3\.13 python3\.13-venv"):
        build.prepare(build.MAIN._replace(folder=tmp_path))


@pytest.mark.parametrize(("version", "blender"), [("3.11", "5.0"), ("3.13", "5.3")])
def test_either_python_of_blender_makes_the_main_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pythons: set[str], version: str, blender: str
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str | Path], *_: object, **__: object) -> int:
        commands.append([str(part) for part in command])
        return 0

    monkeypatch.setattr(build, "run", run)
    pythons.add(version)
    build.prepare(build.MAIN._replace(folder=tmp_path))
    assert any(f"python{version}" in command for command in commands)
    files = {Path(part).name for command in commands for part in command if part.endswith(".txt")}
    assert "runtime.txt" in files
    assert {name for name in files if name.startswith("blender-")} == {f"blender-{blender}.txt"}


@pytest.mark.parametrize(
    ("versions", "made", "skipped"),
    [
        ({"3.11", "3.13"}, {".venv", ".venv-4.5", ".venv-5.2", ".venv-5.3"}, []),
        ({"3.11"}, {".venv", ".venv-4.5"}, ["5.2", "5.3"]),
        ({"3.13"}, {".venv", ".venv-5.2"}, ["4.5", "5.0"]),
    ],
)
def test_a_blender_without_a_python_is_skipped_loudly(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    pythons: set[str],
    versions: set[str],
    made: set[str],
    skipped: list[str],
) -> None:
    folders: set[str] = set()
    partly: set[str] = set()

    def run(command: list[str | Path], *_: object, **variables: str | Path) -> int:
        if "not any_blender" in command:
            partly.add(Path(variables["S2L_BLENDER_PYTHON"]).parents[1].name)
        return 0

    monkeypatch.setattr(build, "run", run)
    monkeypatch.setattr(build, "prepare", lambda environment: folders.add(environment.folder.name))
    pythons |= versions
    assert build.test_in_blender([]) == 0
    assert folders == made
    assert partly == ({".venv", ".venv-5.2"} if len(versions) == 2 else set())  # neither the oldest nor the newest
    rows = [line.split() for line in capfd.readouterr().out.splitlines() if "tests in Blender" in line]
    outcomes = {row[4]: row[0] for row in rows if row[0] in ("passed", "SKIPPED")}
    assert outcomes == {version: "SKIPPED" if version in skipped else "passed" for version in build.BLENDERS}


def test_a_python_is_found_by_its_version() -> None:
    assert build.find_python(f"{sys.version_info.major}.{sys.version_info.minor}") == sys.executable
    assert build.find_python("2.6") is None


@pytest.mark.parametrize(
    ("has_uv", "failing", "programs"),
    [
        (True, "", ["uv venv", *["uv pip"] * 5]),
        (True, "uv", ["uv venv", "python -I -m venv", *["python -m pip"] * 5]),
        (False, "", ["python -I -m venv", *["python -m pip"] * 5]),
    ],
)
def test_environments_are_made_by_uv_if_it_is_there_and_otherwise_by_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_uv: bool, failing: str, programs: list[str]
) -> None:
    ran = []

    def run(command: list[str | Path], *_: object, **variables: str) -> int:
        words = [Path(command[0]).name, *(str(part) for part in command[1:])]
        ran.append(" ".join(words))
        return int(words[0] == failing)

    monkeypatch.setattr(build, "run", run)
    monkeypatch.setattr(build, "find_uv", lambda: "/somewhere/uv" if has_uv else None)
    monkeypatch.setattr(build, "find_python", lambda version: "python")
    monkeypatch.setattr("s2l_blender_addon.engine.package_index.has_own_places", lambda *_: False)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, ""))
    environment = build.MAIN._replace(folder=tmp_path)
    build.prepare(environment)
    assert [line[: len(start)] for line, start in zip(ran, programs, strict=True)] == programs
    assert all(str(build.CONSTRAINTS) in line for line in ran if "runtime.txt" in line)
    assert all("--torch-backend auto" in line for line in ran if line.startswith("uv pip"))
    environment.python.parent.mkdir()
    environment.python.touch()
    ran.clear()
    build.prepare(environment)
    assert not ran  # it is there, with the present requirements


def test_a_program_past_its_limit_is_killed_with_its_children(tmp_path: Path) -> None:
    script = f"(sleep 2; touch {tmp_path}/child) & sleep 60"
    assert build.run(["sh", "-c", script], limit_seconds=0.2) == 124
    time.sleep(2.2)
    assert not list(tmp_path.iterdir())


def test_nothing_is_run_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("venv", "ensurepip", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    build.find_python.cache_clear()
    build.find_python(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert build.run([sys.executable, "-c", "import venv"]) == 0
    assert not (tmp_path / "executed").exists()


def test_a_program_gets_its_variables_and_gives_its_status() -> None:
    assert build.run(["sh", "-c", 'exit "$STATUS"'], STATUS="3") == 3
