#!/usr/bin/env python3
"""Stands in for the Python that engines are made with, and, copied into an environment, for that of the engine.

The environment variable S2L_FAKE_SETUP names what goes wrong: nothing, venv, uv, pip (and uv), hang, crash or blind.
S2L_FAKE_INDEX is pip's package index. Each command is a line in the file that S2L_FAKE_LOG names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

trouble = os.environ["S2L_FAKE_SETUP"]


def venv(folder: str) -> None:
    if trouble == "venv":
        sys.exit("ensurepip is not available")
    program = Path(folder) / "bin/python"
    program.parent.mkdir()
    shutil.copy(__file__, program)


def pip(*arguments: str) -> None:
    if "config" in arguments:
        if index := os.environ.get("S2L_FAKE_INDEX", "https://ada:secret@mirror.example/t0ken/simple"):
            print(f"global.index-url={index!r}")
        return
    if any(part.endswith("uv.txt") for part in arguments):
        return
    print("Collecting torch==2.13.0 (from -c constraints.txt)")
    print("  Downloading torch-2.13.0-cp311-cp311-linux_x86_64.whl (888.1 MB)")
    if trouble == "pip":
        print("ERROR: No matching distribution found for torch==2.13.0\nwhat pip says after it")
        sys.exit(1)
    print("Installing collected packages: torch")


def uv(*arguments: str) -> None:
    print("Resolved 39 packages in 8ms\nDownloading torch (888.1MiB)")
    if trouble in ("uv", "pip"):
        print(
            "error: No solution found when resolving dependencies\n  cause: torch is not there.\n\nhint: look elsewhere"
        )
        sys.exit(2)
    if trouble == "hang":
        child = subprocess.Popen(["sleep", "600"])
        print(f"child {child.pid}", flush=True)
        time.sleep(600)
    print("Prepared 39 packages in 5.2s")


def worker() -> None:
    json.loads(sys.stdin.readline())
    if trouble == "crash":
        sys.exit("torch is for another processor")
    landmarks = [] if trouble == "blind" else ["bundled"]
    print(json.dumps({"id": 1, "result": {"version": "0.0.0", "python": __file__, "landmarks": landmarks}}))


if __name__ == "__main__":
    with Path(os.environ["S2L_FAKE_LOG"]).open("a") as log:
        log.write(
            json.dumps({"command": sys.argv[1:], "folder": str(Path.cwd()), "variables": sorted(os.environ)}) + "\n"
        )
    assert sys.argv[1:4] == ["-I", "-X", "utf8"], sys.argv
    if sys.argv[4] == "-c":
        worker()
    else:
        {"venv": venv, "pip": pip, "uv": uv}[sys.argv[5]](*sys.argv[6:])
