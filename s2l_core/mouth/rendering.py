"""Rendering a speaker's mouth into frames: from speech to motion codes to finished pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..canonical.compositing import Placement, composite, place, warp
from ..canonical.light import Light, positions_in, relight
from ..canonical.regions import Observer, lip_shapes, regions_to_tensor
from ..canonical.view import CanonicalFace
from ..device import one_thread
from ..errors import BadJob
from ..footage import Footage
from ..media.audio import SPEECH_RATE
from ..media.planes import Part
from ..model.blend import BlendNet
from ..model.look import LookPixels
from ..model.speaker import SpeakerModel
from ..model.speaker_fields import refuse_overflow
from ..speech.encoder import CODE_SECONDS, SpeechEncoder, codes_at
from ..speech.features import loudness_gain, speech_level
from ..speech.moonshine import open_moonshine
from ..speech.named_networks import name_network, named_network
from ..speech.silence import IN_SILENCE, curve_at, resting, resting_in_room_tone
from ..speech.sources import LOG_MEL, SpeechSource, open_source, split_source
from .sight import Sight, Sighter

BATCH = 8
"""Frames that are rendered together. More are no faster on a CPU and take memory."""

_LEAST_SPEECH = SPEECH_RATE // 10


def open_speech_source(speaker: SpeakerModel, folder: str = "") -> SpeechSource:
    """Open the source of a speaker's speech features.

    A speaker file may come from anybody, so the network folder that it names is opened only if the user has named it on
    this machine.

    Args:
        speaker: The speaker, on the device to compute on.
        folder: Folder of the network on this machine, which is remembered. Empty uses the remembered one.

    Raises:
        FileMissing, SpeechFeaturesUnavailable: The network is missing.
        BadJob: The network was not named on this machine, or is not the one that the speaker was trained with.
    """
    name = speaker.source
    if name == LOG_MEL and folder:
        raise BadJob(
            f"{speaker.name} encodes speech as log-mel and uses no speech network.", "Leave out --speech-network."
        )
    if name != LOG_MEL:
        named, layer = split_source(name)
        if folder:
            name_network(named, folder)
        name = f"{named_network(named)}{layer}"
    source = open_source(name, next(speaker.lip.parameters()).device.type)
    if source.bands != len(speaker.lip.speech.silence):
        raise BadJob(f"The speech network {name} differs from the one used in training.", "Restore the original.")
    return source


@one_thread()  # their number would change how sums are rounded, and with them the bytes of a dub
def speech_track(speaker: SpeakerModel, speech: NDArray[np.float32], level_db: float | None = None) -> Tensor:
    """Codes (t, size) of speech, one every 40 ms.

    Args:
        speaker: The speaker, on the device to compute on.
        speech: float32 (n,) at 16 kHz.
        level_db: Its level, see :func:`s2l_core.speech.features.speech_level`; None measures it.

    Raises:
        Speech2LipError: As :func:`open_speech_source`.
        SpeechFeaturesUnavailable: The speaker was trained with Moonshine, which is not installed.
    """
    device = next(speaker.lip.parameters()).device
    source = open_speech_source(speaker)
    if len(speech) < _LEAST_SPEECH:
        speech = np.pad(speech, (0, _LEAST_SPEECH - len(speech)))
    gain = loudness_gain(speech_level(speech) if level_db is None else level_db)
    encoder = speaker.lip.speech
    track = encoder.track_pieces(torch.from_numpy(rows).to(device) for rows in source.pieces(speech, gain))
    if not isinstance(encoder, SpeechEncoder):
        return track
    if encoder.prior_share > 0:
        states = open_moonshine().pieces(speech, gain)
        track = encoder.with_prior(track, (torch.from_numpy(rows).to(device) for rows in states))
    return encoder.articulation(track, others=speaker.exemplars is not None)


@one_thread()
def rest_in_silence(
    speaker: SpeakerModel,
    track: Tensor,
    speech: NDArray[np.float32],
    level_db: float,
    room_tone_db: float,
    silence_db: Sequence[float],
    strength: Sequence[float],
    last: float,
    begin: float = 0.0,
) -> Tensor:
    """Blend codes of speech towards the mouth at rest in pauses and in silence.

    Args:
        speaker: The speaker.
        track: (t, size) codes, as :func:`speech_track` gives them.
        speech: float32 (n,) at 16 kHz, of which they were made.
        level_db: Its level.
        room_tone_db: Level of the room in which it was spoken, see :func:`s2l_core.speech.silence.room_tone_level`.
        silence_db: Curve of levels, relative to ``level_db``, below which the mouth closes; an empty curve closes it as
            the speaker's own mouth closes in pauses, and in long ones. A higher level closes it more often.
        strength: Curve of how far the mouth closes, from 0, which leaves the codes unchanged, to 1.
        last: Duration of both curves in seconds.
        begin: Second of the track at which they begin.
    """
    times = CODE_SECONDS * np.arange(len(track))
    moments = times - begin
    pauses = speaker.pauses
    if silence_db:
        shares = resting(speech, times, level_db + curve_at(silence_db, moments, last))
    else:
        in_pauses, in_silence = (np.full(len(times), level_db + db) for db in (pauses.level_db, pauses.silence_db))
        each = (
            resting(speech, times, in_pauses, pauses.closing),
            resting(speech, times, in_silence, IN_SILENCE),
            resting_in_room_tone(speech, times, room_tone_db),
        )
        shares = np.max(each, axis=0)
    shares *= curve_at(strength, moments, last)
    encoder = speaker.lip.speech
    rest = encoder.articulation(encoder.rest()) if isinstance(encoder, SpeechEncoder) else encoder.rest()
    return torch.lerp(track, rest.to(track), torch.from_numpy(shares).to(track)[:, None])


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
