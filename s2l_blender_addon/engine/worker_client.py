"""Worker processes and their jobs, as seen from Blender. Standard library only: nothing here touches Blender.

Threads read the stdout and stderr of a process and write to its stdin, so that no pipe blocks, and pass each message to
the request that it answers. Everything else happens in the thread that calls :meth:`Request.poll`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import subprocess
import threading
import time
from collections import deque
from typing import IO, Any

from ...s2l_core import json_text
from ...s2l_core.errors import Cancelled, EngineIncomplete, InternalError, Speech2LipError, WorkerLost
from ...s2l_core.events import Progress
from ...s2l_core.jobs import Job, to_document
from ..paths import EXTENSION_FOLDER
from ..progress import read_progress
from . import child_process

CANCEL_GRACE_SECONDS = 0.6  # so that a cancelled job is gone within a second
EXIT_SECONDS = 5.0  # PyTorch needs some tenths of a second to exit; after that the process counts as ended
LAST_WORDS_SECONDS = 1.0  # a program that the worker started may keep its stderr open
_LOG_LINES, _LOG_LINE = 200, 2_000  # the second in characters
_LONGEST_MESSAGE = 16 * 1024 * 1024  # characters; the result of hours has some hundred thousand
# Makes an isolated Python import the library of this add-on and no other.
_START = "import sys; sys.path.insert(0, sys.argv.pop()); from s2l_core.worker import main; main()"
_ERRORS = {kind.code: kind for kind in Speech2LipError.__subclasses__()}

_Message = dict[str, Any]
_Inbox = queue.SimpleQueue[_Message | None]


class WorkerProcess:
    """A process that runs jobs one after the other.

    Attributes:
        log: The last lines of its log.

    Raises:
        EngineIncomplete: The Python cannot be started.
    """

    def __init__(self, python: str) -> None:
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self._numbers = itertools.count(1)
        self._inboxes: dict[int, _Inbox] = {}
        self._outbox: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        self._is_silent = self._is_closed = False
        self._lock = threading.Lock()
        try:
            self._process = subprocess.Popen(
                [*child_process.isolated(python), "-c", _START, str(EXTENSION_FOLDER)],
                cwd=EXTENSION_FOLDER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=child_process.environment(),
                encoding="utf-8",
                errors="replace",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise EngineIncomplete(
                f"The worker Python {python} cannot be started: {error.strerror}.",
                "Choose another one in Edit > Preferences > Add-ons > Speech2Lip.",
            ) from error
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._log_reader = threading.Thread(target=self._read_log, args=[self._process.stderr], daemon=True)
        self._threads = [
            self._log_reader,
            threading.Thread(target=self._read_messages, args=[self._process.stdout], daemon=True),
            threading.Thread(target=self._write_messages, args=[self._process.stdin], daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_open(self) -> bool:
        """Whether it accepts jobs."""
        return self._process.poll() is None and not self._is_closed

    @property
    def is_over(self) -> bool:
        """Whether the process and all of its threads here have ended."""
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def is_busy(self) -> bool:
        """Whether it has jobs that have not ended."""
        return bool(self._inboxes)

    def ask(self, job: Job) -> tuple[int, _Inbox]:
        """Send a job.

        Returns:
            The number of the job, and a queue of the messages about it, which ends with None if the process ends.
        """
        number, inbox = next(self._numbers), _Inbox()
        with self._lock:
            self._inboxes[number] = inbox
            if self._is_silent:
                self._inboxes.pop(number).put(None)
        self._outbox.put({"id": number, "method": job.verb, "params": job})
        return number, inbox

    def cancel(self, number: int) -> None:
        """Ask the process to stop a job."""
        self._outbox.put({"method": "cancel", "params": {"id": number}})

    def close(self) -> None:
        """Close the stdin of the process, which ends it after its present job."""
        self._is_closed = True
        self._outbox.put(None)

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self.close()

    def wait(self, timeout: float) -> int:
        """Wait for the end of the process, at most for ``timeout`` seconds, and return its exit status."""
        return self._process.wait(timeout)

    def loss(self) -> WorkerLost:
        """The error for a process that has ended before its job."""
        last_words = next((line for line in reversed(list(self.log)) if line.strip()), "it printed nothing")
        return WorkerLost(f"The worker ended before its job, with status {self._process.returncode}: {last_words}.")

    def _write_messages(self, stdin: IO[str]) -> None:
        # Writing to a worker that has ended fails, which is noticed by the end of its stdout.
        with contextlib.suppress(OSError, ValueError), stdin:
            while (message := self._outbox.get()) is not None:
                stdin.write(json.dumps({"jsonrpc": "2.0", **message}, default=to_document) + "\n")
                stdin.flush()

    def _read_messages(self, stdout: IO[str]) -> None:
        while line := stdout.readline(_LONGEST_MESSAGE):
            if len(line) == _LONGEST_MESSAGE and not line.endswith("\n"):
                self.log.append("it wrote a line without an end")
                self._process.kill()
                break
            try:
                message = json_text.parse(line)
            except ValueError:
                message = None
            match message:
                case {"id": int() as number} | {"params": {"id": int() as number}} if type(number) is int:
                    self._deliver(number, message)
                case _:
                    self.log.append(line[:_LOG_LINE].rstrip())
        self._process.wait()
        self._log_reader.join(LAST_WORDS_SECONDS)
        with self._lock:
            self._is_silent = True
            while self._inboxes:
                self._inboxes.popitem()[1].put(None)

    def _deliver(self, number: int, message: _Message) -> None:
        is_last = "result" in message or "error" in message
        with self._lock:
            inbox = self._inboxes.pop(number, None) if is_last else self._inboxes.get(number)
        if inbox is not None:
            inbox.put(message)

    def _read_log(self, stderr: IO[str]) -> None:
        while line := stderr.readline(_LOG_LINE):
            self.log.append(line.rstrip())


class Request:
    """One job of a worker process.

    Attributes:
        job: The job.
        progress: The last progress that was reported; None before the first.
        preview_path: Path of the last preview picture; empty before the first.
        result: The result if the job has succeeded.
        error: The error if the job has failed or was cancelled.
    """

    def __init__(self, process: WorkerProcess, job: Job) -> None:
        self.job = job
        self.progress: Progress | None = None
        self.preview_path = ""
        self.result: dict[str, Any] | None = None
        self.error: Speech2LipError | None = None
        self._process = process
        self._kill_time: float | None = None
        self._number, self._inbox = process.ask(job)

    @property
    def has_ended(self) -> bool:
        return self.result is not None or self.error is not None

    @property
    def log(self) -> deque[str]:
        """The last lines of the engine's log."""
        return self._process.log

    def poll(self, patience: float = 0.0) -> bool:
        """Process the messages of the worker since the last call.

        Args:
            patience: Seconds to wait for a message if there is none.

        Returns:
            True if the job has ended.
        """
        while not self.has_ended:
            try:
                message = self._inbox.get(patience > 0.0, patience)
            except queue.Empty:
                break
            patience = 0.0
            if message is None:
                self.error = self._process.loss()
            else:
                self._take(message)
        if not self.has_ended and self._kill_time is not None and time.monotonic() > self._kill_time:
            self.kill()
        return self.has_ended

    def cancel(self) -> None:
        """Ask the worker to stop the job; a worker that does not respond soon is killed."""
        if self._kill_time is None:
            self._kill_time = time.monotonic() + CANCEL_GRACE_SECONDS
            self._process.cancel(self._number)

    def kill(self) -> None:
        """End the job's process at once."""
        self._process.kill()
        if not self.has_ended:
            self.error = Cancelled("The job was cancelled.")

    def _take(self, message: _Message) -> None:
        match message:
            case {"method": "progress", "params": dict(values)} if progress := read_progress(values):
                self.progress = progress
            case {"method": "preview", "params": {"path": str(path)}}:
                self.preview_path = path
            case {"method": "log", "params": {"level": str(level), "text": str(text)}}:
                self.log.append(f"{level}: {text}")
            case {"result": dict(result)}:
                self.result = result
            case {"error": {"message": str(text), "data": {"code": str(code), "hint": str(hint)}}}:
                self.error = _ERRORS.get(code, Speech2LipError)(text, hint)
            case {"result": _} | {"error": _}:
                self.error = InternalError("The worker's answer is not a JSON-RPC response.")
            case _:
                self.log.append(str(message)[:_LOG_LINE])


class WorkerClient(Request):
    """A job in a process of its own, which ends with the job, so that all memory of the device is freed.

    Raises:
        EngineIncomplete: The Python cannot be started.
    """

    def __init__(self, python: str, job: Job) -> None:
        super().__init__(WorkerProcess(python), job)
        self._exit_time: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether the job, its process and its threads here have ended, or ending takes too long."""
        return self._exit_time is not None and (self._process.is_over or time.monotonic() > self._exit_time)

    def poll(self, patience: float = 0.0) -> bool:
        if super().poll(patience) and self._exit_time is None:
            self._exit_time = time.monotonic() + EXIT_SECONDS
            # With a result the process ends by itself; otherwise it is killed to free its memory for the next job.
            self._process.close() if self.error is None else self._process.kill()
        return self.has_ended
