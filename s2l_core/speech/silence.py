"""Detecting pauses in speech, and closing the mouth in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_opening

from ..events import checkpoint
from .features import PAUSE_DB, SAMPLE_RATE

STEP_SECONDS = 0.01
"""Interval at which the level of a voice is measured."""
_WINDOW_SECONDS = 0.03
_ROOM_TONE_SHARE, _ABOVE_ROOM_TONE_DB = 0.05, 8.0
"""Quantile of the levels of a voice that is the level of its room, and how far the room may be above it."""
_LONGEST_CLICK, _BESIDE_CLICK = 0.15, 0.25
"""Longest sound in seconds that is none of speech, and least duration of the pauses before and after it."""
_BLOCK = 10 * SAMPLE_RATE
"""Number of samples that are processed together."""
_NOTHING_DB = -75.0
"""Level below which there is silence, however quiet the voice is."""


@dataclass(frozen=True)
class Closing:
    """Timing with which the mouth closes in a pause and opens after it.

    Attributes:
        shortest: Minimum duration of a pause in seconds; the mouth does not close in shorter ones.
        delay: Time from the beginning of the pause until the mouth begins to close, in seconds.
        ramp: Duration of closing and of opening, in seconds.
        lead: Time before the next sound at which the mouth is no longer held closed, in seconds, since lips move first.
        strength: How far the mouth closes, from 0 (not at all) to 1 (to its resting pose).
    """

    shortest: float
    delay: float
    ramp: float
    lead: float
    strength: float


BELOW_A_LEVEL = Closing(shortest=0.15, delay=0.0, ramp=0.1, lead=0.06, strength=1.0)
"""For a level set by the user. Closures of plosives last up to 0.1 s, and are not pauses."""
IN_SILENCE = replace(BELOW_A_LEVEL, shortest=0.45)
"""For silence of half a second, which the windows of the level measurement shorten a little."""
_IN_ROOM_TONE = Closing(shortest=0.75, delay=0.2, ramp=0.2, lead=0.15, strength=1.0)
"""For pauses of a voice in which its room is heard, which are long enough to close and to open again. People breathe in
with open mouths in shorter ones, and open their lips before they are heard.
"""
NO_CLOSING = replace(BELOW_A_LEVEL, strength=0.0)


@dataclass(frozen=True)
class PauseBehaviour:
    """Behaviour of a speaker's mouth in pauses.

    Attributes:
        level_db: Level below which the speaker pauses, in dB relative to the loudness of the speech.
        closing: Timing with which the mouth closes in such pauses.
        silence_db: Level below the noise of the speaker's footage, in dB relative to the loudness of the speech: the
            mouth always closes if the sound is below it for half a second.
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
    """Weight of the resting pose float64 (m,) at given times, from 0 to the strength of the closing.

    Silence is assumed before and after the recording.

    Args:
        speech: float32 (n,) mono at 16 kHz in [-1, 1].
        times: float64 (m,) times in seconds, ascending.
        threshold_db: float64 (m,) levels below which there is a pause, relative to full scale.
        closing: Timing with which the mouth closes in a pause.
    """
    grid = level_moments(speech)
    threshold = np.maximum(np.interp(grid, times, threshold_db), _NOTHING_DB)
    return np.interp(times, grid, closed_shares(measure_levels(speech) < threshold, closing))


def room_tone_level(powers: NDArray[np.float64], level_db: float) -> float:
    """Level in dB below which nothing but the room of a voice is heard.

    A voice that never pauses, and one over music, is rarely or never below it for as long as a pause lasts.

    Args:
        powers: float64 (m,) mean squares of the recording, see :func:`s2l_core.media.audio.powers`.
        level_db: Level of the speech in it, see :func:`s2l_core.speech.features.speech_level`.
    """
    levels = 10.0 * np.log10(np.maximum(powers, 1e-12))
    heard = levels[levels > _NOTHING_DB]
    if not len(heard):
        return _NOTHING_DB
    return float(min(np.quantile(heard, _ROOM_TONE_SHARE) + _ABOVE_ROOM_TONE_DB, level_db - PAUSE_DB))


def resting_in_room_tone(
    speech: NDArray[np.float32], times: NDArray[np.float64], room_tone_db: float
) -> NDArray[np.float64]:
    """As :func:`resting`, for long pauses in which only the room is heard, and clicks in it.

    Args:
        speech: float32 (n,) mono at 16 kHz in [-1, 1].
        times: float64 (m,) times in seconds, ascending.
        room_tone_db: Level of the room, see :func:`room_tone_level`.
    """
    beside, click = (np.ones(round(seconds / STEP_SECONDS)) for seconds in (_BESIDE_CLICK, _LONGEST_CLICK))
    padded = np.pad(measure_levels(speech) < room_tone_db, len(beside), constant_values=True)
    pauses = binary_closing(binary_opening(padded, beside), click)[len(beside) : -len(beside)]
    return np.interp(times, level_moments(speech), closed_shares(pauses, _IN_ROOM_TONE))


def closed_shares(quiet: NDArray[np.bool_], closing: Closing) -> NDArray[np.float64]:
    """Weight of the resting pose float64 (g,) every 10 ms, with pauses in ``quiet`` bool (g,) and beyond both ends."""
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
    """Values float64 (m,) at times (m,) of a curve of a job, which is evenly spaced from 0 to ``last`` seconds."""
    return np.interp(times, np.linspace(0.0, max(last, 1e-9), len(curve)), curve)


def level_moments(speech: NDArray[np.float32]) -> NDArray[np.float64]:
    """Times float64 (g,) in seconds at which :func:`measure_levels` measures."""
    return np.arange(0.0, len(speech) / SAMPLE_RATE + STEP_SECONDS, STEP_SECONDS)


def measure_levels(speech: NDArray[np.float32]) -> NDArray[np.float64]:
    """Level float64 (g,) in dB every 10 ms of speech (n,) at 16 kHz, -120 for digital silence."""
    middle = level_moments(speech) * SAMPLE_RATE
    half = _WINDOW_SECONDS * SAMPLE_RATE / 2
    edges = [np.clip(np.round(middle + side), 0, len(speech)).astype(int) for side in (-half, half)]
    begin, end = edges
    energy = _energy_until(speech, edges)
    power = (energy[1] - energy[0]) / np.maximum(end - begin, 1)
    return 10.0 * np.log10(np.maximum(power, 1e-12))


def _energy_until(speech: NDArray[np.float32], edges: list[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
    """Cumulative sums of the squares of speech (n,) up to the samples ``edges``, which ascend."""
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
