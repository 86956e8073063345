"""Motion of a face before and after the motion of the head is removed (paper section 3), and the masks that follow from
it: lips and jaw, and the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, label, median_filter
from torch import Tensor

from ..cache import NO_CACHE, AppendLog
from ..events import Report
from ..face.layout import LandmarkLayout
from ..footage import Footage
from ..geometry.camera import Intrinsics, Rectangle, project
from ..geometry.mapping import CanonicalView, observed_to_canonical

Mask = NDArray[np.bool_]

_NOISE = 0.01
"""Level of motion that compression causes, in [0, 1] colours."""
_BETTER = 0.25
"""Least decrease of the motion, as a natural logarithm, by O2C for a pixel that belongs to the head."""
_FAR_FROM_FACE, _BELOW_CHIN, _BESIDE, _RIM, _ROUNDED = 0.6, 0.12, 0.1, 0.02, 0.012
"""Distances, relative to the square root of the area of the landmarks' mesh: beyond which nothing belongs to the head;
below the mesh, beyond which the neck begins; around pixels that move with the head, within which GrabCut decides;
inside the mesh, from which pixels certainly belong to the head; and the deviation of the smoothing.
"""
_SECTORS = 180
_LIVELY = 0.35
"""Least motion, relative to the largest motion of the lips, of a pixel that belongs to lips and jaw."""


class Motion(NamedTuple):
    """Mean absolute difference of frames from the canonical one, in [0, 1] colours.

    Attributes:
        observed: float32 (h, w), of the frames as filmed.
        canonical: float32 (h, w), after O2C, which removes the motion of the head.
    """

    observed: NDArray[np.float32]
    canonical: NDArray[np.float32]


def read_pictures(
    footage: Footage, wanted: Sequence[int], camera: Intrinsics, report: Report, rows: AppendLog | None = None
) -> Tensor:
    """Decode frames at a lower resolution: float32 (n, 3, H, W) in [0, 1] colours.

    Args:
        footage: Where they are.
        wanted: Which frames, in any order.
        camera: Its image size is that of the pictures.
        report: Receives the phase ``"Read head frames"``.
        rows: Where pictures are kept, those that were read before among them.
    """
    rows = rows or AppendLog(NO_CACHE, "pictures")
    order, size = np.unique(wanted), (camera.width, camera.height)
    for _, picture in footage.pictures(order, "Read head frames", report, done=rows.count):
        rows.add(pictures=torch.from_numpy(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))[None])
    places = torch.from_numpy(np.searchsorted(order, wanted))
    return rows.all()["pictures"][places].permute(0, 3, 1, 2).float() / 255


def measure_motion(reference: Tensor, pictures: Tensor, view: CanonicalView, poses: Tensor) -> Motion:
    """Measure the motion of section 3.

    Args:
        reference: float32 (3, H, W) canonical frame, of the size of ``view.intrinsics``.
        pictures: float32 (N, 3, H, W) other frames of the same size.
        view: The canonical view.
        poses: (N, 4, 4) camera_from_head of the other frames.
    """
    canonical = observed_to_canonical(pictures, view, view.intrinsics, poses)
    original = crop(reference, view.rectangle)
    before, after = (
        (frames - original).abs().mean(dim=(0, 1)).cpu().numpy()
        for frames in (crop(pictures, view.rectangle), canonical)
    )
    return Motion(before, after)


def moving_parts(motion: Motion, view: CanonicalView, shape: NDArray[np.float64], layout: LandmarkLayout) -> Mask:
    """Bool (h, w), the parts of a face that move relative to the head: the eyes, and :func:`lip_jaw_mask`."""
    points = _in_rectangle(view, shape)
    left, right = np.split(points[layout.eye_corners], 2)
    return lip_jaw_mask(motion, view, shape, layout) | _eye(left, motion) | _eye(right, motion)


def lip_jaw_mask(motion: Motion, view: CanonicalView, shape: NDArray[np.float64], layout: LandmarkLayout) -> Mask:
    """Bool (h, w), lips and jaw: the convex hull of the pixels around the mouth that move relative to the head.

    The landmarks limit the region that speech can move, and the motion decides within it. The lips are always included.

    Args:
        motion: Motion of the view.
        view: The canonical view.
        shape: float64 (P, 3) landmarks in head axes.
        layout: Layout of the landmarks.
    """
    points = _in_rectangle(view, shape)
    lips, eyes = points[layout.lips_outer], points[layout.eye_corners]
    chin, width = points[layout.chin].mean(axis=0), np.ptp(lips[:, 0])
    (left, top), (right, _) = lips.min(axis=0), lips.max(axis=0)
    under_nose = top - 0.25 * (top - eyes[:, 1].max())
    corners = [[left, under_nose], [right, under_nose], [left - 0.4 * width, top], [right + 0.4 * width, top]]
    corners += [*(chin + [[-0.5 * width, 0], [0.5 * width, 0], [0, 0.15 * width]])]
    reach = _fill(np.concatenate([lips, np.array(corners)]), motion.canonical.shape)
    certain = _fill(lips, motion.canonical.shape)
    heat = gaussian_filter(motion.canonical, 0.08 * width)
    pieces, _ = label(((heat > _LIVELY * heat[certain].max()) & reach) | certain)
    rows, columns = np.nonzero(np.isin(pieces, np.unique(pieces[certain])))
    return _fill(np.stack([columns, rows], axis=-1) + 0.5, motion.canonical.shape)


def head_mask(picture: NDArray[np.uint8], motion: Motion, mesh: Mask) -> Mask:
    """Bool (h, w), the head in the canonical view, with hair and ears, without the neck.

    Pixels that move less after O2C move with the head. The outline of the head lies near the last of them in each
    direction; GrabCut finds it by the colours.

    Args:
        picture: uint8 (h, w, 3) canonical view.
        motion: Motion of the view.
        mesh: bool (h, w) mesh of the landmarks.
    """
    gain = np.log((_smooth(motion.canonical) + _NOISE) / (_smooth(motion.observed) + _NOISE))
    size = np.sqrt(np.count_nonzero(mesh))
    distance = distance_transform_edt(~mesh) / size
    lower = np.arange(len(mesh))[:, None] > np.quantile(np.flatnonzero(mesh.any(axis=1)), 0.7)
    neck = lower & (distance > _BELOW_CHIN)
    around = _reach(mesh | ((gain < -_BETTER) & (distance < _FAR_FROM_FACE) & ~neck), mesh)
    beside = distance_transform_edt(~around) < _BESIDE * size
    labels = np.where(beside, cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8)
    labels[around & (mesh | (gain < _BETTER))] = cv2.GC_PR_FGD
    labels[neck] = cv2.GC_BGD
    labels[distance_transform_edt(mesh) > _RIM * size] = cv2.GC_FGD
    if np.isin(labels, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():  # a close-up may show nothing but the head
        models = np.zeros((2, 1, 65))
        cv2.setRNGSeed(0)
        cv2.grabCut(picture[..., ::-1].copy(), labels, (0, 0, 0, 0), models[0], models[1], 5, cv2.GC_INIT_WITH_MASK)
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)) | mesh
    pieces, _ = label((gaussian_filter(found.astype(np.float32), _ROUNDED * size) > 0.5) | mesh)
    return np.asarray(binary_fill_holes(np.isin(pieces, np.unique(pieces[mesh]))), np.bool_)


def _reach(marked: Mask, mesh: Mask) -> Mask:
    """The convex hull of the pixels that are no farther from the middle of the mesh than the marked pixels in the same
    direction.
    """
    middle = np.argwhere(mesh).mean(axis=0)
    rows, columns = np.indices(mesh.shape)
    radius = np.hypot(rows - middle[0], columns - middle[1])
    direction = np.arctan2(rows - middle[0], columns - middle[1])
    sector = np.floor((direction / (2 * np.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
    farthest = np.zeros(_SECTORS)
    np.maximum.at(farthest, sector[marked], radius[marked])
    inside = radius <= median_filter(farthest, _SECTORS // 18, mode="wrap")[sector]
    rows, columns = np.nonzero(inside | mesh)
    return _fill(np.stack([columns, rows], axis=-1) + 0.5, mesh.shape)


def crop(pictures: Tensor, rectangle: Rectangle) -> Tensor:
    """Crop pictures (..., H, W) to a rectangle."""
    rows = slice(rectangle.top, rectangle.top + rectangle.height)
    return pictures[..., rows, rectangle.left : rectangle.left + rectangle.width]


def _smooth(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(gaussian_filter(motion, 1.0), np.float32)


def _eye(corners: NDArray[np.float64], motion: Motion) -> Mask:
    """An ellipse around an eye with corners (2, 2), high enough for its lids."""
    rows, columns = np.mgrid[: motion.canonical.shape[0], : motion.canonical.shape[1]] + 0.5
    width = np.ptp(corners[:, 0])
    x, y = corners.mean(axis=0)
    return np.asarray(((columns - x) / (0.75 * width)) ** 2 + ((rows - y) / (0.5 * width)) ** 2 < 1, np.bool_)


def _in_rectangle(view: CanonicalView, shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Landmarks (P, 2) in pixels of the view's rectangle."""
    pixels = project(shape, view.pose.cpu().double().numpy(), view.intrinsics)
    return pixels - [view.rectangle.left, view.rectangle.top]


def _fill(points: NDArray[np.float64], size: tuple[int, ...]) -> Mask:
    mask = np.zeros(size, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points - 0.5).astype(np.int32)), [1.0])
    return mask > 0
