"""The background plate: a picture of what is behind the head, from the frames in which the head uncovers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter1d

from ..canonical.view import CanonicalHead
from ..events import Report, checkpoint
from ..footage import Footage
from ..geometry.camera import Array, Intrinsics, project, unproject
from ..geometry.mapping import pixel_grid
from ..geometry.splatting import in_bands
from ..subsampling import evenly_spaced

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_FRAMES = 48
_MEMORY = 400_000_000
"""Largest memory for the frames in bytes."""
_MARGIN, _MARGIN_AT_CHIN = 0.06, 0.02
"""Margin around the head's mask, as a share of the head's height, for hair, blur and errors of the pose. It is smaller
below the chin, since as much as possible of the neck should be on the plate.
"""
_CHIN = 0.25
"""Share of the head's height that counts as chin."""
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
_HIDDEN = 256
"""Value that sorts behind every colour."""


@dataclass(frozen=True)
class Plate:
    """A picture on a plane behind the head, parallel to the image plane of the footage's camera, that fills its view.

    Attributes:
        picture: uint8 (H, W, 3) RGB, of the footage's size.
        known: bool (H, W), pixels that the head uncovered; the others are filled smoothly.
        depth_mm: Distance from the footage's camera in millimetres.
    """

    picture: Picture
    known: Mask
    depth_mm: float


def make_plate(footage: Footage, head: CanonicalHead, report: Report | None = None) -> Plate:
    """Compute the plate: the median over evenly spaced frames, without the pixels of the head.

    Args:
        footage: The clip, with a tracked head.
        head: Head of that speaker.
        report: Receives the phase ``"Compute background"``.
    """
    report = report or Report()
    camera, found = footage.track.intrinsics, np.flatnonzero(footage.track.found)
    count = int(np.clip(_MEMORY // (3 * camera.width * camera.height), _LEAST_SEEN, _FRAMES))
    chosen = found[evenly_spaced(len(found), count)]
    outlines = _silhouettes(head, footage.track.poses[chosen], camera)
    pictures = _read(footage, chosen, report)
    size = (camera.width, camera.height)
    hidden = np.stack([cv2.resize(outline, size, interpolation=cv2.INTER_NEAREST) for outline in outlines]) > 0

    median, known = np.zeros_like(pictures[0]), np.zeros(hidden.shape[1:], bool)
    for top in range(0, camera.height, _ROWS):
        checkpoint()
        rows = slice(top, top + _ROWS)
        median[rows], known[rows] = _median(pictures[:, rows], hidden[:, rows])
    return Plate(fill(median, known), known, _depth(footage, head))


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


def _read(footage: Footage, chosen: NDArray[np.int64], report: Report) -> NDArray[np.uint8]:
    """The chosen frames (n, H, W, 3)."""
    return np.stack([picture for _, picture in footage.pictures(chosen, "Compute background", report)])


def _silhouettes(head: CanonicalHead, poses: Array, camera: Intrinsics) -> list[Picture]:
    """Masks, 0 or 1, of the head and a margin around it in each pose, at about the resolution of the canonical view."""
    view, mask = head.view, head.mask.cpu().numpy()
    small = view.intrinsics
    points = unproject(pixel_grid(view.rectangle).numpy()[mask], view.depth.cpu().numpy()[mask], small)
    pose = view.pose.cpu().double().numpy()
    points = (points - pose[:3, 3]) @ pose[:3, :3]
    scale = np.array([small.width / camera.width, small.height / camera.height])
    rows = np.flatnonzero(mask.any(axis=1))
    height = float(np.ptp(rows))
    above_chin = np.nonzero(mask)[0] < rows[-1] - _CHIN * height
    silhouettes = []
    for pixels in project(points, poses, camera) * scale:
        checkpoint()
        whole, upper = (_mark(marked, small) for marked in (pixels, pixels[above_chin]))
        silhouettes.append(_widen(whole, _MARGIN_AT_CHIN * height) | _widen(upper, _MARGIN * height))
    return silhouettes


def _mark(pixels: Array, camera: Intrinsics) -> Picture:
    """A mask, 1 at pixels (n, 2) and 0 elsewhere."""
    columns, rows = np.floor(pixels).astype(int).T
    inside = (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
    marked = np.zeros((camera.height, camera.width), np.uint8)
    marked[rows[inside], columns[inside]] = 1
    return marked


def _widen(marked: Picture, margin: float) -> Picture:
    """Dilate a mask by a margin in pixels, which also closes gaps between its pixels."""
    radius = 1 + round(margin)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(marked, disc), np.uint8)


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
