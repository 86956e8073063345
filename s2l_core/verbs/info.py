"""The verb ``info``: versions, devices and landmark back-ends of the engine."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import sys

import torch

from ..device import choose_device, device_names
from ..errors import LandmarksUnavailable
from ..events import Report
from ..face.landmarks import open_detector
from ..jobs import SCHEMA_VERSION, InfoJob
from ..results import InfoResult
from ..version import VERSION


def info(job: InfoJob, report: Report | None = None) -> InfoResult:
    """List versions, devices and landmark back-ends of the engine.

    Raises:
        DeviceUnavailable: The device that the job names is not available.
    """
    return {
        "version": VERSION,
        "schema": SCHEMA_VERSION,
        "python": platform.python_version(),
        "executable": sys.executable,
        "torch": torch.__version__,
        "platform": platform.platform(),
        "devices": device_names(),
        "device": choose_device(job.device).type,
        "landmarks": _landmark_back_ends(),
    }


def _landmark_back_ends() -> list[str]:
    names = []
    with contextlib.suppress(LandmarksUnavailable):
        open_detector("bundled")
        names.append("bundled")
    if importlib.util.find_spec("face_alignment"):  # opening it could download its weights
        names.append("face-alignment")
    return names
