"""Heads that the engine has handed out: mesh, poses, expression and plate. Everything in Blender's axes and metres."""

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

VERSION = 1
_LARGEST = 512 * 1024 * 1024  # bytes, packed or not; a head has a few million
_MOST_CORNERS = 1000
# The shape of every array; letters are sizes that agree wherever they stand, and text is an array of names.
_SHAPES: dict[str, tuple[str | int, ...]] = {
    "vertices": ("h", "w", 3),
    "mask": ("h", "w"),
    "confidence": ("h", "w"),
    "uv": ("h", "w", 2),
    "times": ("n",),
    "found": ("n",),
    "poses": ("n", 4, 4),
    "intrinsics": (6,),
    "curve_names": ("k",),
    "curves": ("n", "k"),
    "plate_depth": (),
    "directions": ("c", 2),
    "margin": (),
}
_DTYPES = {"mask": "b", "found": "b", "curve_names": "U"}  # the others are numbers
_WITH_GAPS = {"poses": "found", "curves": "found", "vertices": "mask", "uv": "mask", "confidence": "mask"}


@dataclass(frozen=True)
class HeadFile:
    """A head, see :func:`read`.

    Attributes:
        vertices: (h, w, 3) in the head's axes, metres; rows go down and columns to the right as seen from the front.
        mask: (h, w), which vertices belong to the head.
        confidence: (h, w), 0 to 1.
        uv: (h, w, 2) in the canonical picture, 0 to 1, v up.
        times: (n,) seconds from the start of the medium, rising.
        found: (n,), whether a face was found then.
        poses: (n, 4, 4) of the head while the footage's camera stands at the origin.
        view: The footage's camera.
        curves: Expression by name, (n,) each.
        plate_depth: Metres from the footage's camera to the background plate.
        directions: (c, 2) corners of the convex hull of the trusted directions, yaw and pitch in degrees.
        margin: Degrees around that hull which are trusted too.
        plate_path: Picture of the background; there may be none.
    """

    vertices: NDArray[Any]
    mask: NDArray[Any]
    confidence: NDArray[Any]
    uv: NDArray[Any]
    times: NDArray[Any]
    found: NDArray[Any]
    poses: NDArray[Any]
    view: CameraView
    curves: dict[str, NDArray[Any]]
    plate_depth: float
    directions: NDArray[Any]
    margin: float
    plate_path: Path


def read(path: Path) -> HeadFile:
    """The head in an ``.npz`` file; nothing in the file is trusted.

    Raises:
        FileMissing: There is no such file.
        HeadFileBroken: It is cut short, or is no head.
        HeadFileNewer: It was written by a later version.
    """
    arrays = _load(path)
    version = arrays.get("version")
    if version is None or version.shape or version.dtype.kind not in "iu":
        raise HeadFileBroken(f"{path} is no head of Speech2Lip.")
    if version > VERSION:
        raise HeadFileNewer(f"{path} was written by a newer version of Speech2Lip.")
    if fault := _fault(arrays):
        raise HeadFileBroken(f"{path} is broken: {fault}.")
    try:
        fx, fy, cx, cy, width, height = map(float, arrays["intrinsics"])
        view = CameraView(fx, fy, cx, cy, int(width), int(height))
    except BadJob as error:
        raise HeadFileBroken(f"{path} is broken: {error.message}") from error
    names = map(str, arrays["curve_names"])
    own = ("vertices", "mask", "confidence", "uv", "times", "found", "poses", "directions")
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
        raise FileMissing(f"The head {path} is missing.", "Create the head again.") from error
    except Exception as error:  # NumPy reads headers as Python text, whose faults have no class in common
        raise HeadFileBroken(f"{path} cannot be read: it is cut short or no head.") from error


def _refuse_bombs(archive: zipfile.ZipFile) -> None:
    """Raise ValueError where unpacking would take more memory than a head: arrays are made before they are read."""
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
    """What is wrong with the arrays of a head; empty where nothing is."""
    sizes: dict[str, int] = {}
    for name, shape in _SHAPES.items():
        if name not in arrays:
            return f"it lacks {name}"
        array = arrays[name]
        if array.dtype.kind not in _DTYPES.get(name, "fiu"):
            return f"{name} holds {array.dtype}"
        if array.ndim != len(shape):
            return f"{name} has the shape {array.shape}"
        for side, length in zip(shape, array.shape, strict=True):
            if length != (sizes.setdefault(side, length) if isinstance(side, str) else side):
                return f"{name} has the shape {array.shape}"
    if not (arrays["found"].any() and arrays["mask"].any()):
        return "it shows no head"
    if not 1 <= sizes["c"] <= _MOST_CORNERS:
        return f"directions has the shape {arrays['directions'].shape}"
    for name in _SHAPES:
        gaps = _WITH_GAPS.get(name)
        values = arrays[name][arrays[gaps]] if gaps else arrays[name]
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return f"{name} holds values that are no numbers"
    return "" if np.all(np.diff(arrays["times"]) > 0) else "its times do not rise"
