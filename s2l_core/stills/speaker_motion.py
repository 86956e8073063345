"""Motion of lips as a trained speaker moves them: their codes of speech, told as offsets of anybody's lips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import SpeakerFileOlder
from ..events import Report
from ..media.audio import in_blocks, powers
from ..model.exemplars import Exemplars
from ..model.speaker import SpeakerModel
from ..mouth.line_codes import rest_in_silence, speech_track
from ..speech.encoder import SpeechEncoder, codes_at
from ..speech.features import speech_level
from ..speech.silence import room_tone_level
from .lip_motion import parse, read_file
from .lip_shape import LIPS, without_overlap

Array = NDArray[np.float64]


class SpeakerMotion:
    """Offsets of lips and chin from speech, by a trained speaker.

    A speaker file says how far each code moves the lips of the speaker's canonical view, which faces the camera
    approximately. The motion of the chin is the one that goes with such lips in other people.

    Args:
        speaker: The speaker, on the device to compute on.

    Attributes:
        exemplars: Real mouths of the speaker.

    Raises:
        SpeakerFileOlder: The file does not contain the motion of the speaker's lips.
    """

    exemplars: Exemplars

    def __init__(self, speaker: SpeakerModel) -> None:
        if speaker.exemplars is None or len(speaker.exemplars.outline) != LIPS:
            raise SpeakerFileOlder(f"The speaker file of {speaker.name} does not say how the lips move.")
        self._speaker, self.exemplars = speaker, speaker.exemplars
        box = speaker.face.lips.rectangle
        sides = np.array([box.width, box.height], np.float64)
        outline, motion = (sides * part.cpu().numpy() for part in (self.exemplars.outline, self.exemplars.motion))
        self._motions = _with_chin(_seen_from_the_front(motion, outline))
        encoder = speaker.lip.speech
        rest = encoder.rest()
        self._rest = encoder.articulation(rest) if isinstance(encoder, SpeechEncoder) else rest

    def offsets(
        self,
        speech: NDArray[np.float32],
        times: NDArray[np.float64],
        report: Report | None = None,
        level_db: float | None = None,
    ) -> NDArray[np.float32]:
        """Offsets float32 (F, 41, 2) of lips and chin from the speaker's resting mouth, as
        :meth:`s2l_core.stills.lip_motion.LipMotion.offsets` gives them.
        """
        level = speech_level(speech) if level_db is None else level_db
        room_tone = room_tone_level(powers(in_blocks(speech)), level)
        return self.shapes(self.codes(speech, times, level, room_tone, (), (1.0,)))

    def codes(
        self,
        speech: NDArray[np.float32],
        times: NDArray[np.float64],
        level_db: float,
        room_tone_db: float,
        silence_db: Sequence[float],
        strength: Sequence[float],
        begin: float = 0.0,
    ) -> Tensor:
        """Codes float32 (F, 64) of speech, with the mouth at rest in silence.

        Args:
            speech: float32 (n,) the whole recording, mono at 16 kHz.
            times: float64 (F,) ascending moments in seconds after the first sample.
            level_db: Level of the speech.
            room_tone_db: Level of its room, see :func:`s2l_core.speech.silence.room_tone_level`.
            silence_db: Curve from ``begin`` to the last moment, see :class:`s2l_core.jobs.StillJob`.
            strength: Curve ``rest_strength`` of the job, likewise.
            begin: Second of the recording at which the curves begin.
        """
        heard = speech_track(self._speaker, speech, level_db)
        last = float(times[-1]) - begin
        levels = level_db, room_tone_db
        resting = rest_in_silence(self._speaker, heard, speech, *levels, silence_db, strength, last, begin)
        return codes_at(resting, times)

    def shapes(self, codes: Tensor) -> NDArray[np.float32]:
        """Offsets float32 (F, 41, 2) of codes (F, 64)."""
        from_rest = (codes - self._rest.to(codes)).detach().cpu().double().numpy()
        return without_overlap(np.tensordot(from_rest, self._motions, 1)).astype(np.float32)


@dataclass(frozen=True)
class SpeakerLine:
    """A line as a speaker says it.

    Attributes:
        motion: Motion of the speaker's lips.
        codes: float32 (F, 64) codes of the frames.
    """

    motion: SpeakerMotion
    codes: Tensor


def _seen_from_the_front(motions: Array, lips: Array) -> Array:
    """Motions (64, 40, 2) in pixels as offsets along and across a mouth with lips (40, 2), in widths of it."""
    across = lips[LIPS // 4] - lips[0]
    width = np.linalg.norm(across)
    right, down = across / width, np.array([-across[1], across[0]]) / width
    return np.asarray(motions @ np.stack([right, down], axis=1) / width)


def _with_chin(motions: Array) -> Array:
    """Offsets (..., 41, 2) of lips (..., 40, 2) and of the chin, by the typical motions that are most like them."""
    typical = parse(read_file())["motions"].double().numpy()
    flat = motions.reshape(len(motions), -1)
    amounts = np.linalg.lstsq(typical[:, :LIPS].reshape(len(typical), -1).T, flat.T, rcond=None)[0]
    chin = amounts.T @ typical[:, LIPS:].reshape(len(typical), -1)
    return np.concatenate([motions, chin.reshape(len(motions), 1, 2)], axis=1)
