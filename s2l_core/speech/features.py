"""Log-mel spectrogram of speech: language-neutral, causal enough to stream, nothing to download."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import stft

SAMPLE_RATE = 16_000
HOP_SECONDS = 0.01
MEL_BANDS = 80

_WINDOW_SECONDS = 0.025
_FFT_SIZE = 512
_LOWEST_HZ, _HIGHEST_HZ = 55.0, 7600.0
_ACTIVE_LEVEL = 0.1
"""RMS that :func:`normalise_loudness` gives to the parts in which somebody speaks."""
_FLOOR = 1e-10
"""Mel power of silence: about 80 dB under the peaks of speech at the normal level."""
_LARGEST_GAIN = 30.0
"""A recording is lifted by 30 dB at most, so that the noise of a silent one is not taken for speech."""


def normalise_loudness(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """Speech scaled so that its active parts have a fixed RMS level.

    Args:
        speech: (n,) mono samples at 16 kHz in [-1, 1].

    Returns:
        (n,) samples. Silence stays silence.
    """
    block = SAMPLE_RATE // 50
    count = len(speech) // block
    if count == 0:
        return speech
    power = np.square(speech[: count * block].reshape(count, block).astype(np.float64)).mean(axis=1)
    active = power[power > 0.05 * np.quantile(power, 0.95)]
    if active.size == 0:
        return speech
    gain = min(_ACTIVE_LEVEL / np.sqrt(active.mean()), 10.0 ** (_LARGEST_GAIN / 20.0))
    return np.float32(gain) * speech


def log_mel(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """Natural logarithm of the mel power spectrum.

    Args:
        speech: (n,) mono samples at 16 kHz.

    Returns:
        (m, 80) float32; row i is centred at i * 10 ms; m = n // 160 + 1. Silence is the lowest value that occurs.
    """
    hop = round(HOP_SECONDS * SAMPLE_RATE)
    window = round(_WINDOW_SECONDS * SAMPLE_RATE)
    padded = np.pad(speech, (_FFT_SIZE // 2, _FFT_SIZE // 2 + hop))
    _, _, spectrum = stft(
        padded,
        window=np.pad(np.hanning(window + 1)[:-1], (_FFT_SIZE - window) // 2),
        nperseg=_FFT_SIZE,
        noverlap=_FFT_SIZE - hop,
        boundary=None,
        padded=False,
    )
    power = np.square(np.abs(spectrum[:, : len(speech) // hop + 1]))
    return np.log(np.maximum(_mel_filters() @ power, _FLOOR)).T.astype(np.float32)


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
