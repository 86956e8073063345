"""A command of the engine's command line, such as ``s2l plan``, in a process that is looked at now and then. Nothing
here touches Blender.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any, BinaryIO

from ...s2l_core import json_text
from ...s2l_core.errors import Cancelled, EngineIncomplete, InternalError, Speech2LipError
from ...s2l_core.events import Progress
from ..paths import EXTENSION_FOLDER
from ..progress import read_progress
from . import child_process

CANCEL_GRACE_SECONDS = 15.0
"""Time in which a cancelled command may end its own processes."""
_POLL_SECONDS = 0.05
_LAST_WORDS, _LONGEST_EVENT, _LONGEST_RESULT = 500, 100_000, 64 * 1024 * 1024  # characters, and bytes
# The command is cancelled by the end of its stdin, which is closed in any case when Blender ends.
_START = (
    "import os, signal, sys, threading; sys.path.insert(0, sys.argv.pop(1)); from s2l_core.cli import main; "
    "stop = lambda: (os.read(0, 1), signal.raise_signal(signal.SIGINT)); "
    "threading.Thread(target=stop, daemon=True).start(); sys.exit(main())"
)


class EngineCommand:
    """A command that runs. Its output goes to files, so that it never waits for Blender.

    Attributes:
        progress: The last progress that was reported; None before the first.
        log: Messages that it reported, one a line.
        result: What it printed, once it has ended; None after an error.
        error: Why there is no result.

    Args:
        python: The Python that runs the engine.
        words: The arguments after ``s2l``.

    Raises:
        EngineIncomplete: The Python cannot be started.
    """

    def __init__(self, python: str, words: Sequence[str]) -> None:
        self.progress: Progress | None = None
        self.log: list[str] = []
        self.result: dict[str, Any] | None = None
        self.error: Speech2LipError | None = None
        self._output: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - open until the command has ended
        self._events: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
        self._read = 0
        self._kill_time: float | None = None
        try:
            self._process = subprocess.Popen(
                [*child_process.isolated(python), "-c", _START, str(EXTENSION_FOLDER), *words, "--json"],
                cwd=EXTENSION_FOLDER,
                env=child_process.environment(),
                stdin=subprocess.PIPE,
                stdout=self._output,
                stderr=self._events,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            self._close()
            raise EngineIncomplete(
                f"The worker Python {python} cannot be started: {error.strerror}.",
                "Choose another one in Edit > Preferences > Add-ons > Speech2Lip.",
            ) from error

    @property
    def has_ended(self) -> bool:
        return self.result is not None or self.error is not None

    def poll(self) -> bool:
        """Look at what the command has reported since the last look. Returns whether it has ended."""
        if self.has_ended:
            return True
        status = self._process.poll()  # before the events, of which none may be missed
        self._take_events()
        if status is None:
            if self._kill_time is not None and time.monotonic() > self._kill_time:
                self._process.kill()
            return False
        self._conclude(status)
        return True

    def wait(self) -> None:
        """Wait until it has ended.

        Raises:
            Speech2LipError: It has failed, or was cancelled.
        """
        try:
            while not self.poll():
                time.sleep(_POLL_SECONDS)
        except BaseException:  # such as an interrupt from the terminal
            self.kill()
            raise
        if self.error is not None:
            raise self.error

    def cancel(self) -> None:
        """Ask it to end. It is killed if it does not soon."""
        if self._kill_time is None:
            self._kill_time = time.monotonic() + CANCEL_GRACE_SECONDS
            assert self._process.stdin
            self._process.stdin.close()

    def kill(self) -> None:
        """End it at once."""
        self.cancel()
        self._process.kill()
        self._process.wait()
        self.poll()

    def _take_events(self) -> None:
        self._events.seek(self._read)
        *lines, _ = self._events.read().split(b"\n")
        self._read += sum(len(line) + 1 for line in lines)
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        """Keep the progress or the message in a line of stderr, where libraries may have printed as well."""
        try:
            event = json_text.parse(line) if len(line) < _LONGEST_EVENT else None
        except ValueError:
            event = None
        match event:
            case {"event": "progress"}:
                self.progress = read_progress(event) or self.progress
            case {"event": "log", "text": str(text)}:
                self.log.append(text)

    def _conclude(self, status: int) -> None:
        self._output.seek(0)
        try:
            printed = json.loads(self._output.read(_LONGEST_RESULT))
        except ValueError:
            printed = None
        match printed:
            case _ if self._kill_time is not None:
                self.error = Cancelled("The command was cancelled.")
            case {"error": {"code": "cancelled", "message": str(message)}}:
                self.error = Cancelled(message)
            case {"error": {"message": str(message), "hint": str(hint)}}:
                self.error = Speech2LipError(message, hint)
            case dict():
                self.result = printed
            case _:
                self.error = InternalError(f"The engine ended with status {status}: {self._last_words()}.")
        self._close()
        if self._process.stdin:
            self._process.stdin.close()

    def _last_words(self) -> str:
        self._events.seek(0)
        words = self._events.read().decode(errors="replace").strip()
        return words[-_LAST_WORDS:] or "it printed nothing"

    def _close(self) -> None:
        self._output.close()
        self._events.close()
