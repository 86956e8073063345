"""The one door through which the command line and the worker run a job. Standard library only."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
import traceback
from typing import Any

from .errors import EngineIncomplete, InternalError, OutOfMemory, Speech2LipError
from .events import Report
from .jobs import Job
from .json_text import plain

# OpenMP's threads spin while they wait, unless this is set before torch is imported. Beside Blender or another job
# that made training on two cores up to eight times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# So do those of OpenBLAS, and nothing tells them not to. Beside one busy process, four seconds of footage were prepared
# in 30 s with two of them, and in 7 s with one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# OpenCV refuses larger pictures; its own limit would fill the memory. FFmpeg has that of media/container.py.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(8192 * 8192))

_ESTIMATED = ("check", "train", "dub")


def run_job(job: Job, report: Report) -> dict[str, Any]:
    """Do the work of a job and return its result, which holds JSON values only: no number that is not finite.

    Raises:
        Speech2LipError: The only kind of exception that leaves here. The traceback of an unexpected one is reported
            as a log event.
    """
    try:
        begun = time.monotonic()
        verb = getattr(importlib.import_module(".", __package__), job.verb)
        with report.running():
            result: dict[str, Any] = plain(verb(job, report))
        _learn_from(job, result, time.monotonic() - begun)
        return result
    except Speech2LipError:
        raise
    except ModuleNotFoundError as error:
        raise EngineIncomplete(f"The Python at {sys.executable} does not have the package {error.name!r}.") from error
    except Exception as error:
        report.log("error", traceback.format_exc())
        if _is_out_of_memory(error):
            raise OutOfMemory(f"There was not enough memory for the job {job.verb!r}.") from error
        raise InternalError(f"An unexpected error occurred: {type(error).__name__}: {error}.") from error


def _learn_from(job: Job, result: dict[str, Any], seconds: float) -> None:
    """Make the estimates of later jobs better. The job is done, so that nothing here may fail it."""
    if job.verb not in _ESTIMATED:
        return
    with contextlib.suppress(Exception):
        importlib.import_module(".verbs.calibrate", __package__).learn_from(job, result, seconds)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: torch raises a RuntimeError of its own kind on a GPU and a plain one on the CPU."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )
