"""Where nobody speaks, and how far the mouth rests there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening

from ..events import checkpoint
from .features import SAMPLE_RATE

STEP_SECONDS = 0.01
"""Distance of the moments at which the level of a voice is measured."""
_WINDOW_SECONDS = 0.03
_BLOCK = 10 * SAMPLE_RATE
"""Samples that are computed together."""
_NOTHING_DB = -75.0
"""A level under which there is nothing to hear, however quiet the voice."""


@dataclass(frozen=True)
class Closing:
    """How a mouth comes to rest in a pause, and leaves its rest again.

    Attributes:
        shortest: Seconds that a pause lasts at least; shorter ones do not close the mouth.
        delay: Seconds from the beginning of the pause until the mouth begins to close.
        ramp: Seconds that it takes to close, and to open again.
        lead: Seconds before the next sound at which the mouth is free again: lips move first.
        strength: How far it closes, from 0, not at all, to 1, to its resting pose.
    """

    shortest: float
    delay: float
    ramp: float
    lead: float
    strength: float


BELOW_A_LEVEL = Closing(shortest=0.15, delay=0.0, ramp=0.1, lead=0.06, strength=1.0)
"""For a level that the user sets. Closures of plosives last up to a tenth of a second and are no pauses."""
IN_SILENCE = replace(BELOW_A_LEVEL, shortest=0.45)
"""Where there is nothing to hear for half a second, of which the windows of the level take a little."""
NO_CLOSING = replace(BELOW_A_LEVEL, strength=0.0)


@dataclass(frozen=True)
class PauseBehaviour:
    """How a speaker's mouth behaves where nobody speaks.

    Attributes:
        level_db: Level under which the speaker pauses, in dB against the loudness of the speech.
        closing: What the mouth does in such pauses.
        silence_db: Level under which the speaker's footage held nothing: there the mouth rests whenever that lasts half
            a second.
    """

    level_db: float = -25.0
    closing: Closing = NO_CLOSING
    silence_db: float = -60.0


def resting(
    speech: NDArray[np.float32],
    times: NDArray[np.float64],
    threshold_db: NDArray[np.float64],
    closing: Closing = BELOW_A_LEVEL,
) -> NDArray[np.float64]:
    """How far the mouth rests at each of some moments (m,), from 0 to the strength of the closing.

    Before and after the recording there is silence.

    Args:
        speech: (n,) mono at 16 kHz in [-1, 1].
        times: (m,) seconds, rising.
        threshold_db: (m,) levels under which it is quiet, where full scale is 0.
        closing: What the mouth does in a pause.
    """
    grid = level_moments(speech)
    threshold = np.maximum(np.interp(grid, times, threshold_db), _NOTHING_DB)
    return np.interp(times, grid, closed_shares(measure_levels(speech) < threshold, closing))


def closed_shares(quiet: NDArray[np.bool_], closing: Closing) -> NDArray[np.float64]:
    """How far the mouth rests (g,), every 10 ms, where it is quiet (g,) and beyond both ends."""
    shortest = max(1, round(closing.shortest / STEP_SECONDS))
    margin = 2 * shortest + round((closing.delay + closing.ramp + closing.lead) / STEP_SECONDS)
    padded = np.pad(quiet, margin, constant_values=True)
    pause = binary_opening(padded, np.ones(shortest))
    places = np.arange(len(pause))
    last_sound = np.maximum.accumulate(np.where(pause, -len(pause), places))
    next_sound = np.minimum.accumulate(np.where(pause, 2 * len(pause), places)[::-1])[::-1]
    closes = STEP_SECONDS * (places - last_sound) - closing.delay
    opens = STEP_SECONDS * (next_sound - places) - closing.lead
    shares = closing.strength * _smooth(np.minimum(closes, opens) / closing.ramp)
    return shares[margin : margin + len(quiet)]


def curve_at(curve: Sequence[float], times: NDArray[np.float64], last: float) -> NDArray[np.float64]:
    """A curve of a job, whose values are evenly spaced from 0 to ``last`` seconds, at times (m,)."""
    return np.interp(times, np.linspace(0.0, max(last, 1e-9), len(curve)), curve)


def level_moments(speech: NDArray[np.float32]) -> NDArray[np.float64]:
    """The moments (g,) in seconds at which :func:`measure_levels` measures."""
    return np.arange(0.0, len(speech) / SAMPLE_RATE + STEP_SECONDS, STEP_SECONDS)


def measure_levels(speech: NDArray[np.float32]) -> NDArray[np.float64]:
    """Level of speech (n,) at 16 kHz every 10 ms, (g,) in dB, -120 in digital silence."""
    middle = level_moments(speech) * SAMPLE_RATE
    half = _WINDOW_SECONDS * SAMPLE_RATE / 2
    edges = [np.clip(np.round(middle + side), 0, len(speech)).astype(int) for side in (-half, half)]
    begin, end = edges
    energy = _energy_until(speech, edges)
    power = (energy[1] - energy[0]) / np.maximum(end - begin, 1)
    return 10.0 * np.log10(np.maximum(power, 1e-12))


def _energy_until(speech: NDArray[np.float32], edges: list[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
    """Sums of the squares of speech (n,) up to each of its samples ``edges``, which rise."""
    sums, before = [np.zeros(len(places)) for places in edges], 0.0
    for first in range(0, len(speech), _BLOCK):
        checkpoint()
        squares = np.square(speech[first : first + _BLOCK], dtype=np.float64)
        energy = np.cumsum(np.concatenate([[before], squares]))
        for places, known in zip(edges, sums, strict=True):
            inside = slice(*np.searchsorted(places, [first, first + len(energy)]))
            known[inside] = energy[places[inside] - first]
        before = energy[-1]
    return sums


def _smooth(share: NDArray[np.float64]) -> NDArray[np.float64]:
    share = np.clip(share, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)
