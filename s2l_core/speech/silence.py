"""Where nobody speaks, so that the mouth can rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening

from .features import SAMPLE_RATE

_STEP_SECONDS = 0.01
_WINDOW_SECONDS = 0.03
_SHORTEST_SECONDS = 0.15
"""Closures of plosives last up to a tenth of a second and are no silence."""
_RAMP_SECONDS = 0.1
"""How long the mouth takes to its rest and back."""
_LEAD_SECONDS = 0.06
"""The mouth is free so long before the sound begins: lips move first."""
_NOTHING_DB = -75.0
"""A level under which there is nothing to hear, however quiet the voice."""


def resting(
    speech: NDArray[np.float32],
    times: NDArray[np.float64],
    loudness_db: float,
    silence_db: NDArray[np.float64],
) -> NDArray[np.float64]:
    """How far the mouth rests at each of some moments (m,): 1 in silence, 0 in speech, and smooth between.

    What is quiet for at least 0.15 s is silence. Inside of it the mouth comes to rest within 0.1 s, and leaves its rest
    so early that it is free 0.06 s before the sound begins. Before and after the recording there is silence.

    Args:
        speech: (n,) mono at 16 kHz in [-1, 1].
        times: (m,) seconds, rising.
        loudness_db: Of its louder parts, see :func:`s2l_core.media.audio.measure_level`.
        silence_db: (m,) levels against that under which it is silent.
    """
    grid = np.arange(0.0, len(speech) / SAMPLE_RATE + _STEP_SECONDS, _STEP_SECONDS)
    threshold = np.maximum(loudness_db + np.interp(grid, times, silence_db), _NOTHING_DB)
    quiet = _levels(speech, grid) < threshold
    shortest = round(_SHORTEST_SECONDS / _STEP_SECONDS)
    margin = 2 * shortest
    silent = binary_opening(np.pad(quiet, margin, constant_values=True), np.ones(shortest))
    edges = np.diff(silent.astype(int), prepend=1, append=1)
    begins, ends = np.flatnonzero(edges == -1), np.flatnonzero(edges == 1)
    rest = np.ones(len(times))
    for begin, end in zip(begins, ends, strict=True):
        first, last = (_STEP_SECONDS * (place - margin) for place in (begin, end))
        outside = np.maximum(first - _LEAD_SECONDS - times, times - last)
        rest = np.minimum(rest, _smooth(outside / _RAMP_SECONDS))
    return rest


def curve_at(curve: Sequence[float], times: NDArray[np.float64], last: float) -> NDArray[np.float64]:
    """A curve of a job, whose values are evenly spaced from 0 to ``last`` seconds, at times (m,)."""
    return np.interp(times, np.linspace(0.0, max(last, 1e-9), len(curve)), curve)


def _levels(speech: NDArray[np.float32], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level in dB around moments (g,), -120 in digital silence."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(speech, dtype=np.float64))])
    middle = grid * SAMPLE_RATE
    half = _WINDOW_SECONDS * SAMPLE_RATE / 2
    begin, end = (np.clip(np.round(middle + side), 0, len(speech)).astype(int) for side in (-half, half))
    power = (energy[end] - energy[begin]) / np.maximum(end - begin, 1)
    return 10.0 * np.log10(np.maximum(power, 1e-12))


def _smooth(share: NDArray[np.float64]) -> NDArray[np.float64]:
    share = np.clip(share, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)
