"""Writing the sound of a video file."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer

from ..events import checkpoint
from ..jobs import Encoding
from .encodings import codec_of
from .waveform import Samples, Waveform, resample

_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}
_BITS_PER_CHANNEL = 96_000


class Soundtrack:
    """Encodes sound into a container in parts, so that it is interleaved with the pictures.

    Args:
        container: The output.
        sound: The sound. More than six channels are averaged; for AAC, an unsupported sample rate becomes 48 kHz.
        encoding: File format, which determines the codec.
    """

    def __init__(self, container: OutputContainer, sound: Waveform, encoding: Encoding) -> None:
        self._container = container
        self._rate = sound.rate if sound.rate in _RATES else 48_000
        self._channels = sound.channels if sound.channels in _LAYOUTS else 1
        self._blocks = resample(map(self._mixed_down, sound.blocks()), sound.rate, self._rate)
        self._held = np.zeros((0, self._channels), np.float32)
        self._written = 0
        codec = codec_of(encoding).sound
        stream = container.add_stream(codec, rate=self._rate, layout=_LAYOUTS[self._channels])
        assert isinstance(stream, AudioStream)
        self._stream = stream
        if codec == "aac":
            self._stream.codec_context.bit_rate = _BITS_PER_CHANNEL * self._channels
        self._format = self._stream.codec_context.format.name
        self._resampler = av.AudioResampler(self._format, self._stream.codec_context.layout, self._rate)

    def write(self, until: Fraction) -> None:
        """Encode the sound up to a time in seconds."""
        wanted = int(until * self._rate) - self._written
        while len(self._held) < wanted and (block := next(self._blocks, None)) is not None:
            self._held = np.concatenate([self._held, block])
        self._encode(self._held[: max(wanted, 0)])

    def finish(self) -> None:
        """Encode the rest."""
        self._encode(self._held)
        for block in self._blocks:
            checkpoint()
            self._held = block
            self._encode(block)
        for frame in self._resampler.resample(None):
            self._container.mux(self._stream.encode(frame))
        self._container.mux(self._stream.encode(None))

    def _mixed_down(self, block: Samples) -> Samples:
        return block if block.shape[1] == self._channels else block.mean(axis=1, keepdims=True)

    def _encode(self, block: Samples) -> None:
        """Encode a block of samples (n, channels)."""
        if not len(block):
            return
        self._held = self._held[len(block) :]
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(block.T), format="fltp", layout=_LAYOUTS[self._channels]
        )
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._written, Fraction(1, self._rate)
        self._written += len(block)
        for converted in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(converted))
