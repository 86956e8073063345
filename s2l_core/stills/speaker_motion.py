"""Lip shapes as a trained speaker makes them, so that a person's own way of speaking moves their portrait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import BadJob
from ..face.layout import MESH468
from ..geometry.camera import project
from ..media.mix import CONTEXT_SECONDS
from ..model.exemplars import FINENESS, Exemplars
from ..model.speaker import SpeakerModel
from ..mouth.exemplar_choice import choose_exemplars
from ..mouth.rendering import rest_in_silence, speech_track
from ..speech.encoder import CODE_SECONDS, SpeechEncoder, codes_at
from .lip_shape import LIPS, POINTS, without_overlap

Array = NDArray[np.float64]

_CHIN_SHARE = 0.9
"""Motion of the chin relative to the middle of the lower lip: exemplars do not show it."""
_LOWER_MIDDLE = np.array([13, 14, 15, 16, 17])
"""Points of a shape in the middle of the lower lip's outer edge."""


class SpeakerMotion:
    """Shapes of a speaker's lips, linear in the motion codes.

    Args:
        speaker: The speaker, on the CPU.

    Attributes:
        exemplars: Real mouths of the speaker.
        outline: float64 (40, 2) points of the resting lips in shares of the sides of the lip rectangle.
        rest: float32 (64,) code of the resting mouth.

    Raises:
        BadJob: The speaker was trained without exemplars, or with another landmark model.
    """

    exemplars: Exemplars

    def __init__(self, speaker: SpeakerModel) -> None:
        if speaker.exemplars is None or len(speaker.known_head.shape) != MESH468.count:
            raise BadJob(
                f"The speaker {speaker.name[:80]} has no mouths of the footage that could move a picture.",
                "Train the speaker with the architecture 'exemplars' and landmarks of 468 points.",
            )
        self._speaker, self.exemplars = speaker, speaker.exemplars
        view = speaker.face.lips
        box = view.rectangle
        pixels = project(speaker.known_head.shape[POINTS[:LIPS]], view.pose.double().numpy(), view.intrinsics)
        self.outline = (pixels - [box.left, box.top]) / [box.width, box.height]
        self._sides = np.array([box.width, box.height]) / float(np.ptp(pixels[:, 0]))
        # The lattice is continuous and does not part lips: their inner edges move as the outer ones beside them.
        outer = _sample(self.exemplars.shifts.numpy().astype(np.float64), self.outline[: LIPS // 2])
        self._shifts = np.concatenate([outer, outer], axis=1)
        encoder = speaker.lip.speech
        rest = encoder.articulation(encoder.rest()) if isinstance(encoder, SpeechEncoder) else encoder.rest()
        self.rest = rest.detach().float()

    def codes(
        self,
        heard: NDArray[np.float32],
        times: Array,
        level_db: float,
        silence_db: Sequence[float],
        strength: Sequence[float],
    ) -> Tensor:
        """Codes float32 (F, 64) at times (F,) of the voice.

        Args:
            heard: float32 (n,) at 16 kHz, the voice with :data:`s2l_core.media.mix.CONTEXT_SECONDS` of sound before it.
            times: float64 (F,) times in seconds of the voice.
            level_db: Level of the speech.
            silence_db: See :class:`s2l_core.jobs.StillJob`.
            strength: ``rest_strength`` of the job.
        """
        track = speech_track(self._speaker, heard, level_db)
        curves = silence_db, strength, float(times[-1])
        codes = rest_in_silence(self._speaker, track, heard, level_db, *curves, begin=CONTEXT_SECONDS)
        return codes_at(codes[round(CONTEXT_SECONDS / CODE_SECONDS) :], times)

    def offsets(self, codes: Tensor) -> NDArray[np.float32]:
        """Offsets float32 (F, 41, 2) from the resting lips, see :mod:`.lip_shape`, of codes (F, 64)."""
        moved = self.moved(codes) * self._sides
        chin = _CHIN_SHARE * np.maximum(moved[:, _LOWER_MIDDLE, 1].mean(axis=1), 0.0)
        chins = np.stack([np.zeros_like(chin), chin], axis=-1)[:, None]
        return without_overlap(np.concatenate([moved, chins], axis=1)).astype(np.float32)

    def moved(self, codes: Tensor) -> Array:
        """Motion float64 (F, 40, 2) of the lips from rest, in shares of the sides of the lip rectangle."""
        return np.tensordot((codes - self.rest).double().numpy(), self._shifts, 1)

    def choose(self, codes: Tensor) -> NDArray[np.int64]:
        """Exemplars (F,) that are shown in a line with codes (F, 64)."""
        return choose_exemplars(self.exemplars, codes)


@dataclass(frozen=True)
class SpeakerLine:
    """A line as a speaker says it.

    Attributes:
        motion: Shapes of the speaker's lips.
        codes: float32 (F, 64) codes of the frames.
    """

    motion: SpeakerMotion
    codes: Tensor


def _sample(shifts: Array, places: Array) -> Array:
    """Values (64, P, 2) of lattices (64, 2, n, n) over a rectangle at places (P, 2) in shares of its sides."""
    x, y = (np.clip(places * FINENESS, 0, FINENESS - 1e-6)).T
    column, row = x.astype(int), y.astype(int)
    right, down = x - column, y - row
    corners = [
        ((1 - right) * (1 - down), row, column),
        (right * (1 - down), row, column + 1),
        ((1 - right) * down, row + 1, column),
        (right * down, row + 1, column + 1),
    ]
    mixed = sum(weight * shifts[:, :, at_row, at_column] for weight, at_row, at_column in corners)
    return np.asarray(mixed).transpose(0, 2, 1)
