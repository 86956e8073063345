#!/usr/bin/env python3
"""Dub every edit in a folder overnight, and leave a log that can be read in the morning.

    python3 overnight.py FOLDER [--blender PATH]

Each ``.blend`` file of the folder is opened by a Blender of its own, so that one that fails keeps no other from its
turn. What was interrupted last night goes on where it was. The log is FOLDER/overnight.txt, one line a strip. Standard
library only; the exit status is 0 where everything was dubbed, and otherwise 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STATUSES = {0: "done", 1: "some strips failed", 2: "wrong usage", 3: "nothing to dub", 130: "interrupted"}


def main() -> int:
    parser = argparse.ArgumentParser(description="Dub every edit in a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blender", default="blender")
    options = parser.parse_args()
    edits = sorted(options.folder.glob("*.blend"))
    if not edits:
        print(f"There is no .blend file in {options.folder}.", file=sys.stderr)
        return 1
    is_done = True
    with (options.folder / "overnight.txt").open("a", encoding="utf-8") as log:
        print(f"\n{time.strftime('%A, %d %B %Y, %H:%M')}: {len(edits)} edits", file=log, flush=True)
        for edit in edits:
            begun = time.monotonic()
            print(f"\n{edit.name}", file=log, flush=True)
            for line, is_good in dub(options.blender, edit):
                print(f"  {line}", file=log, flush=True)
                is_done &= is_good
            print(f"  {spell(time.monotonic() - begun)} in all", file=log, flush=True)
    return 0 if is_done else 1


def dub(blender: str, edit: Path) -> Iterator[tuple[str, bool]]:
    """A line for each strip of an edit, and whether that is good news."""
    command = [blender, "-b", str(edit), "-c", "s2l", "dub", "--all", "--resume", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if (told := read(line)) and "status" in told:
                yield sentence(told), told["status"] in ("done", "nothing to do")
    if process.returncode not in (0, 1, 3):
        yield f"FAILED   Blender ended with status {STATUSES.get(process.returncode, process.returncode)}", False


def read(line: str) -> dict[str, Any]:
    """What a line says; nothing where it is one of Blender's own."""
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def sentence(told: dict[str, Any]) -> str:
    status = told["status"] if told["status"] in ("done", "untouched", "nothing to do") else "FAILED"
    took = f" ({spell(told['seconds'])})" if told.get("seconds") else ""
    return f"{status:8} {told['strip']}: {told['outcome']}{took}" if told["strip"] else f"{status}: {told['outcome']}"


def spell(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
