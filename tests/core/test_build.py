"""The project's own papers agree with each other: version, pins, licence, the one entry for CI."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from s2l_core.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(name: str) -> dict[str, str]:
    """Packages of a requirements file with what stands behind their names."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements" / name).read_text().splitlines())
    parts = (re.match(r"([\w.-]+)(.*)", line) for line in lines)
    return {part[1]: part[2] for part in parts if part}


def run_build(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, ROOT / "build.py", *arguments], capture_output=True, text=True)


def test_the_manifest_is_the_one_place_of_the_version() -> None:
    assert MANIFEST["version"] == VERSION
    assert PROJECT["dynamic"] == ["version"]
    assert f"## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_licence_is_the_same_everywhere() -> None:
    assert PROJECT["license"] == "GPL-3.0-or-later"
    assert MANIFEST["license"] == ["SPDX:GPL-3.0-or-later"]
    assert "GNU GENERAL PUBLIC LICENSE" in (ROOT / "LICENSE").read_text()


def test_every_pin_is_exact_and_names_no_local_build() -> None:
    assert all(re.fullmatch(r"==[\w.]+", version) for version in requirements("constraints.txt").values())


@pytest.mark.parametrize("name", ["runtime.txt", "test.txt", "blender-5.0.txt", "blender-4.5.txt"])
def test_every_package_is_pinned_once(name: str) -> None:
    pins = requirements("constraints.txt")
    for package, version in requirements(name).items():
        assert bool(version) != (package in pins), f"{package} of {name} is pinned twice or not at all"


def test_the_library_asks_for_what_the_engine_installs() -> None:
    extras = {package for packages in PROJECT["optional-dependencies"].values() for package in packages}
    assert {*PROJECT["dependencies"], *extras} == set(requirements("runtime.txt"))


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
