"""The extension repository: Blender installs from it, and updates when a higher version is there."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

import build

PROGRAM = Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core/bl_pkg/cli/blender_ext.py"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that a server on this machine serves, and its address."""
    folder = tmp_path / "repository"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def with_version(extension: Path, version: str, folder: Path) -> Path:
    """A copy of the extension that calls itself another version."""
    path = folder / f"speech2lip-{version}.zip"
    with zipfile.ZipFile(extension) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "blender_manifest.toml":
                content = re.sub(rb'(?m)^version = ".*"', f'version = "{version}"'.encode(), content)
            new.writestr(name, content)
    return path


def publish(extension: Path, folder: Path) -> None:
    assert build.make_repository([sys.executable, PROGRAM], extension, folder) == 0


def test_page_of_the_repository_has_the_link_to_drag_into_blender(extension_zip: Path, tmp_path: Path) -> None:
    publish(extension_zip, tmp_path / "repository")
    assert {path.name for path in (tmp_path / "repository").iterdir()} == {
        extension_zip.name, "index.json", "index.html",
    }  # fmt: skip
    page = (tmp_path / "repository" / "index.html").read_text()
    assert re.search(rf'href="\./{extension_zip.name}\?repository=\S*index\.json&\S*blender_version_min=4\.5\.0', page)
    (entry,) = json.loads((tmp_path / "repository" / "index.json").read_text())["data"]
    assert (entry["id"], entry["archive_url"]) == ("speech2lip", f"./{extension_zip.name}")


def test_blender_installs_from_the_repository_and_updates_to_a_higher_version(
    extension_zip: Path, tmp_path: Path, served: tuple[Path, str]
) -> None:
    folder, address = served
    publish(with_version(extension_zip, "0.1.0", tmp_path), folder)
    blender = [bpy.app.binary_path] if bpy.app.binary_path else [sys.executable, Path(__file__).with_name("blender")]
    script = Path(__file__).with_name("install_from_repository.py")
    with subprocess.Popen(
        [*blender, "-b", "--python", script, "--", f"{address}/index.json"],
        env={**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "user")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdin and process.stdout

        def told() -> str:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if line.startswith(">"):
                    return line[1:].strip()
            raise AssertionError("".join(lines))

        try:
            assert told() == "0.1.0 enabled True"
            publish(with_version(extension_zip, "0.1.1", tmp_path), folder)
            print(file=process.stdin, flush=True)
            assert told() == "0.1.1 enabled True"
            print(file=process.stdin, flush=True)
        finally:
            process.kill()
