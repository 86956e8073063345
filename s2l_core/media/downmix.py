"""Mixing several channels down to one channel of speech.

Channels are averaged, unless they cancel each other out: in the mean, a microphone with inverted polarity, or one that
is farther away, removes part of the signal of another. In that case only the best channel is used, for the whole
recording, so that the sound does not change midway. If a film has a channel for dialogue, that is the speech.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]
"""float32 (channels,): weight of each channel in the speech."""

_FRAME_SECONDS = 0.06
_LOWEST_HZ, _HIGHEST_HZ = 100.0, 6000.0
_QUIETEST_BIN = 1e-5
"""Power relative to the loudest frequency below which a frequency is ignored."""
_CANCELLED = 0.3
"""Power of the mean, relative to that of uncorrelated channels, below which a frequency counts as cancelled: an echo of
equal strength cancels a quarter of the frequencies, an inverted copy all of them."""
_CANCELLED_SHARE = 0.1
"""Share of the frequencies, weighted on the mel scale, that may be cancelled in an acceptable mean."""
_AUDIBLE_CENTRE = 0.01
"""Power of the centre channel relative to the loudest one from which it is assumed to contain the dialogue."""
_WIDEST_RANGE_DB, _EQUAL_RANGE_DB = 60.0, 3.0


def plain_mean(channels: int) -> Weights:
    """Weights of the mean of all channels."""
    return np.full(channels, 1.0 / channels, np.float32)


def speech_weights(rate: int, blocks: Iterable[NDArray[np.float32]], names: tuple[str, ...]) -> Weights:
    """Weights with which the channels of a recording are mixed down to speech.

    Args:
        rate: Sample rate in Hz.
        blocks: Consecutive blocks float32 (n, channels) of the whole recording, of which one is held in memory.
        names: FFmpeg's names of the channels, such as ``"FC"``.
    """
    channels = len(names)
    if channels == 1:
        return plain_mean(1)
    spectra, mixed, levels = _listen(rate, blocks, np.array([name != "LFE" for name in names], np.float32))
    if not len(levels):
        return plain_mean(channels)
    power = spectra.sum(axis=1)
    centre = names.index("FC") if "FC" in names else None
    if centre is not None and channels > 2 and power[centre] > _AUDIBLE_CENTRE * power.max():
        return _alone(channels, centre)
    used = [channel for channel, name in enumerate(names) if name != "LFE"]
    if _cancels(rate, spectra[used], mixed):
        return _alone(channels, used[_better(power[used], levels[:, used])])
    weights = np.zeros(channels, np.float32)
    weights[used] = 1.0 / len(used)
    return weights


def _listen(
    rate: int, blocks: Iterable[NDArray[np.float32]], used: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Power spectra (channels, bins) of the channels, (bins,) of the sum of the used ones, and levels (m, channels)."""
    size = 2 ** round(np.log2(rate * _FRAME_SECONDS))
    window = np.hanning(size).astype(np.float32)[None, :, None]
    band = _band(rate, size)
    spectra, mixed = np.zeros((len(used), int(band.sum()))), np.zeros(int(band.sum()))
    levels = []
    for frames in _frames(blocks, size):
        bins = np.fft.rfft(frames * window, axis=1)[:, band]
        powers = np.square(np.abs(bins))
        spectra += powers.sum(axis=0).T
        mixed += np.square(np.abs(bins @ used)).sum(axis=0)
        levels.append(powers.sum(axis=1))
    return spectra, mixed, np.concatenate(levels) if levels else np.zeros((0, len(used)))


def _frames(blocks: Iterable[NDArray[np.float32]], size: int) -> Iterator[NDArray[np.float32]]:
    """Consecutive frames (m, size, channels) of blocks; a shorter rest is ignored."""
    rest: NDArray[np.float32] | None = None
    for block in blocks:
        held = block if rest is None else np.concatenate([rest, block])
        whole = len(held) // size * size
        rest = held[whole:]
        if whole:
            yield held[:whole].reshape(-1, size, held.shape[1])


def _band(rate: int, size: int) -> NDArray[np.bool_]:
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    return (frequencies >= _LOWEST_HZ) & (frequencies <= _HIGHEST_HZ)


def _cancels(rate: int, spectra: NDArray[np.float64], mixed: NDArray[np.float64]) -> bool:
    """Whether channels cancel each other out in their sum."""
    apart = spectra.sum(axis=0)
    size = 2 ** round(np.log2(rate * _FRAME_SECONDS))
    heard = apart > _QUIETEST_BIN * apart.max()
    if not heard.any():
        return False
    by_ear = 1.0 / (700.0 + np.fft.rfftfreq(size, 1 / rate)[_band(rate, size)])  # the slope of the mel scale
    cancelled = mixed[heard] < _CANCELLED * apart[heard]
    return float(by_ear[heard][cancelled].sum()) > _CANCELLED_SHARE * float(by_ear[heard].sum())


def _better(power: NDArray[np.float64], levels: NDArray[np.float64]) -> int:
    """Index of the channel with the greatest distance between speech and pauses, and among equal ones the loudest."""
    decibel = 10 * np.log10(np.maximum(levels, 1e-12))
    spans = np.percentile(decibel, 95, axis=0) - np.percentile(decibel, 10, axis=0)
    spans = np.minimum(spans, _WIDEST_RANGE_DB)
    return int(np.argmax(np.where(spans > spans.max() - _EQUAL_RANGE_DB, power, -1.0)))


def _alone(channels: int, channel: int) -> Weights:
    weights = np.zeros(channels, np.float32)
    weights[channel] = 1.0
    return weights
