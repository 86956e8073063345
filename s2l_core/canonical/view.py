"""The canonical view of a speaker: the pose, rectangles and depth in which lips are trained (paper section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ..face.mesh import fill_depth, rasterise_depth, round_depth, skull_depth, triangulate
from ..footage import Footage
from ..geometry.camera import Intrinsics, Rectangle, head_angles, invert_pose, project, transform, unproject
from ..geometry.mapping import CanonicalView, pixel_grid
from ..jobs import is_rigid

_WIDEST_LIPS = 160
"""Largest width of the lip rectangle in pixels. Finer detail is lost to compression in most footage."""
_AROUND_MOUTH = {"left": 0.42, "right": 0.42, "top": 0.38, "bottom": 0.72}
"""Margin of the lip rectangle around the resting lips, in widths of the mouth. It reaches from the nose to the chin."""
_AROUND_FACE = {"left": 0.4, "right": 0.4, "top": 0.7, "bottom": 0.15}
"""Margin of the head's rectangle around the landmarks, as shares of their width and height. It includes ears, hair and
the edge of the neck.
"""
_LONGEST_HEAD = 192
"""Largest length in pixels of the longer side of the head's rectangle."""
_CALM_SHARE = 0.3
_LARGEST_SIDE, _SMALLEST_HEAD, _SHORTEST_FOCAL, _FARTHEST_PIXEL = 1024, 5, 1.0, 1e6
"""Bounds of values in a speaker file in pixels: sides of a rectangle, sides of a square inside the head, focal lengths,
by which positions are divided, and positions in an image.
"""
_NEAREST_MM, _FARTHEST_MM = 1.0, 1e5
"""Bounds of depths in a speaker file in millimetres. Points at the camera would have no direction."""
_LARGEST_HEAD_MM = 1000.0
"""Bound of the distance between the origin of the head and the points in a speaker file, which is 0.2 m at most."""


@dataclass(frozen=True)
class CanonicalHead:
    """The whole head in the canonical view.

    Attributes:
        view: View of the head's rectangle, which ends at the border of the image.
        mask: bool (h, w), the head with hair and ears, without the neck. Before training it is the landmarks' mesh.
        confidence: float32 (h, w) in [0, 1], how well the footage determines the depth.
    """

    view: CanonicalView
    mask: torch.Tensor
    confidence: torch.Tensor


@dataclass(frozen=True)
class CanonicalFace:
    """Regions of the canonical view.

    Attributes:
        lips: View of the lip rectangle.
        surroundings: View of nose and cheeks down to the middle of the mouth, at half the resolution. The lip rectangle
            reaches into it.
        head: View of the whole head.
        mouth_box: Left, top, right, bottom of the lips with a margin of a quarter of their width, in canonical pixels
            of ``lips``: where quality is measured.
    """

    lips: CanonicalView
    surroundings: CanonicalView
    head: CanonicalHead
    mouth_box: tuple[float, float, float, float]

    def to(self, device: torch.device | str) -> CanonicalFace:
        head = replace(
            self.head,
            view=_to(self.head.view, device),
            mask=self.head.mask.to(device),
            confidence=self.head.confidence.to(device),
        )
        return replace(self, lips=_to(self.lips, device), surroundings=_to(self.surroundings, device), head=head)


def canonical_frame(footage: Footage, usable: NDArray[np.bool_]) -> int:
    """Index of the frame whose view becomes the canonical one: the one with the most typical head pose among the frames
    with a closed mouth.

    Args:
        footage: The clip, with a tracked head.
        usable: bool (N,) frames that may be chosen.
    """
    candidates = np.flatnonzero(usable & footage.track.found)
    openings = footage.openings[candidates]
    calm = candidates[openings <= np.quantile(openings, _CALM_SHARE)]
    angles = head_angles(footage.track.poses)
    middle = np.median(angles[candidates], axis=0)
    return int(calm[np.linalg.norm(angles[calm] - middle, axis=1).argmin()])


def choose_canonical(footage: Footage, usable: NDArray[np.bool_]) -> CanonicalFace:
    """The canonical view of footage, see :func:`canonical_frame`, with the depth of the landmarks' mesh."""
    track = footage.track
    pose = track.poses[canonical_frame(footage, usable)]
    outline = project(track.shape[footage.layout.lips_outer], pose, track.intrinsics)
    mouth_width = float(np.ptp(outline[:, 0]))
    margins = _AROUND_MOUTH
    scale = min(1.0, _WIDEST_LIPS / (mouth_width * (1.0 + margins["left"] + margins["right"])))
    intrinsics = track.intrinsics.scaled(scale)
    outline, mouth_width = outline * scale, mouth_width * scale
    left, top = outline.min(axis=0) - mouth_width * np.array([margins["left"], margins["top"]])
    right, bottom = outline.max(axis=0) + mouth_width * np.array([margins["right"], margins["bottom"]])
    rectangle = _whole_pixels(left, top, right, bottom)

    eye_line = project(track.shape[footage.layout.eye_corners], pose, intrinsics)[:, 1].max()
    half = intrinsics.scaled(0.5)
    surroundings = _whole_pixels(
        *(0.5 * value for value in (left - 0.3 * mouth_width, eye_line + 0.2 * mouth_width)),
        *(0.5 * value for value in (right + 0.3 * mouth_width, outline[:, 1].mean())),
    )
    margin = 0.25 * mouth_width
    box = (*(outline.min(axis=0) - margin), *(outline.max(axis=0) + margin))
    return CanonicalFace(
        lips=_view(footage, pose, intrinsics, rectangle),
        surroundings=_view(footage, pose, half, surroundings),
        head=_head(footage, pose),
        mouth_box=tuple(float(value) for value in box),  # type: ignore[arg-type]
    )


def round_head(head: CanonicalHead, footage: Footage, mask: NDArray[np.bool_]) -> CanonicalHead:
    """Extend the depth of a head beyond the landmarks' mesh by a round shape that fits its outline.

    Args:
        head: The head, as :func:`choose_canonical` gives it.
        footage: The footage that it was chosen from.
        mask: bool (h, w) mask of the head.
    """
    view, pose = head.view, head.view.pose.cpu().double().numpy()
    mesh = mesh_depth(footage, pose, view.intrinsics, view.rectangle)
    depth = torch.from_numpy(fill_depth(mesh, round_depth(mask, pose, view.intrinsics, view.rectangle)))
    view = replace(view, depth=depth.to(view.depth.device))
    return replace(head, view=view, mask=torch.from_numpy(mask).to(view.depth.device))


def outside_lips(face: CanonicalFace) -> torch.Tensor:
    """Bool (h, w), the pixels of ``face.surroundings`` outside the lip rectangle."""
    view, lips = face.surroundings, face.lips.rectangle
    x = 2 * (torch.arange(view.rectangle.width) + view.rectangle.left + 0.5)
    y = 2 * (torch.arange(view.rectangle.height) + view.rectangle.top + 0.5)
    across = (x > lips.left - 1) & (x < lips.left + lips.width + 1)
    down = (y > lips.top - 1) & (y < lips.top + lips.height + 1)
    return ~(down[:, None] & across[None, :])


def to_description(face: CanonicalFace) -> dict[str, Any]:
    """A canonical view as JSON values, without depths, mask and confidence."""

    def describe(view: CanonicalView) -> dict[str, Any]:
        camera, box = view.intrinsics, view.rectangle
        return {
            "intrinsics": [camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height],
            "rectangle": [box.left, box.top, box.width, box.height],
            "pose": view.pose.cpu().double().tolist(),
        }

    return {
        "lips": describe(face.lips),
        "surroundings": describe(face.surroundings),
        "head": describe(face.head.view),
        "mouth_box": list(face.mouth_box),
    }


def to_tensors(face: CanonicalFace) -> dict[str, torch.Tensor]:
    """The tensors that :func:`to_description` leaves out."""
    return {
        "lips.depth": face.lips.depth,
        "surroundings.depth": face.surroundings.depth,
        "head.depth": face.head.view.depth,
        "head.mask": face.head.mask,
        "head.confidence": face.head.confidence,
    }


def from_description(description: dict[str, Any], tensors: dict[str, torch.Tensor]) -> CanonicalFace:
    """The inverse of :func:`to_description` and :func:`to_tensors`.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: The description is invalid, or the tensors do not fit it.
    """

    def build(name: str) -> CanonicalView:
        values = description[name]
        rectangle, pose = _rectangle(values["rectangle"]), torch.tensor(values["pose"], dtype=torch.float32)
        if pose.shape != (4, 4) or not is_rigid(tuple(pose.flatten().tolist())):
            raise ValueError(f"the pose of {name} is not rigid")
        depth, camera = layer(f"{name}.depth", rectangle, _NEAREST_MM, _FARTHEST_MM), read_camera(values["intrinsics"])
        shown = transform(unproject(pixel_grid(rectangle).numpy(), depth.cpu().numpy(), camera), invert_pose(pose))
        if not np.linalg.norm(shown, axis=-1).max() <= _LARGEST_HEAD_MM:
            raise ValueError(f"camera, pose and depth of {name} do not fit each other")
        return CanonicalView(depth, rectangle, camera, pose)

    def layer(name: str, rectangle: Rectangle, least: float, most: float) -> torch.Tensor:
        if tensors[name].shape != (rectangle.height, rectangle.width):
            raise ValueError(f"{name} does not fit its rectangle")
        values = tensors[name].float()
        if not (values.min() >= least and values.max() <= most):
            raise ValueError(f"{name} holds something else")
        return values

    left, top, right, bottom = (float(value) for value in description["mouth_box"])
    lips, head = build("lips"), build("head")
    box = lips.rectangle
    across = box.left <= left <= right - 1.0 <= box.left + box.width - 1.0
    down = box.top <= top <= bottom - 1.0 <= box.top + box.height - 1.0
    if not (across and down):
        raise ValueError("not a mouth box")
    mask, confidence = (layer(f"head.{name}", head.rectangle, 0.0, 1.0) for name in ("mask", "confidence"))
    if mask.any() and functional.avg_pool2d(mask[None], _SMALLEST_HEAD, stride=1).max() < 1.0:
        raise ValueError("a head without an outline")
    return CanonicalFace(
        lips, build("surroundings"), CanonicalHead(head, mask > 0.5, confidence), (left, top, right, bottom)
    )


def read_camera(values: list[Any]) -> Intrinsics:
    """A camera from values in a file: fx, fy, cx, cy, width, height.

    Raises:
        TypeError, ValueError, OverflowError: The values do not describe a camera.
    """
    fx, fy, cx, cy = (float(value) for value in values[:4])
    width, height = (_whole(value, 1, _FARTHEST_PIXEL) for value in values[4:])
    if not all(_SHORTEST_FOCAL <= focal < _FARTHEST_PIXEL for focal in (fx, fy)):
        raise ValueError("not a focal length")
    if not all(abs(place) < _FARTHEST_PIXEL for place in (cx, cy)):  # max() would ignore NaN, which float("nan") is
        raise ValueError("not a principal point")
    return Intrinsics(fx, fy, cx, cy, width, height)


def _rectangle(values: list[Any]) -> Rectangle:
    left, top = (_whole(value, -_FARTHEST_PIXEL, _FARTHEST_PIXEL) for value in values[:2])
    width, height = (_whole(value, 1, _LARGEST_SIDE) for value in values[2:])
    return Rectangle(left, top, width, height)


def _whole(value: Any, least: float, most: float) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError("not a number of pixels")
    return value


def with_tensors(face: CanonicalFace, tensors: dict[str, torch.Tensor]) -> CanonicalFace:
    """The same view with other tensors, as :func:`to_tensors` gives them."""
    return from_description(to_description(face), tensors).to(tensors["head.mask"].device)


def _view(footage: Footage, pose: NDArray[np.float64], intrinsics: Intrinsics, rectangle: Rectangle) -> CanonicalView:
    depth = fill_depth(mesh_depth(footage, pose, intrinsics, rectangle), skull_depth(pose, intrinsics, rectangle))
    return CanonicalView(torch.from_numpy(depth), rectangle, intrinsics, torch.tensor(pose, dtype=torch.float32))


def _head(footage: Footage, pose: NDArray[np.float64]) -> CanonicalHead:
    camera = footage.track.intrinsics
    points = project(footage.track.shape, pose, camera)
    size = np.ptp(points, axis=0)
    around = _AROUND_FACE
    first = np.maximum(points.min(axis=0) - size * [around["left"], around["top"]], 0.0)
    last = np.minimum(points.max(axis=0) + size * [around["right"], around["bottom"]], [camera.width, camera.height])
    scale = min(1.0, _LONGEST_HEAD / float((last - first).max()))
    left, top, right, bottom = (int(value) for value in np.round(np.concatenate([first, last]) * scale))
    intrinsics, rectangle = camera.scaled(scale), Rectangle(left, top, right - left, bottom - top)
    mask = torch.from_numpy(mesh_depth(footage, pose, intrinsics, rectangle) > 0)
    return CanonicalHead(_view(footage, pose, intrinsics, rectangle), mask, torch.zeros(mask.shape))


def mesh_depth(
    footage: Footage, pose: NDArray[np.float64], intrinsics: Intrinsics, rectangle: Rectangle
) -> NDArray[np.float32]:
    """Depth float32 (h, w) of the landmarks' mesh in a pose (4, 4) camera_from_head, 0 beside it."""
    shape = footage.track.shape
    return rasterise_depth(transform(shape, pose), triangulate(shape), intrinsics, rectangle)


def _whole_pixels(left: float, top: float, right: float, bottom: float) -> Rectangle:
    """The smallest rectangle of even size around borders in pixels."""
    x, y = int(np.floor(left)), int(np.floor(top))
    width, height = int(np.ceil(right)) - x, int(np.ceil(bottom)) - y
    return Rectangle(x, y, width + width % 2, height + height % 2)


def _to(view: CanonicalView, device: torch.device | str) -> CanonicalView:
    return replace(view, depth=view.depth.to(device), pose=view.pose.to(device))
