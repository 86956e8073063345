"""The worker process that does jobs of seconds, such as the pictures of the render engine, and stays warm between them.

Nothing here touches Blender, since a thread ends the process when it has been idle.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
from pathlib import Path

from ...s2l_core.jobs import Job
from .. import signing_key
from .worker_client import Request, WorkerProcess

IDLE_SECONDS = 300.0


class WarmWorker:
    """A worker process that starts with its first job, and ends when it has been idle for ``IDLE_SECONDS``.

    Args:
        python: The Python that runs the engine.
    """

    def __init__(self, python: str) -> None:
        self.python = python
        self.key = signing_key.variables()
        self._folder = tempfile.TemporaryDirectory(prefix="s2l_warm_", ignore_cleanup_errors=True)
        self._numbers = itertools.count(1)
        self._process: WorkerProcess | None = None
        self._idle_timer: threading.Timer | None = None

    def ask(self, job: Job) -> Request:
        """Begin a job.

        Raises:
            EngineIncomplete: The Python cannot be started.
        """
        if self._process is None or not self._process.is_open:
            self._process = WorkerProcess(self.python)
        self._restart_idle_timer()
        return Request(self._process, job)

    def temporary_path(self, suffix: str) -> str:
        """A new path for the output of a job, in a folder that is removed with the worker."""
        return str(Path(self._folder.name, f"{next(self._numbers)}{suffix}"))

    @property
    def is_warm(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.is_open

    def end(self) -> None:
        """End the process at once, and remove its files."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._process is not None:
            self._process.kill()
        self._folder.cleanup()

    def _restart_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._idle_timer = threading.Timer(IDLE_SECONDS, self._close_if_idle)
        self._idle_timer.daemon = True
        self._idle_timer.start()

    def _close_if_idle(self) -> None:
        assert self._process is not None
        if self._process.is_busy:
            self._restart_idle_timer()
        else:
            self._process.close()


_current: WarmWorker | None = None


def current(python: str) -> WarmWorker:
    """The warm worker of this Blender; it is replaced if it runs another Python, or signs with another key."""
    global _current
    if _current is None or _current.python != python or _current.key != signing_key.variables():
        end()
        _current = WarmWorker(python)
    return _current


def warm(python: str) -> WarmWorker | None:
    """The warm worker of this Blender; None if its process is not running."""
    return _current if _current is not None and _current.python == python and _current.is_warm else None


def end() -> None:
    """End the warm worker of this Blender, if there is one."""
    global _current
    if _current is not None:
        _current.end()
        _current = None
