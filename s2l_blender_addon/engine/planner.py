"""Asks the engine for the plan of some jobs, which reads their media and so needs its packages. Nothing here touches
Blender.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ...s2l_core.errors import EngineIncomplete, InternalError, Speech2LipError
from ...s2l_core.farm.plan import Plan, read_plan
from ...s2l_core.jobs import Job, to_document
from ..paths import EXTENSION_FOLDER
from . import child_process

_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from s2l_core.cli import main; sys.exit(main())"


def write_plan(python: str, jobs: Sequence[Job], folder: str, root: str, chunk: int) -> Plan:
    """Write a plan with the engine, which takes seconds.

    Args:
        python: The Python that runs the engine.
        jobs: The jobs.
        folder: The folder of the plan, which is created.
        root: The folder that all machines reach, and that contains all files.
        chunk: Number of frames of a task.

    Raises:
        EngineIncomplete: The Python cannot be started.
        Speech2LipError: The jobs cannot be planned.
    """
    with tempfile.TemporaryDirectory(prefix="s2l_") as temporary:
        path = Path(temporary) / "jobs.json"
        path.write_text(json.dumps([to_document(job) for job in jobs]), encoding="utf-8")
        words = ["plan", str(path), "--out", folder, "--chunk", str(chunk), "--root", f"PROJECT={root}", "--json"]
        try:
            ended = subprocess.run(
                [*child_process.isolated(python), "-c", _START, str(EXTENSION_FOLDER), *words],
                cwd=EXTENSION_FOLDER,
                env=child_process.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise EngineIncomplete(f"The worker Python {python} cannot be started: {error.strerror}.") from error
    if ended.returncode != 0:
        raise _error(ended.stdout, ended.stderr)
    return read_plan(folder)


def _error(output: str, log: str) -> Speech2LipError:
    """The error that the command line printed."""
    try:
        error = json.loads(output)["error"]
        return Speech2LipError(str(error["message"]), str(error["hint"]))
    except (ValueError, KeyError, TypeError):
        return InternalError(f"The plan could not be made: {log.strip()[-500:] or 'the engine said nothing'}.")
