"""Log-mel spectrogram of speech: independent of the language, and computed without a download."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from ..events import checkpoint
from ..media.audio import in_blocks, powers

SAMPLE_RATE = 16_000
HOP_SECONDS = 0.01
MEL_BANDS = 80

_WINDOW_SECONDS = 0.025
_FFT_SIZE = 512
_LOWEST_HZ, _HIGHEST_HZ = 55.0, 7600.0
_ACTIVE_LEVEL_DB = -20.0
"""Level to which :func:`normalise_loudness` scales the parts with speech."""
_DEVIATION_DB = 12.0
"""Largest difference between the levels of one second of speech and the whole recording; for t seconds, it is divided
by the square root of t (measured: 98 % of spans of 0.5 to 20 s of five recordings deviate by less)."""
PAUSE_DB = 18.0
"""Difference to its surroundings from which a quieter span is a pause, whose room tone must not be taken for quiet
speech (measured in spans of a second of six recordings: speech is up to 15 dB quieter, pauses 21 to 37 dB)."""
_FLOOR = 1e-10
"""Mel power of silence: about 80 dB below the peaks of speech at normal loudness."""
_ROWS = 2000
"""Number of rows that are computed together: their spectra take 8 MB."""
_LARGEST_GAIN_DB = 30.0
"""Largest amplification of a recording, so that the noise of a silent one is not taken for speech."""


def speech_level(speech: NDArray[np.float32], around: NDArray[np.float64] | None = None) -> float:
    """Level in dB of the parts of a recording with speech; -120 for digital silence.

    Args:
        speech: float32 (n,) mono samples at 16 kHz in [-1, 1].
        around: float64 (m,) mean squares of a longer part of the recording, see
            :func:`s2l_core.media.audio.powers`. Since the level of a short span is unreliable, it is limited to the
            usual deviation from its surroundings for spans of that length; a pause has the level of its surroundings.
    """
    level, seconds = _active(powers(in_blocks(speech)))
    if around is None:
        return level
    usual = _active(around)[0]
    if level < usual - PAUSE_DB:
        return usual
    tolerance = _DEVIATION_DB / np.sqrt(max(seconds, 1e-3))
    return float(np.clip(usual, level - tolerance, level + tolerance))


def loudness_gain(level_db: float) -> np.float32:
    """Factor that scales speech with the given level, see :func:`speech_level`, to normal loudness."""
    return np.float32(10.0 ** (min(_ACTIVE_LEVEL_DB - level_db, _LARGEST_GAIN_DB) / 20.0))


def normalise_loudness(speech: NDArray[np.float32], level_db: float | None = None) -> NDArray[np.float32]:
    """Scale speech to normal loudness: a fixed RMS level of the parts with speech.

    Args:
        speech: float32 (n,) mono samples at 16 kHz in [-1, 1].
        level_db: Level of the speech, see :func:`speech_level`; None measures it.

    Returns:
        float32 (n,) samples.
    """
    return loudness_gain(speech_level(speech) if level_db is None else level_db) * speech


def _active(power: NDArray[np.float64]) -> tuple[float, float]:
    """Level in dB and duration in seconds of the parts with speech, from mean squares (m,) of each 20 ms."""
    active = power[power > 0.05 * np.quantile(power, 0.95)] if len(power) else power
    return 10.0 * float(np.log10(max(active.mean(), 1e-12))) if len(active) else -120.0, len(active) / 50


def log_mel(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """Natural logarithm of the mel power spectrum.

    Args:
        speech: float32 (n,) mono samples at 16 kHz.

    Returns:
        float32 (m, 80) with m = n // 160 + 1; row i is centred at i * 10 ms. Digital silence has the lowest value.
    """
    return np.concatenate(list(log_mel_blocks(speech)))


def log_mel_blocks(speech: NDArray[np.float32], gain: float | np.float32 = 1.0) -> Iterator[NDArray[np.float32]]:
    """Consecutive blocks of rows (k, 80) of :func:`log_mel` of speech times ``gain``, bit-identical to it."""
    hop, margin = round(HOP_SECONDS * SAMPLE_RATE), _FFT_SIZE // 2
    count = len(speech) // hop + 1
    filters = _mel_filters()
    for first in range(0, count, _ROWS):
        checkpoint()
        last = min(first + _ROWS, count)
        begin, end = first * hop - margin, (last - 1) * hop + margin
        heard = np.float32(gain) * speech[max(begin, 0) : end]
        yield _rows(np.pad(heard, (max(-begin, 0), end - max(begin, 0) - len(heard))), filters)


def _rows(heard: NDArray[np.float32], filters: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows (k, 80) of samples (n,), which extend half a window beyond the first and the last row."""
    hop, length = round(HOP_SECONDS * SAMPLE_RATE), round(_WINDOW_SECONDS * SAMPLE_RATE)
    window = np.pad(np.hanning(length + 1)[:-1], (_FFT_SIZE - length) // 2).astype(np.complex64)
    # The spectrogram of scipy.signal, bit for bit; importing that module takes half as long as importing torch.
    frames = np.lib.stride_tricks.sliding_window_view(heard, _FFT_SIZE)[::hop]
    spectrum = (rfft(window.real * frames) * np.sqrt(1.0 / window.sum() ** 2)).T
    return np.log(np.maximum(filters @ np.square(np.abs(spectrum)), _FLOOR)).T.astype(np.float32)


def silence_level() -> float:
    """The value of every band of :func:`log_mel` in digital silence."""
    return float(np.log(_FLOOR))


def _mel_filters() -> NDArray[np.float64]:
    """Triangular filters (80, 257), evenly spaced on the mel scale of O'Shaughnessy (1987), each with the sum 1."""
    lowest, highest = 2595.0 * np.log10(1.0 + np.array([_LOWEST_HZ, _HIGHEST_HZ]) / 700.0)
    edges_mel = np.linspace(float(lowest), float(highest), MEL_BANDS + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins = np.fft.rfftfreq(_FFT_SIZE, 1.0 / SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    # the narrowest filters may fall between two bins
    filters[np.arange(MEL_BANDS), np.abs(bins - edges[1:-1, None]).argmin(axis=1)] += 1e-3
    return filters / filters.sum(axis=1, keepdims=True)
