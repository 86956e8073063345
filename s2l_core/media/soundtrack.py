"""The sound beside the pictures of a file that is being written."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer

from ..jobs import Encoding
from .encodings import codec_of

_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}
_BITS_PER_CHANNEL = 96_000


class Soundtrack:
    """Encodes sound into a container, bit by bit, so that it lies beside its pictures in the file.

    Args:
        container: To write to.
        samples: float32 (n, channels) in [-1, 1]; more than six channels are averaged.
        rate: Samples per second; one that AAC has not becomes 48 000.
        encoding: Tells the codec.
    """

    def __init__(self, container: OutputContainer, samples: np.ndarray, rate: int, encoding: Encoding) -> None:
        self._container = container
        self._samples, self._rate = _encodable(samples, rate)
        self._written = 0
        codec = codec_of(encoding).sound
        stream = container.add_stream(codec, rate=self._rate, layout=_LAYOUTS[self._samples.shape[1]])
        assert isinstance(stream, AudioStream)
        self._stream = stream
        if codec == "aac":
            self._stream.codec_context.bit_rate = _BITS_PER_CHANNEL * self._samples.shape[1]
        self._format = self._stream.codec_context.format.name
        self._resampler = av.AudioResampler(self._format, self._stream.codec_context.layout, self._rate)

    def write(self, until: Fraction) -> None:
        """Encode the sound up to a time in seconds."""
        self._encode(min(len(self._samples), int(until * self._rate)))

    def finish(self) -> None:
        """Encode the rest."""
        self._encode(len(self._samples))
        for frame in self._resampler.resample(None):
            self._container.mux(self._stream.encode(frame))
        self._container.mux(self._stream.encode(None))

    def _encode(self, stop: int) -> None:
        if stop <= self._written:
            return
        block = np.ascontiguousarray(self._samples[self._written : stop].T)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=_LAYOUTS[len(block)])
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._written, Fraction(1, self._rate)
        self._written = stop
        for converted in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(converted))


def _encodable(samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
    """Sound in a rate and a number of channels that every codec has; float32 (n, channels)."""
    samples = samples.reshape(len(samples), -1).astype(np.float32, copy=False)
    if samples.shape[1] not in _LAYOUTS:
        samples = samples.mean(axis=1, keepdims=True)
    if rate in _RATES:
        return samples, rate
    layout = _LAYOUTS[samples.shape[1]]
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
    frame.sample_rate = rate
    resampler = av.AudioResampler("fltp", layout, 48_000)
    blocks = [block.to_ndarray() for block in (*resampler.resample(frame), *resampler.resample(None))]
    return np.concatenate(blocks, axis=1).T, 48_000
