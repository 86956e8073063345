"""Setting up the engine with the real uv and pip, which install tiny packages from a local folder."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

UV = Path(sys.executable).with_name("uv")

# One environment of the project has it: once is enough, since nothing here depends on Blender's version.
pytestmark = pytest.mark.skipif(not UV.exists(), reason="needs an environment with uv")


def make_wheel(folder: Path, name: str, version: str, files: dict[str, bytes]) -> Path:
    """A wheel with some files, for every Python on every system."""
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {name: base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).decode() for name in files}
    record = [f"{name},sha256={digest.rstrip('=')},{len(files[name])}" for name, digest in digests.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100755 << 16  # programs are executable
            wheel.writestr(entry, content)
    return path


def uv_files() -> dict[str, bytes]:
    """What the wheel of uv contains, from the installed one."""
    (package,) = UV.parents[1].glob("lib/python*/site-packages/uv")
    modules = {f"uv/{path.name}": path.read_bytes() for path in package.glob("*.py")}
    return {**modules, "uv-1.0.data/scripts/uv": UV.read_bytes()}


@pytest.fixture
def set_up(module, monkeypatch, tmp_path) -> Callable[..., Any]:
    """Sets up an engine of tiny packages; those that are named in ``tampered`` do not have their pinned hashes."""
    setup = module("s2l_blender_addon.engine.setup")
    folder, requirements = tmp_path / "wheels", tmp_path / "requirements"
    (requirements / "hashed").mkdir(parents=True)
    folder.mkdir()
    (requirements / "constraints.txt").write_text("torch==2.0\n")
    monkeypatch.setattr(setup, "REQUIREMENTS", requirements)
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(setup.EngineSetup, "_verify", lambda self: {"version": "0.0.0"})

    def set_up(has_uv: bool, tampered: str = "") -> Any:
        versions = {"torch": "2.0", "numpy": "1.0", "models": "1.0", "speech": "1.0", "matte": "1.0"}
        versions |= {"uv": "1.0"} if has_uv else {}
        pins = {}
        for name, version in versions.items():
            path = make_wheel(folder, name, version, uv_files() if name == "uv" else {f"{name}.py": b""})
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if name != tampered else "0" * 64
            pins[name] = f"{name}=={version} --hash=sha256:{digest}\n"
        listed = {"uv": "uv", "engine": "numpy", "bundled-models": "models", "speech-network": "speech"}
        listed |= {"person-matte": "matte"}
        for name, package in listed.items():
            pin = pins.get(package, f"{package}==1.0 --hash=sha256:{'0' * 64}")
            (requirements / "hashed" / f"{name}.txt").write_text(pin)
        done = setup.EngineSetup(sys.executable, tmp_path / "engine" / "environment")
        deadline = time.monotonic() + 300.0
        while not done.poll(0.1):
            assert time.monotonic() < deadline, list(done.log)
        return done

    return set_up


@pytest.mark.parametrize(("has_uv", "installer"), [(True, "uv"), (False, "pip")])
def test_packages_are_installed_by_uv_or_where_there_is_none_by_pip(set_up, tmp_path, has_uv, installer) -> None:
    done = set_up(has_uv)
    assert done.error is None, list(done.log)
    reason = "" if has_uv else ", since uv failed: Could not find a version that satisfies the requirement uv==1.0"
    assert done.info["installed with"].startswith(installer + reason)
    assert {f"find-links {tmp_path / 'wheels'}", "no-index 1"} <= set(done.info["pip"])
    assert done.info["PyTorch build"] == (
        "from the places that your settings of pip or uv name" if has_uv else "the plain one of the package index"
    )
    environment = tmp_path / "engine" / "environment"
    for name in ("torch", "numpy", "models", "speech", "matte"):
        (path,) = environment.glob(f"lib/python*/site-packages/{name}-*.dist-info/INSTALLER")
        assert path.read_text().strip() == installer
    subprocess.run([environment / "bin/python", "-I", "-c", "import torch, numpy, models, speech, matte"], check=True)


@pytest.mark.parametrize(
    ("has_uv", "lacking", "name", "then"),
    [
        (True, "speech", "speech network", "lips follow speech less closely"),
        (False, "speech", "speech network", "lips follow speech less closely"),
        (True, "matte", "person matte", "heads cannot be rendered for other cameras"),
    ],
)
def test_engine_without_an_optional_network_works_and_the_report_says_what_it_lacks(
    set_up, tmp_path, has_uv, lacking, name, then
) -> None:
    done = set_up(has_uv, tampered=lacking)
    assert done.error is None, list(done.log)
    assert done.info[name].startswith(f"left out, so {then}: ")
    assert len({"speech network", "person matte"} & set(done.info)) == 1
    assert (tmp_path / "engine" / "environment").is_dir()


def test_package_without_its_pinned_hash_is_not_installed(set_up, tmp_path) -> None:
    done = set_up(has_uv=True, tampered="numpy")
    assert "hash" in str(done.error).lower()
    said = " ".join(done.log).lower()
    assert "hash mismatch" in said and "do not match the hashes" in said  # so say uv, and pip after it
    assert not list((tmp_path / "engine").iterdir())
