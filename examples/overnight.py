#!/usr/bin/env python3
"""Dub every edit in a folder overnight, and leave a log that can be read in the morning.

    python3 overnight.py FOLDER [--blender PATH]

One Blender gathers the dubs of all ``.blend`` files of the folder, runs as many of them at a time as cores and memory
allow, and puts the results into the files. If it crashes, each file that is left is opened by a Blender of its own, so
that one that makes Blender crash keeps no other from its turn. What was interrupted last night goes on where it was.
The log is FOLDER/overnight.txt, one line a strip. Standard library only; the exit status is 0 where everything was
dubbed, and otherwise 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

STATUSES = {2: "wrong usage", 130: "interrupted"}
GOOD = ("done", "nothing to do")


def main() -> int:
    parser = argparse.ArgumentParser(description="Dub every edit in a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blender", default="blender")
    options = parser.parse_args()
    edits = sorted(options.folder.glob("*.blend"))
    if not edits:
        print(f"There is no .blend file in {options.folder}.", file=sys.stderr)
        return 1
    with (options.folder / "overnight.txt").open("a", encoding="utf-8") as log:
        begun = time.monotonic()
        print(f"\n{time.strftime('%A, %d %B %Y, %H:%M')}: {len(edits)} edits", file=log, flush=True)
        is_done = Night(options.blender, log).dub_all(edits)
        print(f"\n{spell(time.monotonic() - begun)} in all", file=log, flush=True)
    return 0 if is_done else 1


class Night:
    """Dubs edits, and writes the log."""

    def __init__(self, blender: str, log: TextIO) -> None:
        self._blender, self._log = blender, log
        self._edit = ""
        self._is_good = True
        self._saved: set[str] = set()

    def dub_all(self, edits: Sequence[Path]) -> bool:
        """Dub edits together, or each by itself if that crashes. Returns whether everything is dubbed."""
        if self._dub(edits) or len(edits) == 1:
            return self._is_good
        for edit in edits:
            if edit.name not in self._saved:
                self._dub([edit])
        return self._is_good

    def _dub(self, edits: Sequence[Path]) -> bool:
        """Dub some edits in a Blender of their own. Returns whether it has ended as it should."""
        command = [self._blender, "-b", "-c", "s2l", "dub", "--all", "--resume", "--json", *map(str, edits)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout
            for told in read(process.stdout):
                self._note(told)
        if process.returncode in (0, 1, 3):
            return True
        what = STATUSES.get(process.returncode, f"status {process.returncode}")
        if len(edits) > 1:
            self._write("", f"Blender ended with {what}: each edit that is left is opened by itself.")
        else:
            self._is_good = False
            self._write(edits[0].name, f"FAILED   Blender ended with {what}")
        return False

    def _note(self, told: dict[str, Any]) -> None:
        name = Path(str(told.get("file", ""))).name
        if told["status"] in ("done", "untouched", "nothing to do"):
            self._saved.add(name)
        self._is_good &= told["status"] in GOOD
        self._write(name, sentence(told))

    def _write(self, edit: str, line: str) -> None:
        """Write a line, below the name of its edit."""
        if edit != self._edit:
            self._edit = edit
            print(f"\n{edit}" if edit else "", file=self._log)
        print(f"  {line}" if edit else line, file=self._log, flush=True)


def read(lines: TextIO | Any) -> Iterator[dict[str, Any]]:
    """What Blender tells of strips; other lines are skipped."""
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and "status" in told:
            yield told


def sentence(told: dict[str, Any]) -> str:
    status = told["status"] if told["status"] in ("done", "untouched", "nothing to do") else "FAILED"
    took = f" ({spell(told['seconds'])})" if told.get("seconds") else ""
    return f"{status:8} {told['strip']}: {told['outcome']}{took}" if told["strip"] else f"{status}: {told['outcome']}"


def spell(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
