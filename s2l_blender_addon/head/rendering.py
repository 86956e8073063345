"""Pictures of heads, rendered by the warm worker.

A picture depends on its job alone: what the worker keeps between two jobs saves time only.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...s2l_core.errors import InternalError, WorkerLost
from ...s2l_core.events import Progress
from ...s2l_core.jobs import RenderJob
from ..engine.warm_worker import WarmWorker
from ..engine.worker_client import Request
from . import trust

ATTEMPTS = 2
_POLL_SECONDS = 0.05
_PLANES = 6

_warning = ""


class Picture(NamedTuple):
    """A rendered picture: float32, bottom row first as in Blender.

    Attributes:
        combined: (height, width, 4), scene-linear red, green and blue, premultiplied by alpha.
        depth: (height, width), metres along the camera's axis; 1e10 in the background.
        mask: (height, width), 1 on the head and 0 elsewhere.
        degrees_outside: How far the head is turned outside of the range that the footage shows, in degrees.
        without_face: Whether the frame of the footage has no face.
    """

    combined: NDArray[np.float32]
    depth: NDArray[np.float32]
    mask: NDArray[np.float32]
    degrees_outside: float
    without_face: bool

    @property
    def warning(self) -> str:
        """Why the picture cannot be trusted, in a line; empty if it can."""
        if self.without_face:
            return "There is no face in the footage"
        if self.degrees_outside >= trust.LEAST_DEGREES:
            return f"The head is turned {self.degrees_outside:.0f}° outside of what the footage shows"
        return ""


def render(
    worker: WarmWorker, job: RenderJob, is_cancelled: Callable[[], bool], report: Callable[[Progress], None]
) -> Picture:
    """Render one picture and wait for it. The job is sent a second time if the worker process is lost.

    Args:
        worker: The worker to send the job to.
        job: The picture; its output path is not used.
        is_cancelled: Called several times a second; True cancels the job.
        report: Called with every change of the progress.

    Raises:
        Cancelled: ``is_cancelled`` returned True.
        Speech2LipError: The picture could not be rendered.
    """
    for _ in range(ATTEMPTS):
        request, reported = start(worker, job), None
        while not request.poll(_POLL_SECONDS):
            if is_cancelled():
                request.cancel()
            if request.progress is not None and request.progress != reported:
                report(request.progress)
                reported = request.progress
        if not isinstance(request.error, WorkerLost):
            break
    return read(request)


def start(worker: WarmWorker, job: RenderJob) -> Request:
    """Begin to render a picture; :func:`read` returns it when the request has ended.

    Args:
        worker: The worker to send the job to.
        job: The picture; its output path is not used.

    Raises:
        EngineIncomplete: The worker Python cannot be started.
    """
    return worker.ask(dataclasses.replace(job, output_path=worker.temporary_path(".npy")))


def read(request: Request) -> Picture:
    """The picture of a request whose :class:`RenderJob` has ended; its file is removed.

    Raises:
        Speech2LipError: The job failed, or its file does not hold a picture of that size.
    """
    global _warning
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
        del planes, upwards  # Windows cannot remove a file that is mapped
    except Exception as error:  # NumPy evaluates headers, and their faults raise exceptions of many classes
        raise InternalError(f"The picture that the worker rendered cannot be read: {error}.") from error
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
    picture = Picture(
        combined, depth, mask, request.result.get("degrees_outside", 0.0), request.result.get("without_face", False)
    )
    _warning = picture.warning
    return picture


def last_warning() -> str:
    """Why the last picture cannot be trusted, in a line; empty if it can, or none was rendered in this file."""
    return _warning


def forget() -> None:
    """Forget the last picture: another file is opened."""
    global _warning
    _warning = ""
