"""Blender is killed during a job, and another Blender continues it; the worker is a fake one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_blender

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER, SESSION = ROOT / "tests/blender/blender", ROOT / "benchmarks/waiting/session.py"
LAST_WORK_SECONDS = 1.0  # of the fake worker after the end of its Blender


@pytest.fixture
def session(movie, sound, tmp_path, monkeypatch):
    """Runs Blender on an edit with one job; it is killed after a number of seconds, or runs to the end for None.

    Returns the last report that it printed.
    """
    monkeypatch.setenv("S2L_FAKE_BEHAVIOUR", "go_on")
    monkeypatch.setenv("S2L_WORKER_PYTHON", str(Path(__file__).with_name("fake_worker.py")))
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({
        "blend": str(tmp_path / "edit.blend"), "footage": str(movie), "voice": str(sound), "verb": "dub",
        "folder": str(tmp_path), "speaker": "/nowhere/Ada.s2l", "worker_grace": LAST_WORK_SECONDS + 1.0,
    }))  # fmt: skip

    def session(kill_after: float | None) -> dict:
        program = [sys.executable, str(LAUNCHER), "-b", "--python", str(SESSION), "--", str(settings)]
        last: dict = {}
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=os.environ) as blender:
            deadline = None
            for line in blender.stdout:
                if not line.startswith("session "):
                    continue
                last = json.loads(line.removeprefix("session "))
                deadline = deadline or (last["phase"] and kill_after is not None and time.monotonic() + kill_after)
                if deadline and time.monotonic() > deadline:
                    blender.send_signal(signal.SIGKILL)
                    break
        return last

    return session


def test_killed_blender_loses_nothing(session, tmp_path) -> None:
    rng = random.Random(8)
    for _ in range(3):
        assert session(rng.uniform(0.0, 0.4))["status"] == "running"
    last = session(None)
    assert last["status"] == "done", last
    (output,) = tmp_path.glob("*_dubbed.mp4")
    assert output.read_text().splitlines() == [f"step {number}" for number in range(100)]
