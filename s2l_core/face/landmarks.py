"""Choosing the landmark back-end by its name."""

from __future__ import annotations

from ..errors import LandmarksUnavailable
from .alignment_detector import AlignmentDetector
from .detector import LandmarkDetector
from .mesh_detector import MeshDetector
from .mesh_models import bundled_models, task_models

INSTALLED = ("bundled", "face-alignment")
"""Names of the back-ends that are not a file of the user's."""


def open_detector(name: str, device: str = "cpu") -> LandmarkDetector:
    """Open the landmark back-end of a name.

    Args:
        name: ``"bundled"`` (468 points; works offline), ``"face-alignment"`` (68 points; downloads its weights), or the
            path of a MediaPipe face landmarker ``.task`` file (468 points).
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``, for ``"face-alignment"``; the others are fast enough on the CPU.

    Raises:
        LandmarksUnavailable: There is no such back-end, or something that it needs is missing.
        FileMissing: There is no such ``.task`` file.
    """
    if name == "bundled":
        return MeshDetector(bundled_models())
    if name == "face-alignment":
        return AlignmentDetector(device)
    if name.lower().endswith(".task"):
        return MeshDetector(task_models(name))
    raise LandmarksUnavailable(
        f"There is no landmark back-end {name[:200]!r}.", "Use 'bundled', 'face-alignment' or the path of a .task file."
    )
