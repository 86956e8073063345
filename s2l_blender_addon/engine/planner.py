"""Asks the engine for the plan of some jobs, which reads their media and so needs its packages, and lets it do a plan.
Nothing here touches Blender.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ...s2l_core.farm.plan import Plan, read_plan
from ...s2l_core.jobs import Job, to_document
from .command import EngineCommand


class Planning:
    """The engine makes a plan.

    Args:
        python: The Python that runs the engine.
        jobs: The jobs.
        folder: The folder of the plan, which is created.
        root: The folder that all machines reach, and that contains all files; empty for the one that all files share.
        chunk: Number of frames of a task.

    Raises:
        EngineIncomplete: The Python cannot be started.
    """

    def __init__(self, python: str, jobs: Sequence[Job], folder: str, root: str, chunk: int) -> None:
        self._folder = folder
        self._temporary = tempfile.TemporaryDirectory(prefix="s2l_", ignore_cleanup_errors=True)
        path = Path(self._temporary.name) / "jobs.json"
        path.write_text(json.dumps([to_document(job) for job in jobs]), encoding="utf-8")
        rooted = ["--root", f"PROJECT={root}"] if root else []
        self.command = EngineCommand(python, ["plan", str(path), "--out", folder, "--chunk", str(chunk), *rooted])

    def plan(self) -> Plan:
        """The plan, after waiting for it.

        Raises:
            Speech2LipError: The jobs cannot be planned, or planning was cancelled.
        """
        try:
            self.command.wait()
        finally:
            self._temporary.cleanup()
        return read_plan(self._folder)


def run_here(python: str, folder: str) -> EngineCommand:
    """Let the engine do all tasks of a plan on this machine, by as many processes as cores and memory allow.

    Args:
        python: The Python that runs the engine.
        folder: The folder of the plan.

    Raises:
        EngineIncomplete: The Python cannot be started.
    """
    return EngineCommand(python, ["batch", folder])
