"""Runs sessions of Blender in a process of their own, to the end or until they are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .session_settings import Settings

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = ROOT / "tests/blender/blender"
Event = dict[str, Any]


@dataclass(frozen=True)
class Kill:
    """Which process to kill, and when.

    Attributes:
        seconds: Time after the first progress report of the job.
        victim: ``"blender"`` or ``"worker"``.
    """

    seconds: float
    victim: str


def watch(settings: Settings, user_folder: Path, kill: Kill | None = None) -> list[Event]:
    """Run a session of Blender, and return its events until it ended or was killed. The last event before a kill has
    ``is_killed``.

    Args:
        settings: Settings of the session.
        user_folder: Blender's user folder, with the extension installed.
        kill: What to kill; a killed worker does not end the session.
    """
    document = user_folder / "settings.json"
    document.write_text(json.dumps(asdict(settings)))
    program = [sys.executable, str(LAUNCHER), "-b", "--python", str(Path(__file__).with_name("session.py")), "--"]
    variables = {
        **os.environ,
        "BLENDER_USER_RESOURCES": str(user_folder),
        "XDG_CACHE_HOME": str(
            Path(settings.folder) / "cache"
        ),  # a separate cache, so that later jobs have as much to do
        "S2L_BLENDER_PYTHON": sys.executable,
        "S2L_WORKER_PYTHON": sys.executable,
    }
    with subprocess.Popen([*program, str(document)], stdout=subprocess.PIPE, text=True, env=variables) as blender:
        return list(_until_the_end(blender, kill))


def _until_the_end(blender: subprocess.Popen[str], kill: Kill | None) -> Iterator[Event]:
    begun = None
    assert blender.stdout is not None
    for line in blender.stdout:
        if not line.startswith("session "):
            continue
        event = json.loads(line.removeprefix("session "))
        yield event
        if event["phase"] and begun is None:
            begun = time.monotonic()
        if kill and begun is not None and time.monotonic() > begun + kill.seconds and event["worker"]:
            event["is_killed"] = True
            os.kill(blender.pid if kill.victim == "blender" else event["worker"], signal.SIGKILL)
            if kill.victim == "blender":
                return
            kill = None
