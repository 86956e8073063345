"""Pasting canonical lips into frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..canonical.compositing import Placement, composite, place, warp
from ..canonical.light import Light, positions_in, relight
from ..canonical.regions import Observer, regions_to_tensor
from ..canonical.view import CanonicalFace
from ..footage import Footage
from ..media.planes import Part
from ..model.blend import BlendNet
from ..model.speaker_fields import refuse_overflow


class Change(NamedTuple):
    """A part of a frame with a new mouth.

    Attributes:
        part: The part.
        changed: bool (height, width) its pixels in the mask of the mouth.
    """

    part: Part
    changed: NDArray[np.bool_]


class LipPaster:
    """Pastes canonical lips into the frames of a clip (C2O, paper section 4.3).

    Args:
        face: The canonical view, on the device to compute on.
        footage: The clip.
    """

    def __init__(self, face: CanonicalFace, footage: Footage) -> None:
        self.observer = Observer(face, footage, face.lips.depth.device)
        self._view = face.lips
        self._found = footage.track.found

    @torch.no_grad()
    def paste(
        self,
        images: Sequence[NDArray[np.uint8]],
        indices: NDArray[np.integer],
        lips: Tensor,
        blend: BlendNet | None = None,
        weights: NDArray[np.float32] | None = None,
        light: Light | None = None,
    ) -> list[NDArray[np.uint8]]:
        """Paste new lips into frames.

        Args:
            images: B frames, uint8 (H, W, 3).
            indices: int64 (B,) their indices in the footage.
            lips: float32 (B, 3, h, w) in [0, 1], of any resolution.
            blend: Blend-Net; None pastes the lips without it.
            weights: float32 (B,) opacity of the new lips; None means 1.
            light: Light of the B frames; None means that of the lips.

        Returns:
            New images. Outside the mask of the mouth, in frames without a face, and at weight 0 they equal the given
            ones.

        Raises:
            SpeakerFileBroken: The lips, or their blend, are not finite.
        """
        placement = self.place(indices)
        warped = warp(lips, placement, self._view)
        changes = self.change([Part.of(image) for image in images], indices, warped, placement, blend, weights, light)
        return [change.part.pixels for change in changes]

    @torch.no_grad()
    def change(
        self,
        parts: Sequence[Part],
        indices: NDArray[np.integer],
        warped: Tensor,
        placement: Placement,
        blend: BlendNet | None = None,
        weights: NDArray[np.float32] | None = None,
        light: Light | None = None,
    ) -> list[Change]:
        """As :meth:`paste`, for parts of frames that contain the mouth regions, and for lips at the pixels of these.

        Args:
            parts: B parts of frames.
            indices: int64 (B,) their indices in the footage.
            warped: float32 (B, 3, H, W) lips in the mouth regions.
            placement: Where the regions are, see :meth:`place`.
            blend: As in :meth:`paste`.
            weights: As in :meth:`paste`.
            light: As in :meth:`paste`.

        Returns:
            The parts with new mouths. Outside the mask of the mouth they equal the given ones.
        """
        plan = self.observer.plan
        cuts = np.stack([plan.cut(part, int(index)) for part, index in zip(parts, indices, strict=True)])
        regions = regions_to_tensor(torch.from_numpy(cuts).to(warped.device))
        blended = self._join(warped, regions, placement, blend, light)
        kept = ~self._found[indices]
        if weights is not None:
            blended = torch.lerp(regions, blended, torch.from_numpy(weights).to(blended)[:, None, None, None])
            kept |= weights == 0
        replaced = (placement.mask > 0) & torch.from_numpy(~kept).to(warped.device)[:, None, None, None]
        refuse_overflow(torch.where(replaced, blended, 0.0))
        quantised, where = (
            picture.permute(0, 2, 3, 1).cpu().numpy()
            for picture in ((blended.clamp(0, 1) * 255).round().to(torch.uint8), replaced)
        )
        changes = []
        for part, index, new, old, inside in zip(parts, indices, quantised, cuts, where, strict=True):
            pixels, changed = part.pixels.copy(), np.zeros(part.pixels.shape[:2], dtype=bool)
            corner = part.box.left, part.box.top
            plan.put(pixels, int(index), np.where(inside, new, old), corner)
            plan.put(changed, int(index), inside[..., 0], corner)
            changes.append(Change(replace(part, pixels=pixels), changed))
        return changes

    def _join(
        self, warped: Tensor, regions: Tensor, placement: Placement, blend: BlendNet | None, light: Light | None
    ) -> Tensor:
        """Lay lips over regions in the light of the regions. The residual of Blend-Net is computed in the light of
        the training, and then converted.
        """
        if light is None:
            merged = composite(warped, regions, placement.mask)
            return merged if blend is None else blend(merged, placement.mask)
        positions = positions_in(self._view.rectangle, placement.pixels)
        merged = composite(relight(warped, light.to_footage, positions), regions, placement.mask)
        if blend is None:
            return merged
        known = composite(warped, relight(regions, light.to_speaker, positions), placement.mask)
        before, after = (
            relight(picture, light.to_footage, positions) for picture in (known, blend(known, placement.mask))
        )
        return merged + (after - before)

    def masks(self, indices: NDArray[np.integer], height: int, width: int) -> NDArray[np.uint8]:
        """uint8 (B, height, width), opacity of the new lips in each pixel of frames ``indices``. A pixel with 0 never
        changes.
        """
        masks = np.zeros((len(indices), height, width, 1), np.uint8)
        inside = (self.place(indices).mask * 255).ceil().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        for mask, index, region in zip(masks, indices, inside, strict=True):
            self.observer.plan.put(mask, int(index), region)
        return masks[..., 0]

    def place(self, indices: NDArray[np.integer]) -> Placement:
        """Where the mouth regions of frames ``indices`` (B,) are in the canonical view."""
        observer, device = self.observer, self._view.depth.device
        poses = observer.poses[torch.as_tensor(indices, device=device)]
        return place(self._view, observer.intrinsics, poses, observer.plan.grids(indices, device))
