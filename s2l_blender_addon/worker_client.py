"""One job in a worker process, seen from Blender. Standard library only: nothing here touches Blender.

A process runs one job and ends, which frees all memory of the device, whatever happened. Two threads read its stdout
and stderr, so that neither pipe fills up; everything else happens in the thread that calls :meth:`WorkerClient.poll`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, Any

from ..s2l_core.errors import Cancelled, EngineIncomplete, Speech2LipError, WorkerLost
from ..s2l_core.events import Progress
from ..s2l_core.jobs import Job, to_document

CANCEL_GRACE_SECONDS = 2.0
LAST_WORDS_SECONDS = 1.0  # a program that the worker started may keep its stderr open
_JOB_ID = 1
_LOG_LINES = 200
_LIBRARY_FOLDER = Path(__file__).parent.parent
_ERRORS = {kind.code: kind for kind in Speech2LipError.__subclasses__()}


class WorkerClient:
    """A job that runs in a process of its own.

    Attributes:
        job: What it does.
        progress: The last progress that it told.
        preview_path: The last picture of its work that it told of; empty before the first.
        result: The result once the job has succeeded.
        error: The error once the job has failed or was cancelled.
        log: The last lines that the engine wrote.

    Raises:
        EngineIncomplete: The Python cannot be started.
    """

    def __init__(self, python: str, job: Job) -> None:
        self.job = job
        self.progress: Progress | None = None
        self.preview_path = ""
        self.result: dict[str, Any] | None = None
        self.error: Speech2LipError | None = None
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._kill_time: float | None = None
        try:
            self._process = subprocess.Popen(
                [python, "-m", "s2l_core.worker"],
                cwd=_LIBRARY_FOLDER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONUTF8": "1"},
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
        self._stdin = self._process.stdin
        self._log_reader = threading.Thread(target=self._read_log, args=[self._process.stderr], daemon=True)
        self._log_reader.start()
        threading.Thread(target=self._read_messages, args=[self._process.stdout], daemon=True).start()
        self._send({"id": _JOB_ID, "method": job.verb, "params": to_document(job)})

    @property
    def has_ended(self) -> bool:
        return self.result is not None or self.error is not None

    def poll(self) -> bool:
        """Take in what the worker has said since the last call; never waits.

        Returns:
            True once the job has ended.
        """
        while not self.has_ended:
            try:
                message = self._messages.get_nowait()
            except queue.Empty:
                break
            if message is None:
                self.error = self._loss()
            else:
                self._take(message)
        if not self.has_ended and self._kill_time is not None and time.monotonic() > self._kill_time:
            self.kill()
        if self.has_ended:
            self._close()
        return self.has_ended

    def cancel(self) -> None:
        """Ask the job to stop; a worker that does not answer soon is killed."""
        if self._kill_time is None:
            self._kill_time = time.monotonic() + CANCEL_GRACE_SECONDS
            self._send({"method": "cancel", "params": {"id": _JOB_ID}})

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        if not self.has_ended:
            self.error = Cancelled("The job was cancelled.")
        self._close()

    def _send(self, message: dict[str, Any]) -> None:
        # A worker that is gone cannot be written to; the end of its stdout tells so.
        with contextlib.suppress(OSError, ValueError):
            self._stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            self._stdin.flush()

    def _close(self) -> None:
        """Let the worker end: it does so at the end of its stdin."""
        with contextlib.suppress(OSError):
            self._stdin.close()

    def _read_messages(self, stdout: IO[str]) -> None:
        for line in stdout:
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                message = None
            if isinstance(message, dict):
                self._messages.put(message)
            else:
                self.log.append(line.rstrip())
        self._process.wait()
        self._log_reader.join(LAST_WORDS_SECONDS)
        self._messages.put(None)

    def _read_log(self, stderr: IO[str]) -> None:
        for line in stderr:
            self.log.append(line.rstrip())

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {
                "method": "progress",
                "params": {"phase": str(phase), "done": done, "total": total, "eta_seconds": eta, "note": str(note)},
            }:
                self.progress = Progress(phase, done, total, eta, note)
            case {"method": "preview", "params": {"path": str(path)}}:
                self.preview_path = path
            case {"method": "log", "params": {"level": level, "text": text}}:
                self.log.append(f"{level}: {text}")
            case {"result": dict(result)}:
                self.result = result
            case {"error": {"message": str(text), "data": {"code": code, "hint": str(hint)}}}:
                self.error = _ERRORS.get(code, Speech2LipError)(text, hint)

    def _loss(self) -> WorkerLost:
        last_words = next((line for line in reversed(list(self.log)) if line.strip()), "it said nothing")
        return WorkerLost(f"The worker ended before its job, with status {self._process.returncode}: {last_words}.")
