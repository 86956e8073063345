"""The worker process that renders the engine's pictures and does other jobs of seconds, and stays warm between them.

What the process keeps saves time only: a picture depends on its job alone. Nothing here touches Blender, since a thread
lets the process go once it has been idle.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...s2l_core.errors import InternalError, WorkerLost
from ...s2l_core.events import Progress
from ...s2l_core.jobs import Job, RenderJob
from ..head import trust
from .worker_client import Request, WorkerProcess

IDLE_SECONDS = 300.0
ATTEMPTS = 2
_POLL_SECONDS = 0.05
_PLANES = 6


class Picture(NamedTuple):
    """What a render came to, float32, bottom row first as in Blender.

    Attributes:
        combined: (height, width, 4), scene-linear red, green and blue, premultiplied by alpha.
        depth: (height, width), metres along the view; 1e10 where there is nothing.
        mask: (height, width), 1 where the head is and 0 where it is not.
        degrees_outside: By how much the head is turned out of what the footage shows.
        without_face: Whether the frame on screen has no face.
    """

    combined: NDArray[np.float32]
    depth: NDArray[np.float32]
    mask: NDArray[np.float32]
    degrees_outside: float
    without_face: bool

    @property
    def doubt(self) -> str:
        """Why the picture cannot be trusted, in a line; empty where it can."""
        if self.without_face:
            return "There is no face in the footage"
        if self.degrees_outside >= trust.LEAST_DEGREES:
            return f"The head is turned {self.degrees_outside:.0f}° outside of what the footage shows"
        return ""


class RenderSession:
    """A process that starts with the first picture and ends when it has been idle for a while.

    Args:
        python: The Python to run the engine with.
    """

    def __init__(self, python: str) -> None:
        self.python = python
        self._folder = tempfile.TemporaryDirectory(prefix="s2l_render_", ignore_cleanup_errors=True)
        self._numbers = itertools.count(1)
        self._process: WorkerProcess | None = None
        self._idling: threading.Timer | None = None

    def render(self, job: RenderJob, is_cancelled: Callable[[], bool], tell: Callable[[Progress], None]) -> Picture:
        """Render one picture, once more where the worker was lost.

        Args:
            job: What to render; its output path is not used.
            is_cancelled: Asked several times a second.
            tell: Told of progress.

        Raises:
            Cancelled: As it was asked to be.
            Speech2LipError: The picture could not be rendered.
        """
        for _ in range(ATTEMPTS):
            request, told = self.start(job), None
            while not request.poll(_POLL_SECONDS):
                if is_cancelled():
                    request.cancel()
                if request.progress is not None and request.progress != told:
                    tell(request.progress)
                    told = request.progress
            if not isinstance(request.error, WorkerLost):
                break
        return read(request)

    def start(self, job: RenderJob) -> Request:
        """Begin a picture, to be :func:`read` once the request has ended.

        Args:
            job: What to render; its output path is not used.

        Raises:
            EngineIncomplete: The Python cannot be started.
        """
        path = Path(self._folder.name, f"{next(self._numbers)}.npy")
        return self.ask(dataclasses.replace(job, output_path=str(path)))

    def ask(self, job: Job) -> Request:
        """Begin any job that is done in seconds where the process is warm.

        Raises:
            EngineIncomplete: The Python cannot be started.
        """
        if self._process is None or not self._process.is_open:
            self._process = WorkerProcess(self.python)
        self._wait_for_idleness()
        return Request(self._process, job)

    @property
    def is_warm(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.is_open

    def end(self) -> None:
        """End the process at once, and remove its files."""
        if self._idling is not None:
            self._idling.cancel()
        if self._process is not None:
            self._process.kill()
        self._folder.cleanup()

    def _wait_for_idleness(self) -> None:
        if self._idling is not None:
            self._idling.cancel()
        self._idling = threading.Timer(IDLE_SECONDS, self._let_go)
        self._idling.daemon = True
        self._idling.start()

    def _let_go(self) -> None:
        assert self._process is not None
        if self._process.is_busy:
            self._wait_for_idleness()
        else:
            self._process.close()


def read(request: Request) -> Picture:
    """What the request of a :class:`RenderJob` came to; its file is removed.

    Raises:
        Speech2LipError: The job failed, or left no such picture.
    """
    global _doubt
    if request.error is not None:
        raise request.error
    assert isinstance(request.job, RenderJob)
    assert request.result is not None
    path, camera = Path(request.job.output_path), request.job.camera
    try:
        planes = np.lib.format.open_memmap(path, mode="r")
        if planes.shape != (_PLANES, camera.height, camera.width) or planes.dtype != np.float32:
            raise ValueError(f"it holds {planes.dtype} {planes.shape}")
        upwards = planes[:, ::-1]
        combined, depth, mask = map(np.array, (np.moveaxis(upwards[:4], 0, -1), upwards[4], upwards[5]))
        del planes, upwards  # Windows removes no file that is mapped
    except Exception as error:  # NumPy reads headers as Python text, whose faults have no class in common
        raise InternalError(f"The picture that the worker rendered cannot be read: {error}.") from error
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
    picture = Picture(
        combined, depth, mask, request.result.get("degrees_outside", 0.0), request.result.get("without_face", False)
    )
    _doubt = picture.doubt
    return picture


def doubt() -> str:
    """Why the last picture of all cannot be trusted, in a line; empty where it can."""
    return _doubt


_doubt = ""
_current: RenderSession | None = None


def current(python: str) -> RenderSession:
    """The session of this Blender, with that Python."""
    global _current
    if _current is None or _current.python != python:
        end()
        _current = RenderSession(python)
    return _current


def warm(python: str) -> RenderSession | None:
    """The session of this Blender where its process runs already."""
    return _current if _current is not None and _current.python == python and _current.is_warm else None


def end() -> None:
    """End the session of this Blender, if there is one."""
    global _current, _doubt
    _doubt = ""
    if _current is not None:
        _current.end()
        _current = None
