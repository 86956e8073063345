"""The example that dubs a folder of edits overnight, with a program in Blender's place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "overnight.py"
BLENDER = """#!/bin/sh
echo "Blender 5.0.1"
echo '{"progress": "2 jobs", "done": 1}'
status=0
for edit; do
  case "${edit##*/}" in
    *crash*) exit 11;;
    *good*)
      echo "{\\"file\\": \\"$edit\\", \\"strip\\": \\"Interview\\", \\"status\\": \\"done\\", \\"outcome\\": \\"Dubbed 30 frames.\\", \\"seconds\\": 240}";;
    *bad*)
      echo "{\\"file\\": \\"$edit\\", \\"strip\\": \\"Interview\\", \\"status\\": \\"failed\\", \\"outcome\\": \\"No face. Look again.\\", \\"seconds\\": 3}"
      status=1;;
  esac
done
exit $status
"""  # noqa: E501


def overnight(folder: Path, *edits: str) -> tuple[int, str]:
    blender = folder / "blender"
    blender.write_text(BLENDER)
    blender.chmod(0o755)
    for edit in edits:
        (folder / edit).touch()
    done = subprocess.run([sys.executable, EXAMPLE, folder, "--blender", blender], check=False)
    return done.returncode, (folder / "overnight.txt").read_text()


def test_log_has_a_line_for_each_strip_below_the_name_of_its_edit(tmp_path: Path) -> None:
    status, log = overnight(tmp_path, "good.blend", "good2.blend")
    assert status == 0
    for edit in ("good.blend", "good2.blend"):
        assert f"\n{edit}\n  done     Interview: Dubbed 30 frames. (4 min)\n" in log


def test_what_fails_is_told_and_the_others_have_their_turn(tmp_path: Path) -> None:
    status, log = overnight(tmp_path, "bad.blend", "good.blend")
    assert status == 1
    assert "FAILED   Interview: No face. Look again. (3 s)" in log
    assert "done     Interview" in log


def test_after_a_crash_each_edit_that_is_left_has_a_blender_of_its_own(tmp_path: Path) -> None:
    status, log = overnight(tmp_path, "a_good.blend", "crash.blend", "good.blend")
    assert status == 1
    assert "Blender ended with status 11: each edit that is left is opened by itself." in log
    assert "\ncrash.blend\n  FAILED   Blender ended with status 11\n" in log
    assert log.count("done     Interview") == 2  # a_good.blend was saved before the crash
