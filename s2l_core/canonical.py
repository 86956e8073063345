"""The canonical view of a speaker: pose, rectangles and depth in which lips are learnt (paper section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .face.mesh import fill_depth, rasterise_depth, triangulate
from .footage import Footage
from .geometry.camera import Intrinsics, Rectangle, head_angles, project, transform
from .geometry.mapping import CanonicalView

_WIDEST_LIPS = 160
"""Pixels that the lip rectangle is wide at most; finer detail is lost to compression in most footage."""
_AROUND_MOUTH = {"left": 0.42, "right": 0.42, "top": 0.38, "bottom": 0.72}
"""What the lip rectangle adds to the resting lips on each side, in widths of the mouth: nose to chin."""
_CALM_SHARE = 0.3


@dataclass(frozen=True)
class CanonicalFace:
    """Where things are in the canonical view.

    Attributes:
        lips: View of the lip rectangle.
        surroundings: View of nose and cheeks down to the middle of the mouth, at half the resolution. The lip
            rectangle reaches into it.
        mouth_box: Left, top, right, bottom of the lips with a margin of a quarter of their width, in canonical
            pixels of ``lips``: where quality is measured.
    """

    lips: CanonicalView
    surroundings: CanonicalView
    mouth_box: tuple[float, float, float, float]

    def to(self, device: torch.device | str) -> CanonicalFace:
        return replace(self, lips=_to(self.lips, device), surroundings=_to(self.surroundings, device))


def choose_canonical(footage: Footage, usable: NDArray[np.bool_]) -> CanonicalFace:
    """The canonical view of footage: its most ordinary head pose among the frames with a closed mouth.

    Args:
        footage: With a tracked head.
        usable: bool (N,) frames that may be chosen.
    """
    track = footage.track
    candidates = np.flatnonzero(usable & track.found)
    openings = footage.openings[candidates]
    calm = candidates[openings <= np.quantile(openings, _CALM_SHARE)]
    angles = head_angles(track.poses)
    middle = np.median(angles[candidates], axis=0)
    pose = track.poses[calm[np.linalg.norm(angles[calm] - middle, axis=1).argmin()]]

    outline = project(track.shape[footage.layout.lips_outer], pose, track.intrinsics)
    mouth_width = float(np.ptp(outline[:, 0]))
    margins = _AROUND_MOUTH
    scale = min(1.0, _WIDEST_LIPS / (mouth_width * (1.0 + margins["left"] + margins["right"])))
    intrinsics = _scaled(track.intrinsics, scale)
    outline, mouth_width = outline * scale, mouth_width * scale
    left, top = outline.min(axis=0) - mouth_width * np.array([margins["left"], margins["top"]])
    right, bottom = outline.max(axis=0) + mouth_width * np.array([margins["right"], margins["bottom"]])
    rectangle = _whole_pixels(left, top, right, bottom)

    eye_line = project(track.shape[footage.layout.eye_corners], pose, intrinsics)[:, 1].max()
    half = _scaled(intrinsics, 0.5)
    surroundings = _whole_pixels(
        *(0.5 * value for value in (left - 0.3 * mouth_width, eye_line + 0.2 * mouth_width)),
        *(0.5 * value for value in (right + 0.3 * mouth_width, outline[:, 1].mean())),
    )
    margin = 0.25 * mouth_width
    box = (*(outline.min(axis=0) - margin), *(outline.max(axis=0) + margin))
    return CanonicalFace(
        lips=_view(footage, pose, intrinsics, rectangle),
        surroundings=_view(footage, pose, half, surroundings),
        mouth_box=tuple(float(value) for value in box),  # type: ignore[arg-type]
    )


def outside_lips(face: CanonicalFace) -> torch.Tensor:
    """Which pixels of ``face.surroundings`` lie outside of the lip rectangle: bool (h, w)."""
    view, lips = face.surroundings, face.lips.rectangle
    x = 2 * (torch.arange(view.rectangle.width) + view.rectangle.left + 0.5)
    y = 2 * (torch.arange(view.rectangle.height) + view.rectangle.top + 0.5)
    across = (x > lips.left - 1) & (x < lips.left + lips.width + 1)
    down = (y > lips.top - 1) & (y < lips.top + lips.height + 1)
    return ~(down[:, None] & across[None, :])


def to_description(face: CanonicalFace) -> dict[str, Any]:
    """All but the depths, as JSON values."""

    def describe(view: CanonicalView) -> dict[str, Any]:
        camera, box = view.intrinsics, view.rectangle
        return {
            "intrinsics": [camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height],
            "rectangle": [box.left, box.top, box.width, box.height],
            "pose": view.pose.double().cpu().tolist(),
        }

    return {
        "lips": describe(face.lips),
        "surroundings": describe(face.surroundings),
        "mouth_box": list(face.mouth_box),
    }


def from_description(
    description: dict[str, Any], lip_depth: torch.Tensor, surroundings_depth: torch.Tensor
) -> CanonicalFace:
    """The inverse of :func:`to_description`.

    Raises:
        KeyError, TypeError, ValueError: The description is not one.
    """

    def build(values: dict[str, Any], depth: torch.Tensor) -> CanonicalView:
        fx, fy, cx, cy, width, height = (float(value) for value in values["intrinsics"])
        rectangle = Rectangle(*(int(value) for value in values["rectangle"]))
        if depth.shape != (rectangle.height, rectangle.width):
            raise ValueError("depth and rectangle differ in size")
        pose = torch.tensor(values["pose"], dtype=torch.float32).reshape(4, 4)
        return CanonicalView(depth, rectangle, Intrinsics(fx, fy, cx, cy, int(width), int(height)), pose)

    left, top, right, bottom = (float(value) for value in description["mouth_box"])
    return CanonicalFace(
        build(description["lips"], lip_depth),
        build(description["surroundings"], surroundings_depth),
        (left, top, right, bottom),
    )


def _view(footage: Footage, pose: NDArray[np.float64], intrinsics: Intrinsics, rectangle: Rectangle) -> CanonicalView:
    shape = footage.track.shape
    depth = rasterise_depth(transform(shape, pose), triangulate(shape), intrinsics, rectangle)
    return CanonicalView(
        torch.from_numpy(fill_depth(depth)), rectangle, intrinsics, torch.tensor(pose, dtype=torch.float32)
    )


def _scaled(camera: Intrinsics, scale: float) -> Intrinsics:
    width, height = round(camera.width * scale), round(camera.height * scale)
    return Intrinsics(camera.fx * scale, camera.fy * scale, camera.cx * scale, camera.cy * scale, width, height)


def _whole_pixels(left: float, top: float, right: float, bottom: float) -> Rectangle:
    """The smallest rectangle of even size around borders in pixels."""
    x, y = int(np.floor(left)), int(np.floor(top))
    width, height = int(np.ceil(right)) - x, int(np.ceil(bottom)) - y
    return Rectangle(x, y, width + width % 2, height + height % 2)


def _to(view: CanonicalView, device: torch.device | str) -> CanonicalView:
    return replace(view, depth=view.depth.to(device), pose=view.pose.to(device))
