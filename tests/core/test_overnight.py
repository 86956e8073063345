"""The example that dubs a folder of edits overnight, with a program in Blender's place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "overnight.py"
BLENDER = """#!/bin/sh
echo "Blender 5.0.1"
case "$2" in
  *good*)
    echo '{"progress": "Dub Interview", "done": 1}'
    echo '{"strip": "Interview", "status": "done", "outcome": "Dubbed 30 frames.", "seconds": 240}';;
  *bad*)
    echo '{"strip": "Interview", "status": "failed", "outcome": "No face. Look again.", "seconds": 3}'; exit 1;;
  *crash*) exit 11;;
esac
"""


def overnight(folder: Path, *edits: str) -> tuple[int, str]:
    blender = folder / "blender"
    blender.write_text(BLENDER)
    blender.chmod(0o755)
    for edit in edits:
        (folder / edit).touch()
    done = subprocess.run([sys.executable, EXAMPLE, folder, "--blender", blender], check=False)
    return done.returncode, (folder / "overnight.txt").read_text()


def test_log_has_a_line_for_each_strip(tmp_path: Path) -> None:
    status, log = overnight(tmp_path, "good.blend")
    assert status == 0
    assert "good.blend\n  done     Interview: Dubbed 30 frames. (4 min)\n" in log


def test_what_fails_is_told_and_the_others_have_their_turn(tmp_path: Path) -> None:
    status, log = overnight(tmp_path, "bad.blend", "crash.blend", "good.blend")
    assert status == 1
    assert "FAILED   Interview: No face. Look again. (3 s)" in log
    assert "FAILED   Blender ended with status 11" in log
    assert "done     Interview" in log
