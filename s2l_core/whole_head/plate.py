"""The background plate: a picture of what is behind a person, from the frames in which the person uncovers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter1d

from ..cache import NO_CACHE, Cache, Tensors
from ..canonical.view import CanonicalHead
from ..events import Report, checkpoint
from ..face.matte import Matting
from ..footage import Footage
from ..geometry.camera import Array, Intrinsics, invert_pose
from ..geometry.splatting import in_bands
from ..subsampling import evenly_spaced
from .cutting import disc, head_size, matte_of
from .torso import Torso, make_torso

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]

_FRAMES = 48
_MEMORY = 400_000_000
"""Largest memory for the frames in bytes."""
_LEAST_SEEN = 3
"""Least number of frames that must show a pixel for its median to count."""
_ROWS = 64
_BEHIND_FACE = 30.0
"""Millimetres from the middle of the head's surface to the plate. The plate lies about at the neck, so that neck and
shoulders, which are part of it, stay with the head when the camera moves.
"""
_CARRIED_ON = 0.4
"""Distance over which the border of the known part fades into the unknown one, relative to half the width of the
latter.
"""
_AROUND = 0.06
"""Margin around the matte, relative to the head's size, that may show the person too."""
_TRACE = 5
"""Matte, from 0 to 255, above which a pixel may show the person."""
_BLUR, _CHANGED, _STILL = 9, 25, 0.05
"""Side in pixels of the mean in which a difference of so many levels is a change, and share of changed pixels below
which the background is still.
"""
_HIDDEN = 256
"""Value that sorts behind every colour."""
_ROUNDING = 0.01
"""Pixels by which a view may reach beyond the borders of a picture because of rounding."""


@dataclass(frozen=True)
class Plate:
    """A picture on a plane behind the head, parallel to the image plane of the footage's camera, that fills its view.

    Attributes:
        picture: uint8 (H, W, 3) RGB, of the footage's size.
        known: bool (H, W), pixels that the person uncovered; the others are filled smoothly.
        depth_mm: Distance from the footage's camera in millimetres.
        is_still: Whether the frames show the same background throughout the clip, apart from their light.
    """

    picture: Picture
    known: Mask
    depth_mm: float
    is_still: bool


def make_surroundings(
    footage: Footage, head: CanonicalHead, matting: Matting, report: Report | None = None, cache: Cache = NO_CACHE
) -> tuple[Plate, Torso]:
    """Compute the plate, which is the median of the background over evenly spaced frames, and the typical shape of the
    person below the head.

    Args:
        footage: The clip, with a tracked head.
        head: Head of that speaker.
        matting: Cuts out the person.
        report: Receives the phase ``"Compute background"``.
        cache: Cache of what the frames show.
    """
    seen = cache.get_or_compute("surroundings", lambda: _see_surroundings(footage, matting, report or Report()))
    picture, known = seen["picture"].numpy(), seen["known"].numpy()
    plate = Plate(picture, known, _depth(footage, head), bool(seen["is_still"]))
    return plate, make_torso(seen["person"].numpy(), footage)


def _see_surroundings(footage: Footage, matting: Matting, report: Report) -> Tensors:
    """Picture and known pixels of the plate, whether it is still, and the typical matte of the person."""
    camera, found = footage.track.intrinsics, np.flatnonzero(footage.track.found)
    count = int(np.clip(_MEMORY // (5 * camera.width * camera.height), _LEAST_SEEN, _FRAMES))
    chosen = found[evenly_spaced(len(found), count)]
    pictures, mattes = _read(footage, chosen, matting, report)
    hidden = _occupied(mattes, head_size(footage, int(chosen[0])))
    median, known = np.zeros_like(pictures[0]), np.zeros(hidden.shape[1:], bool)
    for top in range(0, camera.height, _ROWS):
        checkpoint()
        rows = slice(top, top + _ROWS)
        median[rows], known[rows] = _median(pictures[:, rows], hidden[:, rows])
    arrays = {
        "picture": fill(median, known),
        "known": known,
        "is_still": np.array(_is_still(pictures, median, known & ~hidden)),
        "person": (np.median(mattes, axis=0) / 255).astype(np.float32),
    }
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def _is_still(pictures: NDArray[np.uint8], median: Picture, shown: Mask) -> bool:
    """Whether most frames (n, H, W, 3) differ little from the median (H, W, 3) where they show the background (n, H,
    W).
    """
    usual = cv2.blur(median, (_BLUR, _BLUR))
    changed = []
    for picture, seen in zip(pictures, shown, strict=True):
        red, green, blue = cv2.split(cv2.absdiff(cv2.blur(picture, (_BLUR, _BLUR)), usual))
        difference = cv2.max(cv2.max(red, green), blue)
        changed.append(float((difference[seen] > _CHANGED).mean()) if seen.any() else 0.0)
    return float(np.median(changed)) < _STILL


def _occupied(mattes: NDArray[np.uint8], size: float) -> Mask:
    """Pixels (n, H, W) that show a person, or are near one."""
    around = disc(_AROUND * size)
    return np.stack([cv2.dilate((matte > _TRACE).astype(np.uint8), around) for matte in mattes]) > 0


def fill(picture: Picture, known: Mask) -> Picture:
    """Fill the unknown part of a picture smoothly: near its border with the colours of the border, farther away more
    and more with a mean of the surroundings.

    Args:
        picture: uint8 (H, W, 3) RGB.
        known: bool (H, W).
    """
    if known.all() or not known.any():
        return picture
    distance, (rows, columns) = distance_transform_edt(~known, return_indices=True)
    reach = _CARRIED_ON * float(distance.max())
    carried = _smooth(picture[rows, columns].astype(np.float32), 0.2 * reach)
    share = np.exp(-np.square(distance / reach))[..., None]
    checkpoint()
    filled = share * carried + (1.0 - share) * _pull_push(picture, known)
    return np.where(known[..., None], picture, np.clip(filled.round(), 0, 255)).astype(np.uint8)


def _smooth(picture: NDArray[np.float32], deviation: float) -> NDArray[np.float32]:
    """Smooth a picture (H, W, 3) by a Gaussian, first vertically and then horizontally, in parts."""
    down, across = np.empty_like(picture), np.empty_like(picture)
    for columns in in_bands(picture.shape[1], 4 * picture.shape[0]):
        down[:, columns] = gaussian_filter1d(picture[:, columns], deviation, axis=0)
    for rows in in_bands(picture.shape[0], 4 * picture.shape[1]):
        across[rows] = gaussian_filter1d(down[rows], deviation, axis=1)
    return across


def _pull_push(picture: Picture, known: Mask) -> NDArray[np.float32]:
    """Fill the unknown pixels from an image pyramid of the known ones (pull-push interpolation): (H, W, 3)."""
    layers: list[NDArray[Any]] = [np.dstack([picture * known[..., None], known]).astype(np.float32)]
    while min(layers[-1].shape[:2]) > 1:
        height, width = layers[-1].shape[:2]
        layers.append(cv2.resize(layers[-1], (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA))
    below = layers[-1]
    for layer in reversed(layers[:-1]):
        below = cv2.resize(below, layer.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        below = layer + (1.0 - layer[..., 3:]) * below / np.maximum(below[..., 3:], 1e-6)
    return np.asarray(below[..., :3] / np.maximum(below[..., 3:], 1e-6), np.float32)


def _read(
    footage: Footage, chosen: NDArray[np.int64], matting: Matting, report: Report
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The chosen frames (n, H, W, 3), and their mattes (n, H, W) from 0 to 255."""
    pictures, mattes = [], []
    for index, picture in footage.pictures(chosen, "Compute background", report):
        pictures.append(picture)
        mattes.append((matte_of(footage, index, picture, matting) * 255).round().astype(np.uint8))
    return np.stack(pictures), np.stack(mattes)


def _median(pictures: NDArray[np.uint8], hidden: Mask) -> tuple[Picture, Mask]:
    """Median over the frames (n, h, w, 3) in which a pixel is not hidden (n, h, w), and whether enough frames show
    it.
    """
    ordered = np.sort(np.where(hidden[..., None], np.uint16(_HIDDEN), pictures), axis=0)
    seen = (~hidden).sum(axis=0)
    middle = np.maximum(seen - 1, 0) // 2
    median = np.take_along_axis(ordered, middle[None, ..., None], axis=0)[0]
    known = seen >= min(_LEAST_SEEN, len(pictures))
    return np.where(known[..., None], median, 0).astype(np.uint8), known


def _depth(footage: Footage, head: CanonicalHead) -> float:
    surface = float(head.view.depth[head.mask].median() - head.view.pose[2, 3])
    return float(np.median(footage.track.poses[footage.track.found, 2, 3])) + surface + _BEHIND_FACE


def homography(footage: Intrinsics, camera: Intrinsics, pose: Array | None, depth: float) -> Array:
    """Homography (3, 3) that maps pixels of a camera to pixels of the footage that show the same point of the plate.
    Pixel centres are at integer coordinates.

    Args:
        footage: Intrinsics of the footage's camera, which is at the origin.
        camera: Intrinsics of the new camera.
        pose: float64 (4, 4) camera_from_footage; None means that both cameras are the same.
        depth: Distance from the footage's camera to the plate in millimetres.
    """
    place = np.eye(4) if pose is None else invert_pose(pose)
    rotation, position = place[:3, :3], place[:3, 3]
    onto_plate = (depth - position[2]) * np.eye(3) + np.outer(position, [0, 0, 1])
    to_centre, from_centre = np.eye(3), np.eye(3)
    to_centre[:2, 2], from_centre[:2, 2] = 0.5, -0.5
    return from_centre @ footage.matrix @ onto_plate @ rotation @ np.linalg.inv(camera.matrix) @ to_centre


def beyond_borders(there: Array, size: tuple[int, int], shape: tuple[int, ...]) -> tuple[Plane, Mask]:
    """Pixels of a camera that show what is beyond the borders of a picture on the plate's plane.

    Args:
        there: Homography (3, 3) from pixels of the camera to those of the picture, see :func:`homography`.
        size: Width and height of the camera's picture in pixels.
        shape: Height and width of the other picture.

    Returns:
        float32 (n, 2) where they are in the other picture, with pixel centres at +0.5, and bool (h, w) which they are.
    """
    (width, height), limits = size, np.array(shape[1::-1], np.float32)
    nothing = np.zeros((0, 2), np.float32), np.zeros((height, width), bool)
    corners = np.array([[x, y, 1.0] for x in (0, width - 1) for y in (0, height - 1)]) @ there.T
    if (corners[:, 2] > 0).all():
        places = corners[:, :2] / corners[:, 2:] + 0.5
        if ((places >= 0.5 - _ROUNDING) & (places <= limits - 0.5 + _ROUNDING)).all():
            return nothing
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    x, y, z = (np.float32(a) * columns + (np.float32(b) * rows + np.float32(c)) for a, b, c in there)
    z = np.maximum(z, np.float32(1e-6))
    x, y = x / z + np.float32(0.5), y / z + np.float32(0.5)
    beyond = (x < 0) | (y < 0) | (x > limits[0]) | (y > limits[1])
    return np.stack([x[beyond], y[beyond]], axis=-1), beyond
