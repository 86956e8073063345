"""What the audio encoder hears (Chen et al. 2018): log-mel of 128 bands, four columns a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import stft

from ..speech.features import SAMPLE_RATE, normalise_loudness
from .sizes import BANDS, COLUMNS, RATE

_HOP = SAMPLE_RATE // (RATE * COLUMNS)
_WINDOW, _FFT_SIZE = 400, 2048
_HIGHEST_HZ = SAMPLE_RATE / 2
_FLOOR = 1e-11
_MIDDLE, _RANGE = -16.5, 4.0
"""Mean and standard deviation of the logarithm in speech of normal loudness."""


def log_mel(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-mel spectrogram, float32 (m, 128) with a row every 10 ms, about 0 on average with a deviation of 1.

    Picture i of a video at 25 fps is drawn for rows 4 i to 4 i + 3. The paper uses sound of 44.1 kHz and frequencies up
    to 16 kHz; here they end at 8 kHz, since much footage has no others.

    Args:
        speech: float32 (n,) mono samples at 16 kHz in [-1, 1], of any loudness.
    """
    padded = np.pad(normalise_loudness(speech), _FFT_SIZE // 2)
    window = np.pad(np.hanning(_WINDOW + 1)[:-1], (_FFT_SIZE - _WINDOW) // 2)
    _, _, spectrum = stft(
        padded, window=window, nperseg=_FFT_SIZE, noverlap=_FFT_SIZE - _HOP, boundary=None, padded=False
    )
    power = _filters() @ np.square(np.abs(spectrum))
    return ((np.log(np.maximum(power, _FLOOR)) - _MIDDLE) / _RANGE).T.astype(np.float32)


def rows_of_pictures(mel: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The first 4 ``count`` rows of log-mel (m, 128), those of ``count`` pictures; missing ones are silent."""
    wanted = COLUMNS * count
    silence = (np.log(_FLOOR) - _MIDDLE) / _RANGE
    return np.pad(mel[:wanted], ((0, max(0, wanted - len(mel))), (0, 0)), constant_values=silence)


def _filters() -> NDArray[np.float64]:
    """Triangular filters (128, 1025), evenly spaced on the mel scale of O'Shaughnessy (1987), each with the sum 1."""
    highest = 2595.0 * np.log10(1.0 + _HIGHEST_HZ / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, highest, BANDS + 2) / 2595.0) - 1.0)
    bins = np.fft.rfftfreq(_FFT_SIZE, 1.0 / SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    return filters / filters.sum(axis=1, keepdims=True)
