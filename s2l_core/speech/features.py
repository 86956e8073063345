"""Log-mel spectrogram of speech: language-neutral, causal enough to stream, nothing to download."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.signal import stft

from ..events import checkpoint
from ..media.audio import in_blocks, powers

SAMPLE_RATE = 16_000
HOP_SECONDS = 0.01
MEL_BANDS = 80

_WINDOW_SECONDS = 0.025
_FFT_SIZE = 512
_LOWEST_HZ, _HIGHEST_HZ = 55.0, 7600.0
_ACTIVE_LEVEL_DB = -20.0
"""Level that :func:`normalise_loudness` gives to the parts in which somebody speaks."""
_DEVIATION_DB = 12.0
"""By how much the level of one second of speech may differ from that of the whole recording; of t seconds, by this over
the root of t (measured: 98 % of spans of half a second to 20 s of five recordings deviate by less)."""
_PAUSE_DB = 18.0
"""A span that is quieter than its surroundings by more than this holds a pause, whose room tone is no quiet speech
(measured: of spans of a second of six recordings, those with speech are quieter by up to 15 dB, pauses by 21 to 37)."""
_FLOOR = 1e-10
"""Mel power of silence: about 80 dB under the peaks of speech at the normal level."""
_ROWS = 2000
"""Rows that are computed together: their spectra take 8 MB."""
_LARGEST_GAIN_DB = 30.0
"""A recording is lifted by 30 dB at most, so that the noise of a silent one is not taken for speech."""


def speech_level(speech: NDArray[np.float32], around: NDArray[np.float64] | None = None) -> float:
    """Level in dB of those parts of a recording in which somebody speaks; -120 where there is no sound.

    Args:
        speech: (n,) mono samples at 16 kHz in [-1, 1].
        around: (m,) mean squares of more of the same recording, see :func:`s2l_core.media.audio.powers`. A short span
            says little about how loud its speaker speaks, so its level is drawn to that of its surroundings, as far as
            spans of its length usually deviate from those; that of a pause is theirs.
    """
    level, seconds = _active(powers(in_blocks(speech)))
    if around is None:
        return level
    usual = _active(around)[0]
    if level < usual - _PAUSE_DB:
        return usual
    tolerance = _DEVIATION_DB / np.sqrt(max(seconds, 1e-3))
    return float(np.clip(usual, level - tolerance, level + tolerance))


def loudness_gain(level_db: float) -> np.float32:
    """What samples with active parts of a level are multiplied with, so that these have a fixed RMS level."""
    return np.float32(10.0 ** (min(_ACTIVE_LEVEL_DB - level_db, _LARGEST_GAIN_DB) / 20.0))


def normalise_loudness(speech: NDArray[np.float32], level_db: float | None = None) -> NDArray[np.float32]:
    """Speech scaled so that its active parts have a fixed RMS level.

    Args:
        speech: (n,) mono samples at 16 kHz in [-1, 1].
        level_db: Its level, see :func:`speech_level`; None measures it.

    Returns:
        (n,) samples. Silence stays silence.
    """
    return loudness_gain(speech_level(speech) if level_db is None else level_db) * speech


def _active(power: NDArray[np.float64]) -> tuple[float, float]:
    """Level in dB and seconds of the parts in which somebody speaks, of mean squares (m,) every 20 ms."""
    active = power[power > 0.05 * np.quantile(power, 0.95)] if len(power) else power
    return 10.0 * float(np.log10(max(active.mean(), 1e-12))) if len(active) else -120.0, len(active) / 50


def log_mel(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """Natural logarithm of the mel power spectrum.

    Args:
        speech: (n,) mono samples at 16 kHz.

    Returns:
        (m, 80) float32; row i is centred at i * 10 ms; m = n // 160 + 1. Silence is the lowest value that occurs.
    """
    return np.concatenate(list(log_mel_blocks(speech)))


def log_mel_blocks(speech: NDArray[np.float32], gain: float | np.float32 = 1.0) -> Iterator[NDArray[np.float32]]:
    """Consecutive rows (k, 80) of :func:`log_mel` of speech times ``gain``, the same to the bit, some at a time."""
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
    """Rows (k, 80) of what is heard (n,) from half a window before the first one to half a window after the last."""
    hop, window = round(HOP_SECONDS * SAMPLE_RATE), round(_WINDOW_SECONDS * SAMPLE_RATE)
    _, _, spectrum = stft(
        heard,
        window=np.pad(np.hanning(window + 1)[:-1], (_FFT_SIZE - window) // 2),
        nperseg=_FFT_SIZE,
        noverlap=_FFT_SIZE - hop,
        boundary=None,
        padded=False,
    )
    return np.log(np.maximum(filters @ np.square(np.abs(spectrum)), _FLOOR)).T.astype(np.float32)


def silence_level() -> float:
    """The value of every band of :func:`log_mel` in digital silence."""
    return float(np.log(_FLOOR))


def _mel_filters() -> NDArray[np.float64]:
    """(80, 257) triangular filters, evenly spaced on the mel scale of O'Shaughnessy (1987), each summing to one."""
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
