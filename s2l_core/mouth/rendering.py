"""Rendering a speaker's mouth into frames: from codes of speech to finished pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..canonical.light import Light, positions_in, relight
from ..canonical.regions import lip_shapes
from ..footage import Footage
from ..media.planes import Part
from ..model.look import LookPixels
from ..model.speaker import SpeakerModel
from ..speech.encoder import codes_at
from .pasting import Change, LipPaster
from .sight import Sight, Sighter

BATCH = 8
"""Frames that are rendered together. More are no faster on a CPU and take memory."""


class MouthRenderer:
    """Replaces the mouth in frames of a clip.

    Args:
        speaker: The speaker, on the device to compute on.
        footage: The clip.
        light: Light of the footage's frames; None means that of the training.
        blending: Whether to use Blend-Net, unless the speaker has exemplars: Blend-Net sharpens what a lip model
            renders, and exemplars are sharp.
    """

    def __init__(
        self, speaker: SpeakerModel, footage: Footage, light: Light | None = None, blending: bool = True
    ) -> None:
        self._speaker = speaker
        self._device = next(speaker.lip.parameters()).device
        self._paster = LipPaster(speaker.face, footage)
        self._found = footage.track.found
        self._shapes = torch.from_numpy(lip_shapes(footage.landmarks, footage.track, footage.layout))
        look_pixels = LookPixels.of(speaker.face)
        self._look_positions = [part.to(self._device) for part in look_pixels.positions(speaker.face)]
        self._sighter = Sighter(self._paster.observer, look_pixels)
        self._light = light
        self._blending = blending and speaker.exemplars is None

    def find(self, indices: NDArray[np.integer]) -> Sight:
        """Where frames ``indices`` (B,) are read."""
        return self._sighter.find(indices)

    @torch.no_grad()
    def codes(
        self,
        images: Sequence[NDArray[np.uint8] | Part],
        indices: NDArray[np.integer],
        track: Tensor,
        times: NDArray[np.float64],
        sight: Sight | None = None,
    ) -> Tensor:
        """Motion codes (B, code) for frames ``indices``: the codes of speech at ``times`` (B,) of its track, plus the
        offsets of the look model.

        Args:
            images: B frames, uint8 (H, W, 3), or parts of them that contain the boxes of :meth:`find`.
            indices: int64 (B,) their indices in the footage.
            track: (t, size) codes of speech, one every 40 ms.
            times: (B,) seconds of the track.
            sight: Where the frames are read, if that is known.
        """
        parts = [image if isinstance(image, Part) else Part.of(image) for image in images]
        surroundings, border = self._sighter.colours(parts, sight or self.find(indices))
        light = self._light_of(indices)
        if light is not None:
            surroundings, border = (
                relight(colours.unflatten(1, (3, -1)), light.to_speaker, positions).flatten(1)
                for colours, positions in zip((surroundings, border), self._look_positions, strict=True)
            )
        shapes = self._shapes[torch.as_tensor(indices)].to(self._device)
        return self._speaker.lip.code(codes_at(track, times) + self._speaker.look(surroundings, border, shapes))

    @torch.no_grad()
    def render(
        self,
        images: Sequence[NDArray[np.uint8]],
        indices: NDArray[np.integer],
        lips: Tensor,
        weights: NDArray[np.float32] | None = None,
    ) -> list[NDArray[np.uint8]]:
        """Render new lips into frames.

        Args:
            images: B frames, uint8 (H, W, 3).
            indices: int64 (B,) their indices in the footage.
            lips: As in :meth:`LipPaster.paste`.
            weights: As in :meth:`LipPaster.paste`.

        Returns:
            New images. Outside the mask of the mouth, and in frames without a face, they equal the given ones.
        """
        blend = self._speaker.blend if self._blending else None
        return self._paster.paste(images, indices, lips, blend, weights, self._light_of(indices))

    @torch.no_grad()
    def change(
        self,
        parts: Sequence[Part],
        indices: NDArray[np.integer],
        paint: Callable[[Tensor], Tensor],
        weights: NDArray[np.float32],
    ) -> list[Change]:
        """As :meth:`render`, for parts of frames, see :meth:`LipPaster.change`.

        Args:
            parts: B parts of frames.
            indices: int64 (B,) their indices in the footage.
            paint: Maps positions (B, H, W, 2) in the lip rectangle, see
                :func:`s2l_core.canonical.light.positions_in`, to lips (B, 3, H, W).
            weights: As in :meth:`LipPaster.paste`.
        """
        blend = self._speaker.blend if self._blending else None
        placement = self._paster.place(indices)
        warped = paint(positions_in(self._speaker.face.lips.rectangle, placement.pixels))
        return self._paster.change(parts, indices, warped, placement, blend, weights, self._light_of(indices))

    def masks(
        self, indices: NDArray[np.integer], weights: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.uint8]:
        """As :meth:`LipPaster.masks`, multiplied by ``weights`` (B,); 0 in frames without a face."""
        masks = self._paster.masks(indices, height, width)
        shares = np.where(self._found[indices], weights, 0)[:, None, None]
        return np.ceil(masks * shares).astype(np.uint8)

    def _light_of(self, indices: NDArray[np.integer]) -> Light | None:
        """The light of some frames; None if all of them have the light of the training."""
        light = None if self._light is None else self._light.of(indices)
        return None if light is None or light.is_same else light
