"""Running a job, for the command line and the worker. Standard library only."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

from .errors import EngineIncomplete, InternalError, OutOfMemory, Speech2LipError
from .events import Report
from .jobs import Job
from .json_text import plain

# Unless this is set before torch is imported, OpenMP's threads spin while they wait. Next to Blender or another job,
# that made training on two cores up to eight times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# OpenBLAS's threads spin as well, and cannot be told not to. Next to one busy process, analysing four seconds of
# footage took 30 s with two of them, and 7 s with one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What PyTorch has not implemented for Apple's GPUs is computed on the CPU instead of failing.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

# OpenCV refuses larger pictures; its default limit would fill the memory. FFmpeg's limit is in media/container.py.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(8192 * 8192))

_ESTIMATED = ("check", "train", "dub", "still")


def run_job(job: Job, report: Report) -> dict[str, Any]:
    """Run a job and return its result: JSON values, without infinity and NaN.

    Raises:
        Speech2LipError: The only kind of exception that is raised, see :func:`known_errors`.
    """
    with known_errors(job.verb, report):
        begun = time.monotonic()
        verb = getattr(importlib.import_module(".", __package__), job.verb)
        with report.running():
            result: dict[str, Any] = plain(verb(job, report))
        _learn_from(job, result, time.monotonic() - begun)
        return result


@contextlib.contextmanager
def known_errors(work: str, report: Report) -> Iterator[None]:
    """Turn every exception within the context into a :class:`Speech2LipError`. The traceback of an unexpected one is
    reported as a log event.

    Args:
        work: Name of the work in messages.
        report: Receives the traceback.
    """
    try:
        yield
    except Speech2LipError:
        raise
    except ModuleNotFoundError as error:
        raise EngineIncomplete(f"The Python at {sys.executable} does not have the package {error.name!r}.") from error
    except Exception as error:
        report.log("error", traceback.format_exc())
        if _is_out_of_memory(error):
            raise OutOfMemory(f"There was not enough memory for the job {work!r}.") from error
        raise InternalError(f"An unexpected error occurred: {type(error).__name__}: {error}.") from error


def _learn_from(job: Job, result: dict[str, Any], seconds: float) -> None:
    """Correct the estimates of later jobs. The job is done, so an exception here must not make it fail."""
    if job.verb not in _ESTIMATED:
        return
    with contextlib.suppress(Exception):
        importlib.import_module(".verbs.calibrate", __package__).learn_from(job, result, seconds)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: torch raises its own subclass of RuntimeError on a GPU, and RuntimeError on the CPU."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )
