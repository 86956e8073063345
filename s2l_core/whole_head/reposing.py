"""Re-posing a head (paper section 5.4): renders a frame of the footage for another camera."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..events import Report
from ..footage import Footage
from ..geometry.camera import Array, Intrinsics, Rectangle, invert_pose
from ..geometry.splatting import Warped, in_bands, warp
from ..model.blend import blend_padded
from ..model.speaker import SpeakerModel
from ..model.speaker_fields import refuse_overflow
from .plate import Plate
from .surface import HeadSurface
from .texture import gather_texture

_ABOVE, _BELOW = 0.06, 0.01
"""Margin around the head that the plate replaces in a frame, as a share of the head's height: wide above, so that no
second contour remains, and narrow below, so that the neck remains.
"""
_CHIN = (0.75, 0.1)
"""Shares of the head's height at which the transition between both begins, and over which it extends."""
_NOTHING = Rectangle(0, 0, 0, 0)


class View(NamedTuple):
    """A rendered view.

    Attributes:
        colours: float32 (h, w, 3) gamma-coded RGB in [0, 1], not multiplied by alpha.
        alpha: float32 (h, w) in [0, 1].
        depth: float32 (h, w) millimetres along the camera's z axis, 0 where there is no head.
        mask: float32 (h, w) in [0, 1], coverage of each pixel by the head.
    """

    colours: NDArray[np.float32]
    alpha: NDArray[np.float32]
    depth: NDArray[np.float32]
    mask: NDArray[np.float32]


class HeadRenderer:
    """Renders the head in frames of a clip for other cameras.

    Args:
        speaker: The speaker, on the device to compute on.
        footage: The clip.
        plate: The background plate of the clip.
        blending: Whether Blend-Net inpaints holes; otherwise they get the head's mean colours.
        report: Receives the phase ``"Read head frames"``.
    """

    def __init__(
        self,
        speaker: SpeakerModel,
        footage: Footage,
        plate: Plate,
        blending: bool = True,
        report: Report | None = None,
    ) -> None:
        self._footage = footage
        self.plate = plate
        self._blend = speaker.head_blend if blending else None
        self._surface = HeadSurface(speaker.face.head)
        gather_texture(self._surface, footage, report=report)

    @torch.no_grad()
    def render(
        self,
        image: NDArray[np.uint8],
        index: int,
        camera: Intrinsics,
        pose: Array,
        background: bool = True,
        camera_from_footage: Array | None = None,
    ) -> View:
        """Render a frame for another camera.

        Args:
            image: uint8 (H, W, 3) frame.
            index: Index of the frame in the footage.
            camera: Intrinsics of the new camera.
            pose: float64 (4, 4) camera_from_head in the new view.
            background: Whether to show the background; otherwise alpha is the head's mask.
            camera_from_footage: float64 (4, 4) pose of the footage's camera, and with it of the background, in the new
                view; None means that both cameras are the same.
        """
        found = bool(self._footage.track.found[index])
        box = self._surface.rectangle(camera, pose) if found else _NOTHING
        rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        colours, depth, mask = (np.zeros((camera.height, camera.width, *rest), np.float32) for rest in ((3,), (), ()))
        silhouette = None
        if box.width and box.height:
            frame = torch.from_numpy(image).to(self._surface.front.device).permute(2, 0, 1)[None].float() / 255
            warped = self._warp(frame, index, camera.cropped(box), pose)
            colours[rows, columns] = self._paint(warped)[0].permute(1, 2, 0).cpu().numpy()
            mask[rows, columns] = warped.buffers.coverage[0].cpu().numpy()
            depth[rows, columns] = warped.buffers.depth[0].cpu().numpy()
            silhouette = warped.source[0].cpu().numpy()
        depth *= mask > 0
        if not background:
            return View(colours, mask, depth, mask)
        behind = self._behind(image, silhouette)
        seen = _homography(self._footage.track.intrinsics, camera, camera_from_footage, self.plate.depth_mm)
        for rows in in_bands(camera.height, camera.width):
            shown = _warped(behind, seen, rows, camera.width)
            colours[rows] = shown + mask[rows, :, None] * (colours[rows] - shown)
        return View(colours, np.ones_like(mask), depth, mask)

    def _warp(self, frame: Tensor, index: int, camera: Intrinsics, pose: Array) -> Warped:
        track = self._footage.track
        old, new = (torch.tensor(matrix, dtype=torch.float32)[None].to(frame) for matrix in (track.poses[index], pose))
        return warp(self._surface, frame, track.intrinsics, old, camera, new)

    def _paint(self, warped: Warped) -> Tensor:
        """The head with its holes inpainted, (1, 3, h, w)."""
        merged = torch.lerp(warped.buffers.colours, warped.pictures, warped.seen[:, None])
        if self._blend is None:
            return merged
        painted = blend_padded(self._blend, merged, warped.holes[:, None])
        refuse_overflow(painted)
        return painted.clamp(0, 1)

    def _behind(self, image: NDArray[np.uint8], silhouette: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Background of a frame: the frame, with the plate in place of the head."""
        picture = image.astype(np.float32) / 255
        if silhouette is not None:
            plate = self.plate.picture.astype(np.float32) / 255
            picture += _hidden(silhouette)[..., None] * (plate - picture)
        return picture


def _warped(picture: NDArray[np.float32], seen: Array, rows: slice, width: int) -> NDArray[np.float32]:
    """Some rows of a picture (H, W, 3) warped by the homography ``seen`` (3, 3), which maps pixels of the result to the
    picture.
    """
    down = np.eye(3)
    down[1, 2] = rows.start
    size, how = (width, rows.stop - rows.start), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(picture, seen @ down, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)


def _hidden(silhouette: NDArray[np.float32]) -> NDArray[np.float32]:
    """Opacity (H, W) of the plate in a frame: the head's silhouette with a margin, which is narrow at the chin."""
    rows = np.flatnonzero((silhouette > 0).any(axis=1))
    if not len(rows):
        return silhouette
    height = float(np.ptp(rows)) + 1
    above, below = (_widened(silhouette, 1 + round(share * height)) for share in (_ABOVE, _BELOW))
    lower = np.clip(((np.arange(len(silhouette)) - rows[0]) / height - _CHIN[0]) / _CHIN[1], 0, 1)
    return above + (below - above) * lower[:, None].astype(np.float32)


def _widened(silhouette: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Dilate a silhouette (H, W) by ``radius`` pixels, with a soft edge."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.GaussianBlur(cv2.dilate(silhouette, disc), (0, 0), radius / 3), np.float32)


def _homography(footage: Intrinsics, camera: Intrinsics, pose: Array | None, depth: float) -> Array:
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
