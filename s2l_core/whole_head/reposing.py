"""Re-posing a head (paper section 5.4): renders a frame of the footage for another camera."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cache import NO_CACHE, Cache, Tensors
from ..events import Report
from ..face.matte import Matting
from ..footage import Footage
from ..geometry.camera import Array, Intrinsics, Rectangle, project
from ..geometry.splatting import Warped, in_bands, warp
from ..model.blend import blend_padded
from ..model.speaker import SpeakerModel
from ..model.speaker_fields import refuse_overflow
from .beyond import ever_smoother, mirrored, sample_blurred
from .cutting import CutFrame, background_in, cut, disc, head_size, matte_of
from .plate import Plate, beyond_borders, fill, homography
from .shading import fit_shading, gain, rotation_in_footage
from .surface import HeadSurface
from .texture import Observations, gather_texture, observe
from .torso import Torso

_ABOVE, _NECK = 0.08, 0.1
"""Distance above the mouth at which the torso begins, and over which it does so, relative to the head's size. With 0
instead of the first, long hair has a gap beside the mouth.
"""
_RIM = 0.03
"""Width of the head's rim, relative to its size, whose colours the hidden part of the neck begins with."""
_BEYOND = 0.05
"""Distance from the head's outline, relative to the square root of its area, up to which the frame may show more of the
head, such as strands of hair or a cap: no outline fits all frames. It must be smaller than the margin of the rectangle
of the head.
"""
_LEAST_ALPHA = 1e-3
"""Opacity below which a pixel has no colour."""
_UNCOVERED = 0.05
"""Coverage by the head up to which a pixel shows the torso."""
_LONGEST_SIDE = 96
"""Longer side in pixels of the picture from which the colours of the hidden part of the neck are continued."""
_GAP = 0.02
"""Half the width of the gaps in the head's opacity that are closed, relative to the square root of its area: where the
side of the head is seen beside the outline that it has in the frame.
"""


_GAPS, _SPECKS, _SOFT = 0.02, 0.04, 0.01
"""Radii of gaps that are closed and of specks that are removed where the frame shows the surface, and softness of the
border of the rest, relative to the square root of the head's area. Beside ears and along the jaw, where the surface is
seen edge-on, patches of the frame would alternate with patches of the clip's colours.
"""


class View(NamedTuple):
    """A rendered view.

    Attributes:
        colours: float32 (h, w, 3) gamma-coded RGB in [0, 1], not multiplied by alpha.
        alpha: float32 (h, w) in [0, 1]; without the background, that of the person.
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
        torso: Neck and shoulders in the clip.
        matting: Cuts out the person.
        blending: Whether Blend-Net inpaints holes; otherwise they get the head's mean colours.
        report: Receives the phase ``"Read head frames"``.
        cache: Cache of what the frames of the clip show of the head.
    """

    def __init__(
        self,
        speaker: SpeakerModel,
        footage: Footage,
        plate: Plate,
        torso: Torso,
        matting: Matting,
        blending: bool = True,
        report: Report | None = None,
        cache: Cache = NO_CACHE,
    ) -> None:
        self._footage = footage
        self.plate, self.torso = plate, torso
        self._matting = matting
        self._blend = speaker.head_blend if blending else None
        self._surface = HeadSurface(speaker.face.head)

        def look() -> Tensors:
            return observe(self._surface, footage, matting, report=report)._asdict()

        observed = Observations(**cache.get_or_compute("head", look, self._surface.front.device))
        gather_texture(self._surface, observed)
        self._light = fit_shading(self._surface, observed)

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
            background: Whether to show the background; otherwise the person stands alone.
            camera_from_footage: float64 (4, 4) pose of the footage's camera, and with it of the background, in the new
                view; None means that both cameras are the same.
        """
        track = self._footage.track
        if not track.found[index]:
            return self._without_head(image, camera, background, camera_from_footage)

        # The head in front, then neck and shoulders.
        layers = self._cut(image, index)
        box, front, depth, covered = self._head(layers, index, camera, pose, camera_from_footage)
        place = np.eye(4) if camera_from_footage is None else camera_from_footage
        torso = self._torso_layer(layers, covered, index).to(self._surface.front.device)
        behind = self.torso.rendered(torso, camera, place, track.poses[index], pose).cpu().numpy()
        alpha, colours = behind[3].copy(), behind[:3] * behind[3]
        mask, within = np.zeros_like(alpha), np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
        mask[within] = front[3]
        colours[:, *within] = front[3] * front[:3] + (1 - front[3]) * colours[:, *within]
        alpha[within] = front[3] + (1 - front[3]) * alpha[within]
        distance = np.zeros_like(alpha)
        distance[within] = depth
        picture = cv2.merge(list(colours))
        if not background:
            return View(picture / np.maximum(alpha, _LEAST_ALPHA)[..., None], alpha, distance, mask)

        # The background behind both: the plate, and what moves in the frame.
        wall = self.plate.picture
        if not self.plate.is_still:
            shown = background_in(layers.matte, head_size(self._footage, index))
            wall = np.asarray(cv2.blendLinear(image, wall, shown, 1 - shown), np.uint8)
        for rows, seen in self._on_plane(wall, camera, camera_from_footage):
            picture[rows] += seen * ((1 - alpha[rows]) / 255)[..., None]
        return View(picture, np.ones_like(mask), distance, mask)

    def _head(
        self, layers: CutFrame, index: int, camera: Intrinsics, pose: Array, camera_from_footage: Array | None
    ) -> tuple[Rectangle, NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """The rectangle of the head, colours and opacity (4, h, w) and depth (h, w) in it, and how much of each pixel
        of the frame the head covers (H, W).
        """
        covered = np.zeros_like(layers.matte)
        box = self._surface.rectangle(camera, pose)
        if not (box.width and box.height):
            return (
                box,
                np.zeros((4, box.height, box.width), np.float32),
                np.zeros((box.height, box.width), np.float32),
                covered,
            )
        warped, shown = self._warp(layers, index, camera.cropped(box), pose)
        colours, opacity = self._paint(warped)
        before = rotation_in_footage(self._footage.track.poses[index], None).to(colours)
        after = rotation_in_footage(pose, camera_from_footage).to(colours)
        colours = (colours[0] * gain(self._light, warped.buffers.normals[0], before, after)).clamp_(0, 1)
        covered[shown] = warped.source[0].cpu().numpy()
        depth = warped.buffers.depth * (opacity > 0)
        return box, torch.cat([colours, opacity]).cpu().numpy(), depth[0].cpu().numpy(), covered

    def _without_head(
        self, image: NDArray[np.uint8], camera: Intrinsics, background: bool, camera_from_footage: Array | None
    ) -> View:
        """A frame in which no head is tracked, on the plane of the background."""
        nothing = np.zeros((camera.height, camera.width), np.float32)
        if not background:
            return View(np.zeros((*nothing.shape, 3), np.float32), nothing, nothing, nothing)
        bands = [seen for _, seen in self._on_plane(image, camera, camera_from_footage)]
        return View(_in_floats(bands), np.ones_like(nothing), nothing, nothing)

    def background_alone(self, camera: Intrinsics, camera_from_footage: Array) -> NDArray[np.float32]:
        """The plate (h, w, 3), without the person, as a camera sees it; see :meth:`render`."""
        return _in_floats([seen for _, seen in self._on_plane(self.plate.picture, camera, camera_from_footage)])

    def _on_plane(
        self, picture: NDArray[np.uint8], camera: Intrinsics, camera_from_footage: Array | None
    ) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
        """Bands of rows of a picture (H, W, 3) on the plane of the background, as a camera sees it. Beyond its borders,
        the picture is mirrored, the more blurred the farther away.
        """
        there = homography(self._footage.track.intrinsics, camera, camera_from_footage, self.plate.depth_mm)
        smoother: list[Tensor] = []
        for rows in in_bands(camera.height, camera.width):
            down = np.eye(3)
            down[1, 2] = rows.start
            size, how = (camera.width, rows.stop - rows.start), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            seen = np.asarray(
                cv2.warpPerspective(picture, there @ down, size, flags=how, borderMode=cv2.BORDER_REPLICATE), np.uint8
            )
            pixels, beyond = beyond_borders(there @ down, size, picture.shape[:2])
            if len(pixels):
                if not smoother:
                    smoother = self._smoother_plate if picture is self.plate.picture else _smoother(picture)
                places, distance = mirrored(torch.from_numpy(pixels), picture.shape[1], picture.shape[0])
                seen[beyond] = sample_blurred(smoother, places, distance).T.round().numpy()
            yield rows, seen

    @cached_property
    def _smoother_plate(self) -> list[Tensor]:
        """The plate, and ever smoother ones, for what is beyond its borders."""
        return _smoother(self.plate.picture)

    def _cut(self, image: NDArray[np.uint8], index: int) -> CutFrame:
        matte = matte_of(self._footage, index, image, self._matting)
        return cut(image, matte, self.plate.picture, head_size(self._footage, index))

    def _torso_layer(self, layers: CutFrame, covered: NDArray[np.float32], index: int) -> Tensor:
        """Colours and matte (4, H, W) of the torso in a frame. Behind the lower half of the head, the neck continues in
        the colours around it. Farther above the mouth there is no torso: hair beyond the head's surface would stay
        behind.
        """
        track, size = self._footage.track, head_size(self._footage, index)
        below = self._torso_share(track.intrinsics, track.poses[index])
        rim = disc(_RIM * size)
        hidden = cv2.GaussianBlur(cv2.erode(_in_bytes(covered), rim), (0, 0), max(1.0, _RIM * size / 3))
        known = (covered < _UNCOVERED) & (below > 0) & (layers.matte > 1 - _UNCOVERED)
        share, continued = hidden * np.float32(1 / 255), _continued(layers.person, known)
        colours = [
            np.asarray(own + share * (carried - own), np.float32)
            for own, carried in zip(cv2.split(layers.person), cv2.split(continued), strict=True)
        ]
        matte = _closed(np.maximum(layers.matte, covered), rim)
        return torch.from_numpy(np.stack([*colours, matte * below]))

    def _torso_share(self, camera: Intrinsics, pose: Array) -> NDArray[np.float32]:
        """Share (h, 1) of the torso in each row of a picture: 1 from just below the mouth downwards."""
        points, corners = project(self._footage.track.shape, pose, camera)[:, 1], self._footage.layout.mouth_corners
        size = float(np.ptp(points))
        rows = np.arange(camera.height, dtype=np.float32)[:, None] - np.float32(points[corners].mean() - _ABOVE * size)
        return np.asarray((rows / np.float32(_NECK * size)).clip(0, 1))

    def _warp(
        self, layers: CutFrame, index: int, camera: Intrinsics, pose: Array
    ) -> tuple[Warped, tuple[slice, slice]]:
        """A frame as another camera sees it, and the part of it that was used."""
        track, device = self._footage.track, self._surface.front.device
        box = self._surface.rectangle(track.intrinsics, track.poses[index])
        if not (box.width and box.height):
            box = track.intrinsics.rectangle
        part = np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
        frame = torch.from_numpy(np.stack([*cv2.split(layers.person[part]), layers.matte[part]]))[None].to(device)
        old, new = (torch.tensor(matrix, dtype=torch.float32)[None].to(frame) for matrix in (track.poses[index], pose))
        warped = warp(self._surface, frame, track.intrinsics.cropped(box), old, camera, new, _BEYOND)
        seen = _in_one_piece(warped.seen, warped.buffers.coverage)
        beyond = warped.beyond * torch.from_numpy(1 - self._torso_share(camera, pose)).to(seen)
        return warped._replace(seen=seen.maximum(beyond), beyond=beyond), part

    def _paint(self, warped: Warped) -> tuple[Tensor, Tensor]:
        """Colours (1, 3, h, w) of the head with its holes inpainted, and its opacity (1, h, w). Where the frame shows
        the outline, its matte decides on both sides of it, but what it half shows outside of the surface is left out.
        """
        buffers = warped.buffers
        merged = torch.lerp(buffers.colours, warped.pictures[:, :3], warped.seen[:, None])
        opacity = buffers.coverage * (1 - warped.seen * warped.outline * (1 - warped.pictures[:, 3]))
        opacity = opacity + (1 - opacity) * warped.beyond * (1.5 * warped.pictures[:, 3] - 0.5).clamp(min=0)
        gap = disc(_GAP * float(opacity.sum(dim=(1, 2)).mean()) ** 0.5)
        opacity = torch.from_numpy(np.stack([_closed(plane, gap) for plane in opacity.cpu().numpy()])).to(opacity)
        if self._blend is None:
            return merged, opacity
        painted = blend_padded(self._blend, merged, warped.holes[:, None])
        refuse_overflow(painted)
        return painted.clamp(0, 1), opacity


def _smoother(picture: NDArray[np.uint8]) -> list[Tensor]:
    """A picture (H, W, 3) and ever smoother ones, see :func:`.beyond.ever_smoother`."""
    return ever_smoother(torch.from_numpy(picture).movedim(-1, 0).float())


def _continued(colours: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Colours (H, W, 3) that continue those of a part (H, W) of a picture, at a low resolution."""
    height, width = known.shape
    scale = min(1.0, _LONGEST_SIDE / max(height, width))
    size = max(1, round(scale * width)), max(1, round(scale * height))
    small = (cv2.resize(colours, size, interpolation=cv2.INTER_AREA) * 255).astype(np.uint8)
    inside = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.99
    filled = fill(small, inside).astype(np.float32) / 255
    return np.asarray(cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR))


def _in_bytes(plane: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Values of a plane (h, w) in [0, 1] from 0 to 255, with which morphology is several times as fast."""
    return np.asarray(cv2.convertScaleAbs(plane, alpha=255))


def _in_floats(bands: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """A picture (h, w, 3) in [0, 1] from its bands."""
    return np.concatenate(bands) * np.float32(1 / 255)


def _closed(opacity: NDArray[np.float32], gap: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Close gaps in an opacity (h, w) that are narrower than a disc."""
    before = _in_bytes(opacity)
    after = cv2.morphologyEx(before, cv2.MORPH_CLOSE, gap)
    return np.where(after > before, after * np.float32(1 / 255), opacity)


def _in_one_piece(seen: Tensor, coverage: Tensor) -> Tensor:
    """Weights ``seen`` (B, h, w) of the frame without gaps and specks, on a head that covers (B, h, w)."""
    size = float(coverage.sum(dim=(1, 2)).mean()) ** 0.5
    planes = []
    for plane in seen.cpu().numpy():
        closed = cv2.morphologyEx(_in_bytes(plane), cv2.MORPH_CLOSE, disc(_GAPS * size))
        opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc(_SPECKS * size))
        planes.append(np.minimum(opened, cv2.GaussianBlur(opened, (0, 0), max(0.5, _SOFT * size))))
    return torch.from_numpy(np.stack(planes) * np.float32(1 / 255)).to(seen) * (coverage > 0)
