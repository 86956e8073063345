"""Camera paths: reads the JSON that nerfstudio's viewer writes, and interpolates the camera at any moment.

::

    {"render_width": 512, "render_height": 512, "fps": 25, "seconds": 8,
     "camera_path": [{"camera_to_world": [16 numbers, row by row], "fov": 25, "aspect": 1}, ...]}

The world is the footage's: its camera stands at the origin with an identity matrix and looks along -z, x is right, y is
up (OpenGL's axes), and the unit is the metre. ``fov`` is the vertical field of view in degrees. Camera k is the view at
k / fps seconds, and the path ends after ``seconds``; if one of the two is missing, it follows from the number of
cameras. ``aspect`` is ignored, since pixels are square and the size is given.

Some fields are added to nerfstudio's, beside ``camera_to_world``:

- ``head_to_world`` places the head, which otherwise stays where the footage has it. A head with an identity rotation
  looks along +z, towards a camera that has one too.
- ``cx`` and ``cy`` are the principal point in pixels from the left and the top edge, which otherwise is the middle.
- ``footage_seconds`` is the second of the medium that is shown. Then each camera is one frame of a movie with the
  path's ``fps``, as an animation has them, instead of a key that is interpolated.

A field that one camera has must be there for all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from .. import json_text, regular_files
from ..errors import BadJob, CameraPathUnreadable, FileMissing
from ..geometry.axes import poses_from_blender
from ..geometry.camera import Array, Intrinsics, invert_pose
from ..jobs import CameraView, is_rigid

_LARGEST_FILE = 64_000_000
_MOST_CAMERAS = 100_000
_SECONDS = (1e-3, 36_000.0)
_RATES, _MOVIE_RATES = (1e-3, 1000.0), (1.0, 1000.0)
_FIELDS_OF_VIEW = (0.01, 179.9)
_PLACES = (-1e6, 1e6)
_MOMENTS = (0.0, 1e7)


@dataclass(frozen=True)
class CameraPath:
    """A camera that moves.

    Attributes:
        width: Pixels of the pictures.
        height: Pixels of the pictures.
        times: (K,) seconds of the key frames, increasing from 0.
        cameras: (K, 4, 4) world_from_camera in OpenCV's axes and millimetres; the world's origin is the footage's
            camera.
        fields_of_view: (K,) vertical fields of view in degrees.
        centres: (K, 2) principal points in pixels from the left and the top edge.
        heads: (K, 4, 4) world_from_head in the same axes, or None if the head keeps its tracked pose.
        shown: (K,) seconds of the medium that the frames show, or None if the footage plays on from its start.
        rate: Key frames per second; of a path with ``shown``, frames per second of the movie.
        seconds: Length of the path.
    """

    width: int
    height: int
    times: Array
    cameras: Array
    fields_of_view: Array
    centres: Array
    heads: Array | None
    shown: Array | None
    rate: Fraction
    seconds: float

    def frames(self, seconds: float, rate: Fraction) -> tuple[int, Fraction]:
        """Number of frames of the movie, and their rate, for footage with a length and a frame rate."""
        if self.shown is not None:
            return len(self.times), self.rate
        return max(1, round(min(self.seconds, seconds) * rate)), rate

    def camera_at(self, moment: float) -> Intrinsics:
        """The camera at a moment in seconds. Beyond the ends of the path it is the first or the last camera."""
        degrees = float(np.interp(moment, self.times, self.fields_of_view))
        focal = self.height / (2 * math.tan(math.radians(degrees) / 2))
        across, down = (float(np.interp(moment, self.times, places)) for places in self.centres.T)
        return Intrinsics(focal, focal, across, down, self.width, self.height)

    def camera_from_world_at(self, moment: float) -> Array:
        """camera_from_world (4, 4) at a moment in seconds."""
        return invert_pose(_between(self.times, self.cameras, moment))

    def world_from_head_at(self, moment: float, tracked: Array) -> Array:
        """world_from_head (4, 4) at a moment in seconds; ``tracked`` if the path does not move the head."""
        return tracked if self.heads is None else _between(self.times, self.heads, moment)


def read_camera_path(path: str) -> CameraPath:
    """Read a camera path. Nothing in the file is trusted.

    Raises:
        FileMissing: There is no such file.
        CameraPathUnreadable: The file is not a camera path, or a field is missing or invalid.
    """
    if not regular_files.is_file(path):
        raise FileMissing(f"There is no file {path}.")
    try:
        if Path(path).stat().st_size > _LARGEST_FILE:
            raise CameraPathUnreadable(f"{path} is too large to be a camera path.")
        document = json_text.read(path, _LARGEST_FILE)
    except OSError as error:
        raise FileMissing(f"{path} cannot be read: {error.strerror}.", "Check the permissions of the file.") from error
    except ValueError:
        raise CameraPathUnreadable(f"{path} is not valid JSON.") from None
    try:
        return parse_camera_path(document)
    except CameraPathUnreadable as error:
        raise CameraPathUnreadable(f"{path} is not a valid camera path: {error.message}") from None


def parse_camera_path(document: Any) -> CameraPath:
    """The camera path that a JSON document describes.

    Raises:
        CameraPathUnreadable: A field is missing or invalid; the message names it, and the camera.
    """
    if not isinstance(document, dict):
        raise CameraPathUnreadable("It must be a JSON object.")
    entries = document.get("camera_path")
    if not isinstance(entries, list) or not 1 <= len(entries) <= _MOST_CAMERAS:
        raise CameraPathUnreadable(f"camera_path must be a list of 1 to {_MOST_CAMERAS} cameras.")
    if not all(isinstance(entry, dict) for entry in entries):
        raise CameraPathUnreadable("Each camera must be a JSON object.")
    width, height = _size(document)
    across, down = (
        _numbers(entries, name, _PLACES) if _have_all(entries, name) else np.full(len(entries), side / 2)
        for name, side in (("cx", width), ("cy", height))
    )
    times, rate, seconds = _times(document, len(entries))
    return CameraPath(
        width=width,
        height=height,
        times=times,
        cameras=_matrices(entries, "camera_to_world"),
        fields_of_view=_numbers(entries, "fov", _FIELDS_OF_VIEW),
        centres=np.stack([across, down], axis=1),
        heads=_matrices(entries, "head_to_world") if _have_all(entries, "head_to_world") else None,
        shown=_shown(document, entries),
        rate=rate,
        seconds=seconds,
    )


def _have_all(entries: list[dict[str, Any]], name: str) -> bool:
    """Whether all cameras have a field that is optional; False if none has it."""
    there = [name in entry for entry in entries]
    if any(there) and not all(there):
        raise CameraPathUnreadable(f"Camera {there.index(False)} has no {name}, but other cameras have one.")
    return all(there)


def _shown(document: dict[str, Any], entries: list[dict[str, Any]]) -> Array | None:
    """Seconds of the medium that the cameras show."""
    if not _have_all(entries, "footage_seconds"):
        return None
    _number(document, "fps", _MOVIE_RATES)
    return _numbers(entries, "footage_seconds", _MOMENTS)


def _size(document: dict[str, Any]) -> tuple[int, int]:
    """Width and height, within the limits of a job."""
    width, height = (document.get(name) for name in ("render_width", "render_height"))
    if type(width) is not int or type(height) is not int:
        raise CameraPathUnreadable("render_width and render_height must be whole numbers.")
    try:
        CameraView(1.0, 1.0, 0.0, 0.0, width, height)
    except BadJob as error:
        raise CameraPathUnreadable(error.message, error.hint) from None
    return width, height


def _times(document: dict[str, Any], count: int) -> tuple[Array, Fraction, float]:
    """Seconds of the key frames, their rate, and length of the path."""
    if "fps" not in document and "seconds" not in document:
        raise CameraPathUnreadable("It needs fps, seconds or both.")
    seconds = _number(document, "seconds", _SECONDS) if "seconds" in document else None
    rate = _number(document, "fps", _RATES) if "fps" in document else count / (seconds or 1.0)
    if (length := seconds or count / rate) > _SECONDS[1]:
        raise CameraPathUnreadable(f"It lasts {length:g} s; the limit is {_SECONDS[1]:g} s.")
    return np.arange(count) / rate, Fraction(rate).limit_denominator(1001), length


def _number(fields: dict[str, Any], name: str, bounds: tuple[float, float], where: str = "") -> float:
    value, (least, largest) = fields.get(name), bounds
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= largest:
        raise CameraPathUnreadable(f"{where}{name} must be a number between {least:g} and {largest:g}.")
    return float(value)


def _numbers(entries: list[dict[str, Any]], name: str, bounds: tuple[float, float]) -> Array:
    """The numbers (K,) in a field of all cameras."""
    return np.array([_number(entry, name, bounds, f"Camera {place}: ") for place, entry in enumerate(entries)])


def _matrices(entries: list[dict[str, Any]], name: str) -> Array:
    """The matrices (K, 4, 4) in a field of all cameras, in the library's axes."""
    for place, entry in enumerate(entries):
        values = entry.get(name)
        if not isinstance(values, list) or not all(value is None or type(value) in (int, float) for value in values):
            raise CameraPathUnreadable(f"Camera {place} must have {name}, a list of 16 numbers.")
        try:
            rigid = is_rigid(tuple(map(float, values)))
        except (OverflowError, TypeError):  # JSON numbers that are not finite are read as None
            rigid = False
        if not rigid:
            raise CameraPathUnreadable(f"{name} of camera {place} is not a rigid 4 x 4 matrix, row by row.")
    return poses_from_blender(np.array([entry[name] for entry in entries], np.float64).reshape(-1, 4, 4))


def _between(times: Array, poses: Array, moment: float) -> Array:
    """Interpolates poses (K, 4, 4): rotations by slerp, positions linearly."""
    after = int(np.clip(np.searchsorted(times, moment), 1, len(times) - 1)) if len(times) > 1 else 0
    before = max(after - 1, 0)
    if before == after:
        return poses[0]
    share = float(np.clip((moment - times[before]) / (times[after] - times[before]), 0.0, 1.0))
    ends = poses[[before, after]]
    pose = np.eye(4)
    pose[:3, :3] = Slerp([0.0, 1.0], Rotation.from_matrix(ends[:, :3, :3]))(share).as_matrix()
    pose[:3, 3] = (1 - share) * ends[0, :3, 3] + share * ends[1, :3, 3]
    return pose
