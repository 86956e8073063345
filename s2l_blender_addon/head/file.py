"""Head files written by the engine: mesh, poses, expression and plate, in Blender's axes and metres."""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...s2l_core import regular_files
from ...s2l_core.errors import BadJob, FileMissing, HeadFileBroken, HeadFileNewer
from ...s2l_core.jobs import CameraView

VERSION = 2
_LARGEST = 512 * 1024 * 1024  # bytes, compressed and uncompressed; a head takes a few million
_MOST_CORNERS = 1000
# The shape of every array: equal letters stand for equal sizes.
_SHAPES: dict[str, tuple[str | int, ...]] = {
    "vertices": ("h", "w", 3),
    "back": ("h", "w", 3),
    "mask": ("h", "w"),
    "confidence": ("h", "w"),
    "uv": ("h", "w", 2),
    "times": ("n",),
    "found": ("n",),
    "poses": ("n", 4, 4),
    "intrinsics": (6,),
    "curve_names": ("k",),
    "curves": ("n", "k"),
    "torso_vertices": ("a", "b", 3),
    "torso_mask": ("a", "b"),
    "plate_depth": (),
    "directions": ("c", 2),
    "margin": (),
}
_DTYPES = {"mask": "b", "found": "b", "torso_mask": "b", "curve_names": "U"}  # all others are numeric
_WITH_GAPS = {
    **dict.fromkeys(("poses", "curves"), "found"),
    **dict.fromkeys(("vertices", "back", "uv", "confidence"), "mask"),
    "torso_vertices": "torso_mask",
}


@dataclass(frozen=True)
class HeadFile:
    """The content of a head file.

    Attributes:
        vertices: (h, w, 3) in the head's axes, metres; rows go down and columns to the right as seen from the front.
        back: (h, w, 3) likewise, on the back of the head; the border is that of ``vertices``.
        mask: (h, w), True for vertices of the head.
        confidence: (h, w), 0 to 1.
        uv: (h, w, 2) in the canonical picture, 0 to 1, v up.
        times: (n,) seconds from the start of the medium, rising.
        found: (n,), True for times at which a face was found.
        poses: (n, 4, 4) world matrices of the head, with the footage's camera at the origin.
        view: The footage's camera.
        curves: Expression curves by name, (n,) each.
        torso_vertices: (a, b, 3) neck and shoulders in the axes of the footage's camera, metres.
        torso_mask: (a, b), True for vertices of neck and shoulders.
        plate_depth: Metres from the footage's camera to the background plate.
        directions: (c, 2) corners of the convex hull of the trusted directions, yaw and pitch in degrees.
        margin: Margin around that hull that is trusted too, in degrees.
        plate_path: Picture of the background; the file may not exist.
    """

    vertices: NDArray[Any]
    back: NDArray[Any]
    mask: NDArray[Any]
    confidence: NDArray[Any]
    uv: NDArray[Any]
    times: NDArray[Any]
    found: NDArray[Any]
    poses: NDArray[Any]
    view: CameraView
    curves: dict[str, NDArray[Any]]
    torso_vertices: NDArray[Any]
    torso_mask: NDArray[Any]
    plate_depth: float
    directions: NDArray[Any]
    margin: float
    plate_path: Path


def read(path: Path) -> HeadFile:
    """Read an ``.npz`` file; its content is not trusted.

    Raises:
        FileMissing: There is no such file.
        HeadFileBroken: It is truncated, damaged, or not a head file.
        HeadFileNewer: It was written by a later version.
    """
    arrays = _load(path)
    version = arrays.get("version")
    if version is None or version.shape or version.dtype.kind not in "iu":
        raise HeadFileBroken(f"{path} is not a head file of Speech2Lip.")
    if version > VERSION:
        raise HeadFileNewer(f"{path} was written by a newer version of Speech2Lip.")
    if version < VERSION:
        raise HeadFileBroken(f"{path} was written by an older version of Speech2Lip.", "Create the head again.")
    if fault := _fault(arrays):
        raise HeadFileBroken(f"{path} is damaged: {fault}.")
    try:
        fx, fy, cx, cy, width, height = map(float, arrays["intrinsics"])
        view = CameraView(fx, fy, cx, cy, int(width), int(height))
    except BadJob as error:
        raise HeadFileBroken(f"{path} is damaged: {error.message}") from error
    names = map(str, arrays["curve_names"])
    of_head = ("vertices", "back", "mask", "confidence", "uv", "torso_vertices", "torso_mask")
    own = (*of_head, "times", "found", "poses", "directions")
    return HeadFile(
        **{name: arrays[name] for name in own},
        view=view,
        curves=dict(zip(names, arrays["curves"].T, strict=True)),
        plate_depth=float(arrays["plate_depth"]),
        margin=float(arrays["margin"]),
        plate_path=path.with_name(f"{path.stem}_plate.png"),
    )


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        content = io.BytesIO(regular_files.read(path, _LARGEST))
        with zipfile.ZipFile(content) as archive:
            _refuse_bombs(archive)
        content.seek(0)
        with np.load(content, allow_pickle=False) as file:
            return {name: file[name] for name in ("version", *_SHAPES) if name in file}
    except FileNotFoundError as error:
        raise FileMissing(f"The head file {path} is missing.", "Create the head again.") from error
    except Exception as error:  # NumPy evaluates headers, and their faults raise exceptions of many classes
        raise HeadFileBroken(f"{path} cannot be read: it is truncated or not a head file.") from error


def _refuse_bombs(archive: zipfile.ZipFile) -> None:
    """Raise ValueError if unpacking would take more memory than a head: NumPy allocates arrays before it reads them."""
    if sum(member.file_size for member in archive.infolist()) > _LARGEST:
        raise ValueError
    for member in archive.infolist():
        with archive.open(member) as file:
            major = np.lib.format.read_magic(file)[0]
            read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
            shape, _, dtype = read_header(file)
            if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
                raise ValueError


def _fault(arrays: dict[str, NDArray[Any]]) -> str:
    """What is wrong with the arrays of a head; empty if they are valid."""
    sizes: dict[str, int] = {}
    for name, shape in _SHAPES.items():
        if name not in arrays:
            return f"{name} is missing"
        array = arrays[name]
        if array.dtype.kind not in _DTYPES.get(name, "fiu"):
            return f"{name} contains {array.dtype}"
        if array.ndim != len(shape):
            return f"{name} has the shape {array.shape}"
        for side, length in zip(shape, array.shape, strict=True):
            if length != (sizes.setdefault(side, length) if isinstance(side, str) else side):
                return f"{name} has the shape {array.shape}"
    if not (arrays["found"].any() and arrays["mask"].any()):
        return "it contains no head"
    if not 1 <= sizes["c"] <= _MOST_CORNERS:
        return f"directions has the shape {arrays['directions'].shape}"
    for name in _SHAPES:
        gaps = _WITH_GAPS.get(name)
        values = arrays[name][arrays[gaps]] if gaps else arrays[name]
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return f"{name} contains values that are not finite"
    return "" if np.all(np.diff(arrays["times"]) > 0) else "its times do not increase"
