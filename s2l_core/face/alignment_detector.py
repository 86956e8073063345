"""The 68-point landmarks of the optional package face-alignment, which downloads its own weights."""

from __future__ import annotations

import socket
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
from numpy.typing import NDArray

from ..errors import LandmarksUnavailable
from .detector import Face, LandmarkDetector
from .layout import IBUG68

_REACH_SECONDS = 5.0


class AlignmentDetector(LandmarkDetector):
    """Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment problem?" (2017).

    Missing weights are downloaded once, if their host can be reached.

    Args:
        device: Device of the networks: ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Raises:
        LandmarksUnavailable: The package or its weights are missing or broken.
    """

    layout = IBUG68

    def __init__(self, device: str = "cpu") -> None:
        try:
            import face_alignment
            import torch
            from face_alignment.api import models_urls as alignment_urls
            from face_alignment.detection.sfd.sfd_detector import models_urls as detector_urls
        except ImportError as error:
            raise LandmarksUnavailable(
                f"The package face-alignment cannot be used: {error}.",
                "Install it with: python -m pip install face-alignment, or use the bundled landmarks.",
            ) from error
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        for url in (alignment_urls["2DFAN-4"], detector_urls["s3fd"]):
            _require_weights(folder / Path(urlparse(url).path).name, url)
        try:
            self._network: Any = face_alignment.FaceAlignment(
                face_alignment.LandmarksType.TWO_D, device=device, flip_input=False, compile=False
            )
        except Exception as error:  # the package lets exceptions of unpickling and downloading pass
            raise LandmarksUnavailable(
                f"The weights of face-alignment in {folder} cannot be loaded: {error}.",
                "Delete them there and try again, or use the bundled landmarks.",
            ) from error

    def detect(self, image: NDArray[np.uint8]) -> Face | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package warns about each picture without a face
            landmarks, scores, boxes = self._network.get_landmarks_from_image(
                image, return_bboxes=True, return_landmark_score=True
            )
        if not landmarks:
            return None
        corners = np.array([np.reshape(box[:4], (2, 2)) for box in boxes])
        extents = np.ptp(corners, axis=1)
        chosen: int | None = int(np.argmax(extents.prod(axis=1)))
        if self._chosen:
            chosen = self._chosen.nearest(corners.mean(axis=1), extents.max(axis=1))
        if chosen is None:
            return None
        points = np.zeros((IBUG68.count, 3), np.float32)
        points[:, :2] = landmarks[chosen] + 0.5
        if self._chosen:
            self._chosen.move_to(points)
        return Face(points, float(np.clip(np.mean(scores[chosen]), 0, 1)))

    def follow(self, points: NDArray[np.floating]) -> None:
        if self._chosen and not np.isnan(points).any():
            self._chosen.move_to(points)


def _require_weights(file: Path, url: str) -> None:
    """Raise an error if the weights are missing and cannot be downloaded: the package would wait for ever."""
    if file.is_file():
        return
    host = urlparse(url).hostname or ""
    try:
        socket.create_connection((host, 443), timeout=_REACH_SECONDS).close()
    except OSError as error:
        raise LandmarksUnavailable(
            f"The weights {file.name} of face-alignment are missing and {host} cannot be reached.",
            f"Download {url} to {file.parent}, or use the bundled landmarks.",
        ) from error
