"""Whether a mouth moves with the speech that is said to be its own, and by how much the sound comes late."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfiltfilt

from .errors import SoundOfAnother
from .media.audio import SPEECH_RATE

_RATE = 100
_SYLLABLES = (0.5, 8.0)
_VOICE = (200.0, 4000.0)
_LONGEST_OFFSET = 0.5
_LONGEST_SHIFT = 2.0
_PEAK_WIDTH = 0.3
_FOREIGN = 3.6
_JUDGED_SECONDS = 20.0
SHORTEST_SECONDS = 10.0
"""Below which no offset is told."""


@dataclass(frozen=True)
class Offset:
    """Where the mouth's opening and the speech's energy agree best.

    Attributes:
        seconds: By how much the sound comes after the picture; negative before.
        correlation: Of the two at that offset.
        prominence: That correlation in standard deviations of those at offsets at which the two have nothing to do
            with each other.
        is_foreign: There is so much of both that it would stand out if the sound were this mouth's.
        is_reliable: The agreement stands out enough to go by. With sound of somebody else, prominence stayed below 3.1
            on real clips; it grows with their length, and is 4 to 8 for 20 seconds of a talking head.
    """

    seconds: float
    correlation: float
    prominence: float
    is_reliable: bool
    is_foreign: bool


def find_offset(times: np.ndarray, openings: np.ndarray, speech: np.ndarray) -> Offset | None:
    """Compare at the rate of syllables, 0.5 to 8 Hz, and search half a second to both sides.

    Args:
        times: (N,) seconds of the frames after the first sample of the speech.
        openings: (N,) of the mouth, see :func:`s2l_core.face.layout.mouth_opening`; NaN without a face.
        speech: (n,) mono at 16 kHz.

    Returns:
        None below 10 seconds, or where the mouth or the voice never changes.
    """
    seen = np.isfinite(openings)
    block = SPEECH_RATE // _RATE
    count = int(min(len(speech) / block, times[-1] * _RATE))
    if count < SHORTEST_SECONDS * _RATE or not seen.any():
        return None
    voice = sosfiltfilt(butter(2, _VOICE, "bandpass", fs=SPEECH_RATE, output="sos"), speech[: count * block])
    energy = np.mean(voice.reshape(-1, block) ** 2, axis=1) ** 0.25  # loudness grows about so with power
    moments = (np.arange(count) + 0.5) / _RATE
    opening = np.interp(moments, times[seen], openings[seen])
    known = seen[np.searchsorted(times, moments).clip(0, len(times) - 1)]
    syllables = butter(2, _SYLLABLES, "bandpass", fs=_RATE, output="sos")
    opening, energy = sosfiltfilt(syllables, opening), sosfiltfilt(syllables, energy)
    if min(opening.std(), energy.std()) < 1e-6:
        return None

    shifts = np.arange(-round(_LONGEST_SHIFT * _RATE), round(_LONGEST_SHIFT * _RATE) + 1)
    correlations = np.array([_correlation_at(opening, energy, known, shift) for shift in shifts])
    offsets = shifts / _RATE
    possible = np.where(np.abs(offsets) <= _LONGEST_OFFSET, correlations, -1.0)
    best = int(np.argmax(possible))
    elsewhere = correlations[np.abs(offsets - offsets[best]) > _PEAK_WIDTH]
    peak = float(correlations[best])
    prominence = peak / float(elsewhere.std())
    is_reliable = bool(prominence > 4.5 and peak > 1.5 * elsewhere.max())
    is_foreign = bool(not is_reliable and prominence < _FOREIGN and known.sum() >= _JUDGED_SECONDS * _RATE)
    return Offset(float(offsets[best]), peak, prominence, is_reliable, is_foreign)


def refuse_other_sound(times: np.ndarray, openings: np.ndarray, speech: np.ndarray, path: str) -> None:
    """Raise where a mouth, as in :func:`find_offset`, surely does not move with a sound.

    Raises:
        SoundOfAnother: There is enough of both to tell that.
    """
    offset = find_offset(times, openings, speech)
    if offset is not None and offset.is_foreign:
        raise SoundOfAnother(f"The lips do not move with the sound of {path}.")


def _correlation_at(opening: np.ndarray, energy: np.ndarray, known: np.ndarray, shift: int) -> float:
    """Correlation of the opening, where it is known, with the energy ``shift`` samples after it."""
    count = len(opening) - abs(shift)
    first, second = slice(max(-shift, 0), max(-shift, 0) + count), slice(max(shift, 0), max(shift, 0) + count)
    return float(np.corrcoef(opening[first][known[first]], energy[second][known[first]])[0, 1])
