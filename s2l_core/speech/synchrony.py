"""Checking whether a mouth moves with a sound, and measuring the delay of the sound."""

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
"""Minimum time for which the mouth must be visible to decide that a sound does not belong to it."""
_PREDICTABLE = 0.4
"""Correlation between openings of the mouth and their prediction from the sound below which the sound does not belong
to it: in 20 s of real footage, at least 0.53 for the own sound, and below 0.4 for 90 % of other sounds."""
_BANDS = 10
_CONTEXT_ROWS = np.arange(-12, 13, 4)
_OFFSET_ROWS = np.arange(-60, 61, 12)
_SMOOTHING_ROWS = 2.0
_PENALTY = 0.1
_FOLDS = 5
_MOST_FRAMES = 3000
SHORTEST_SECONDS = 10.0
"""Minimum duration for which an offset is measured."""


@dataclass(frozen=True)
class Offset:
    """Offset with the highest correlation between opening of the mouth and energy of the speech.

    Attributes:
        seconds: Delay of the sound after the picture; negative if the sound comes first.
        correlation: Correlation at that offset.
        prominence: That correlation, in standard deviations of the correlations at large, unrelated offsets.
        is_reliable: Whether the correlation is prominent enough. With sound of another person, prominence was below 3.1
            in real clips; it grows with their length, and is 4 to 8 for 20 seconds of a talking head.
    """

    seconds: float
    correlation: float
    prominence: float
    is_reliable: bool


def find_offset(
    times: NDArray[np.float64], openings: NDArray[np.floating], speech: NDArray[np.float32]
) -> Offset | None:
    """Find the offset between mouth and sound, within half a second in both directions.

    Opening and energy are compared in the band of syllables, 0.5 to 8 Hz.

    Args:
        times: float64 (N,) times of the frames in seconds after the first sample of the speech.
        openings: float (N,) openings of the mouth, see :func:`s2l_core.face.layout.mouth_opening`; NaN without a face.
        speech: float32 (n,) mono at 16 kHz.

    Returns:
        None for less than 10 seconds, or if mouth or voice never change.
    """
    seen = np.isfinite(openings)
    block = SPEECH_RATE // _RATE
    count = int(min(len(speech) / block, times[-1] * _RATE))
    if count < SHORTEST_SECONDS * _RATE or not seen.any():
        return None
    voice = sosfiltfilt(butter(2, _VOICE, "bandpass", fs=SPEECH_RATE, output="sos"), speech[: count * block])
    energy = np.mean(voice.reshape(-1, block) ** 2, axis=1) ** 0.25  # approximates perceived loudness
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
    """Whether a mouth certainly does not move with a sound; False if that is uncertain. Arguments as in
    :func:`find_offset`.

    Loudness alone is not sufficient, since some mouths open little in loud vowels. Therefore the openings are predicted
    from the spectrum, with cross-validation over parts of the clip, and with the sound shifted by up to 0.6 s.
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
    return all(_predictability(bands, rows + shift, openings[chosen]) < _PREDICTABLE for shift in _OFFSET_ROWS)


def refuse_foreign(
    times: NDArray[np.float64], openings: NDArray[np.floating], speech: NDArray[np.float32], path: str
) -> None:
    """Raise an error if a sound does not belong to a mouth, see :func:`is_foreign`.

    Raises:
        SoundOfAnother: The sound does not belong to the mouth.
    """
    if is_foreign(times, openings, speech):
        raise SoundOfAnother(f"The lips do not move with the sound of {path}.")


def _predictability(bands: NDArray[np.floating], rows: NDArray[np.integer], openings: NDArray[np.floating]) -> float:
    """Correlation of openings (n,) with their cross-validated predictions by a ridge regression on the sound (m, bands)
    around rows (n,).
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
    """Correlation of the known openings with the energy ``shift`` samples later."""
    count = len(opening) - abs(shift)
    first, second = slice(max(-shift, 0), max(-shift, 0) + count), slice(max(shift, 0), max(shift, 0) + count)
    return float(np.corrcoef(opening[first][known[first]], energy[second][known[first]])[0, 1])
