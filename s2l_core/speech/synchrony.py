"""Whether a mouth moves with the speech that is said to be its own, and by how much the sound comes late."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfiltfilt

from ..errors import SoundOfAnother
from ..media.audio import SPEECH_RATE
from ..subsampling import evenly_spaced
from .features import HOP_SECONDS, log_mel, normalise_loudness

_RATE = 100
_SYLLABLES = (0.5, 8.0)
_VOICE = (200.0, 4000.0)
_LONGEST_OFFSET = 0.5
_LONGEST_SHIFT = 2.0
_PEAK_WIDTH = 0.3
JUDGED_SECONDS = 20.0
"""Of a mouth that must be seen to tell that a sound is not its own."""
_TOLD = 0.4
"""Correlation of a mouth's openings with what its own sound tells of them: 0.53 or more in 20 seconds of real footage,
and with other sound below 0.4 in nine cases of ten."""
_BANDS = 10
_CONTEXT_ROWS = np.arange(-12, 13, 4)
_OFFSET_ROWS = np.arange(-60, 61, 12)
_SMOOTHING_ROWS = 2.0
_PENALTY = 0.1
_FOLDS = 5
_MOST_FRAMES = 3000
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
        is_reliable: The agreement stands out enough to go by. With sound of somebody else, prominence stayed below 3.1
            on real clips; it grows with their length, and is 4 to 8 for 20 seconds of a talking head.
    """

    seconds: float
    correlation: float
    prominence: float
    is_reliable: bool


def find_offset(
    times: NDArray[np.float64], openings: NDArray[np.floating], speech: NDArray[np.float32]
) -> Offset | None:
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
    return Offset(float(offsets[best]), peak, prominence, is_reliable)


def is_foreign(times: NDArray[np.float64], openings: NDArray[np.floating], speech: NDArray[np.float32]) -> bool:
    """Whether a mouth, as in :func:`find_offset`, surely does not move with a sound; False where that cannot be told.

    Loudness alone does not tell, for some mouths open little in loud vowels. So the openings are predicted from the
    spectrum, each stretch by a regression on the others, with the sound moved by up to 0.6 s.
    """
    seen = np.isfinite(openings)
    if seen.sum() < JUDGED_SECONDS * len(times) / max(times[-1] - times[0], 1e-3):
        return False
    offset = find_offset(times, openings, speech)
    if offset is None or offset.is_reliable:
        return False
    mel = log_mel(normalise_loudness(speech))
    bands = gaussian_filter1d(mel.reshape(len(mel), _BANDS, -1).mean(axis=2), _SMOOTHING_ROWS, axis=0)
    bands = (bands - bands.mean(axis=0)) / max(float(bands.std()), 1e-6)
    chosen = np.flatnonzero(seen)
    chosen = chosen[evenly_spaced(len(chosen), _MOST_FRAMES)]
    rows = np.round(times[chosen] / HOP_SECONDS).astype(int)
    return all(_told(bands, rows + shift, openings[chosen]) < _TOLD for shift in _OFFSET_ROWS)


def refuse_foreign(
    times: NDArray[np.float64], openings: NDArray[np.floating], speech: NDArray[np.float32], path: str
) -> None:
    """Raise where a sound is not that of a mouth, see :func:`is_foreign`.

    Raises:
        SoundOfAnother: It is not.
    """
    if is_foreign(times, openings, speech):
        raise SoundOfAnother(f"The lips do not move with the sound of {path}.")


def _told(bands: NDArray[np.floating], rows: NDArray[np.integer], openings: NDArray[np.floating]) -> float:
    """Correlation of openings (n,) with what is told of each stretch from the others by a ridge regression on the sound
    (m, bands) around rows (n,).
    """
    inside = (rows + _CONTEXT_ROWS[0] >= 0) & (rows + _CONTEXT_ROWS[-1] < len(bands))
    heard = bands[rows[inside, None] + _CONTEXT_ROWS].reshape(int(inside.sum()), -1)
    true = openings[inside]
    if len(true) < 2 * heard.shape[1]:
        return 1.0
    told, deviations = np.zeros(len(true)), np.zeros(len(true))
    margin = len(true) // 50
    for fold in np.array_split(np.arange(len(true)), _FOLDS):
        others = np.r_[0 : max(fold[0] - margin, 0), min(fold[-1] + margin, len(true)) : len(true)]
        centred = heard[others] - heard[others].mean(axis=0)
        squares = centred.T @ centred / len(others) + _PENALTY * np.eye(heard.shape[1])
        weights = np.linalg.solve(squares, centred.T @ true[others] / len(others))
        told[fold] = (heard[fold] - heard[fold].mean(axis=0)) @ weights
        deviations[fold] = true[fold] - true[fold].mean()
    return float(np.corrcoef(told, deviations)[0, 1])


def _correlation_at(
    opening: NDArray[np.floating], energy: NDArray[np.floating], known: NDArray[np.bool_], shift: int
) -> float:
    """Correlation of the opening, where it is known, with the energy ``shift`` samples after it."""
    count = len(opening) - abs(shift)
    first, second = slice(max(-shift, 0), max(-shift, 0) + count), slice(max(shift, 0), max(shift, 0) + count)
    return float(np.corrcoef(opening[first][known[first]], energy[second][known[first]])[0, 1])
