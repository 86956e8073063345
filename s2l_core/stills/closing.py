"""Closing the mouth of a speaking picture in silence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..media.mix import CONTEXT_SECONDS
from ..speech.silence import BELOW_A_LEVEL, IN_SILENCE, curve_at, resting, resting_in_room_tone

_SILENCE_DB = -40.0
"""Level relative to the loudness of the speech below which nobody speaks, unless the job says another. In pauses that
are louder, lips part as people breathe.
"""


def open_shares(
    heard: NDArray[np.float32],
    times: NDArray[np.float64],
    level_db: float,
    room_tone_db: float,
    silence_db: Sequence[float],
    strength: Sequence[float],
) -> NDArray[np.float32]:
    """How far the lips follow the speech, float32 (F,): 0 is a closed mouth, 1 leaves it as the speech says.

    Args:
        heard: float32 (n,) at 16 kHz, the voice with :data:`s2l_core.media.mix.CONTEXT_SECONDS` of sound before it.
        times: float64 (F,) times of the frames in seconds of the voice, ascending.
        level_db: Level of the speech.
        room_tone_db: Level of its room, see :func:`s2l_core.speech.silence.room_tone_level`.
        silence_db: See :class:`s2l_core.jobs.StillJob`.
        strength: ``rest_strength`` of the job.
    """
    last, clock = float(times[-1]), times + CONTEXT_SECONDS
    if silence_db:
        shares = resting(heard, clock, level_db + curve_at(silence_db, times, last), BELOW_A_LEVEL)
    else:
        in_silence = resting(heard, clock, np.full(len(times), level_db + _SILENCE_DB), IN_SILENCE)
        shares = np.maximum(in_silence, resting_in_room_tone(heard, clock, room_tone_db))
    return (1.0 - shares * curve_at(strength, times, last)).astype(np.float32)
