"""A training whose worker is killed goes on where it was, and writes the same file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_worker_killed_in_every_phase_writes_the_same_speaker_bit_for_bit(tmp_path: Path) -> None:
    program = [sys.executable, str(Path(__file__).with_name("killed_worker.py")), str(ROOT / "demo" / "speaker.mp4")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*program, str(tmp_path), "7"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(told["killed_in"]) >= 10
    assert told["moments_of_the_last"] < told["moments"] / 2
    assert not list((tmp_path / "cache" / "speech2lip" / "trainings").iterdir())
    assert (tmp_path / "speaker.s2l").read_bytes() == (tmp_path / "whole.s2l").read_bytes()
