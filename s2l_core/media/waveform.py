"""Sound that is read in blocks when it is needed, so that memory does not grow with its length."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from ..events import checkpoint

Samples = NDArray[np.float32]

_BLOCK = 48_000
"""Number of samples in a block of an array or of silence."""
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


@dataclass(frozen=True)
class Waveform:
    """Sound at its own rate.

    Attributes:
        rate: Sample rate in Hz.
        channels: Number of channels.
        blocks: Each call returns an iterator over all consecutive blocks, float32 (n, channels) in [-1, 1].
    """

    rate: int
    channels: int
    blocks: Callable[[], Iterator[Samples]]

    @classmethod
    def of(cls, samples: Samples, rate: int) -> Waveform:
        """A waveform of samples (n, channels) in memory."""

        def blocks() -> Iterator[Samples]:
            yield from (samples[first : first + _BLOCK] for first in range(0, len(samples), _BLOCK))

        return cls(rate, samples.shape[1], blocks)

    def samples(self) -> Samples:
        """All samples, float32 (n, channels)."""
        return np.concatenate([np.zeros((0, self.channels), np.float32), *self.blocks()])

    def refuse_broken(self) -> None:
        """Read the sound once to its end, so that errors are raised now and not while it is used."""
        for _ in self.blocks():
            checkpoint()

    def converted(self, channels: int, rate: int) -> Waveform:
        """The same sound at another sample rate, and in the same number of channels or more: one channel is copied to
        both of two or put at the centre, and two are put at the front.
        """

        def blocks() -> Iterator[Samples]:
            return (_spread(block, channels) for block in resample(self.blocks(), self.rate, rate))

        return Waveform(rate, channels, blocks)

    def lasting(self, count: int) -> Waveform:
        """The first ``count`` samples of the sound, followed by silence if it is shorter."""

        def blocks() -> Iterator[Samples]:
            left = count
            for block in self.blocks():
                if left <= 0:
                    return
                yield block[:left]
                left -= len(block)
            yield from silence(left, self.channels)

        return Waveform(self.rate, self.channels, blocks)

    def then(self, other: Waveform) -> Waveform:
        """This sound followed by another one with the same sample rate and channels."""
        return Waveform(self.rate, self.channels, lambda: itertools.chain(self.blocks(), other.blocks()))


def silence(count: int, channels: int) -> Iterator[Samples]:
    """Blocks of digital silence, ``count`` samples (n, channels) in all."""
    for first in range(0, count, _BLOCK):
        yield np.zeros((min(_BLOCK, count - first), channels), np.float32)


def resample(blocks: Iterable[Samples], source_rate: int, rate: int) -> Iterator[Samples]:
    """Resample blocks (n, channels) of sound to another rate; the same blocks if the rates are equal."""
    if rate == source_rate:
        yield from blocks
        return
    resampler, given, taken = None, 0, 0
    for block in blocks:
        layout = _LAYOUTS.get(block.shape[1], f"{block.shape[1]} channels")
        resampler = resampler or av.AudioResampler("flt", layout, rate)
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = source_rate, given, Fraction(1, source_rate)
        given += len(block)
        for piece in resampler.resample(frame):
            taken += piece.samples
            yield _samples(piece)
    if resampler is not None:
        missing = round(given * rate / source_rate) - taken
        for piece in resampler.resample(None):
            yield _samples(piece)[: max(missing, 0)]
            missing -= piece.samples


def _samples(frame: AudioFrame) -> Samples:
    """Packed samples (n, channels) of a frame."""
    return np.asarray(frame.to_ndarray().reshape(frame.samples, -1), np.float32)


def _spread(samples: Samples, channels: int) -> Samples:
    """Samples (n, c) in ``channels`` channels, see :meth:`Waveform.converted`."""
    own = samples.shape[1]
    if own == channels:
        return samples
    if own == 1 and channels == 2:
        return np.repeat(samples, 2, axis=1)
    spread = np.zeros((len(samples), channels), np.float32)
    first = 2 if own == 1 else 0  # FFmpeg's third channel is the centre
    spread[:, first : first + own] = samples
    return spread
