"""Sound of audio and video files: samples in sync with the pictures, and checks of the recording quality."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from ..errors import AudioClipped, AudioEmpty, AudioNarrow, AudioSilent, AudioTooLong, AudioUnreadable, NoSound
from ..events import checkpoint
from ..jobs import Clock, Media
from .container import decode_audio, find_video, open_container, picture_start, timestamp
from .downmix import Weights, plain_mean, speech_weights
from .sequence import refuse_pictures
from .tracks import choose_track, find_tracks, to_float
from .waveform import Waveform, resample, silence

SPEECH_RATE = 16_000
LONGEST_SECONDS = 3 * 3600.0
"""Limit of the sound in one job: an hour of speech takes 230 MB of memory, and longer sound is probably a mistake."""

# Containers round timestamps, so blocks are joined end to end until they deviate by half a frame.
_CLOCK_TOLERANCE = 0.02
_LONGEST_HOLE = 600.0
"""Longest gap in the timestamps in seconds, and limit by which the total of all gaps may exceed the sound itself."""
_LOWEST_RATE, _HIGHEST_RATE = 1000, 1_000_000
"""Bounds of a sample rate in Hz: others are found in damaged files."""
_BLOCK = SPEECH_RATE // 50
_PIECE = 500 * _BLOCK
"""Number of samples of speech that are processed together: ten seconds."""


def open_audio(media: Media) -> Waveform:
    """Sound at its own sample rate, which is read from the file each time its blocks are iterated.

    Sample 0 is at ``media.start`` on the clock of the medium, see :class:`s2l_core.jobs.Media`. If the sound stream
    begins later, silence comes first; the sound ends with the file.

    Raises:
        FileMissing: There is no such file.
        NoSound: The file is a video without sound.
        AudioUnreadable: The file is neither audio nor video, its sample rate is impossible, or sample rate or channels
            change midway. This may also be raised while blocks are read.
        AudioEmpty: There are no samples in the span.
        BadJob: There is no such track.
    """
    rate, first = next(_span(media))
    return Waveform(rate, first.shape[1], lambda: (block for _, block in _span(media)))


def read_audio(media: Media) -> tuple[NDArray[np.float32], int]:
    """All samples of :func:`open_audio`, float32 (n, channels), and the sample rate."""
    sound = open_audio(media)
    return sound.samples(), sound.rate


def read_speech(media: Media) -> NDArray[np.float32]:
    """Sound for the speech features: float32 (n,) mono at 16 kHz in [-1, 1], with the times of :func:`open_audio`.

    Channels are averaged, or the best one is used, see :mod:`s2l_core.media.downmix`. Only the result is held in
    memory.

    Raises:
        AudioTooLong: The span contains more than :data:`LONGEST_SECONDS` of sound.
        FileMissing, NoSound, AudioUnreadable, AudioEmpty, BadJob: See :func:`open_audio`.
    """
    _refuse_long(media)
    return gather(speech_blocks(media), media.path)


def speech_blocks(media: Media) -> Iterator[NDArray[np.float32]]:
    """Consecutive blocks float32 (n,) of the sound of :func:`read_speech`."""
    weights, sound = weights_of_speech(media), open_audio(media)
    return to_speech(sound.rate, sound.blocks(), weights)


def gather(blocks: Iterable[NDArray[np.float32]], name: str) -> NDArray[np.float32]:
    """Concatenate blocks float32 (n,) of speech, without holding them in memory twice.

    Raises:
        AudioTooLong: The total is longer than :data:`LONGEST_SECONDS`; the message contains ``name``.
        AudioEmpty: There are no samples, because the resampled sound had only a few.
    """
    gathered = array("f")
    for block in blocks:
        gathered.frombytes(block.astype(np.float32, copy=False).tobytes())
        if len(gathered) > LONGEST_SECONDS * SPEECH_RATE:
            raise too_long(name)
    if not gathered:
        raise AudioEmpty(f"{name} contains only a few samples of sound in the span.")
    return np.frombuffer(gathered, np.float32)


def weights_of_speech(media: Media) -> Weights:
    """Weights with which the channels of a span are mixed down to speech; raises the errors of :func:`open_audio`."""
    sound = open_audio(media)
    if sound.channels == 1:
        return plain_mean(1)
    return speech_weights(sound.rate, sound.blocks(), _channel_names(media, sound.channels))


def to_speech(rate: int, blocks: Iterable[NDArray[np.float32]], weights: Weights) -> Iterator[NDArray[np.float32]]:
    """Blocks of speech, see :func:`read_speech`, from blocks float32 (n, channels) of sound, weighted and summed."""
    mono = ((block @ weights)[:, None] for block in blocks)
    return (np.clip(block[:, 0], -1.0, 1.0) for block in resample(mono, rate, SPEECH_RATE))


def powers(blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Mean squares float64 (m,) of each 20 ms of speech at 16 kHz, from blocks (n,); a shorter rest is ignored."""
    found, rest = array("d"), np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([rest, block])
        whole = len(held) // _BLOCK * _BLOCK
        squares = np.square(held[:whole].reshape(-1, _BLOCK).astype(np.float64))
        found.frombytes(squares.mean(axis=1).tobytes())
        rest = held[whole:]
    return np.frombuffer(found, np.float64)


def in_blocks(samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Split samples (n, ...) at 16 kHz into blocks of ten seconds."""
    yield from (samples[first : first + _PIECE] for first in range(0, len(samples), _PIECE))


def read_sample_rate(path: str, track: int | None = None) -> int:
    """Sample rate of the decoded sound of a file; raises the errors of :func:`open_audio`."""
    return open_audio(Media(path, track=track)).rate


@dataclass(frozen=True)
class SpeechLevel:
    """Measures of a recording of speech. Levels are in dB, 0 is full scale and -120 means digital silence.

    Attributes:
        source_rate: Sample rate of the recording in Hz.
        loudness_db: RMS level of the parts within 20 dB of the loudest one: of the speech without its pauses.
        noise_db: Level of the quietest tenth: of the background noise.
        clipped_share: Share of the samples at full scale, 0 to 1.
        high_band_db: Power above 4.5 kHz relative to the total power, in the louder parts.
    """

    source_rate: int
    loudness_db: float
    noise_db: float
    clipped_share: float
    high_band_db: float


def measure_level(speech: NDArray[np.float32], source_rate: int) -> SpeechLevel:
    """Measure speech float32 (n,) at 16 kHz that was recorded at ``source_rate`` Hz."""
    padded = itertools.chain(in_blocks(speech), [np.zeros(-len(speech) % _BLOCK, np.float32)])
    power = powers(padded)
    levels = _decibel(power)
    is_loud = levels >= np.percentile(levels, 95) - 20
    spectrum, clipped = np.zeros(_BLOCK // 2 + 1), 0
    for first, piece in zip(range(0, len(power), _PIECE // _BLOCK), in_blocks(speech), strict=True):
        checkpoint()
        blocks = np.pad(piece, (0, -len(piece) % _BLOCK)).reshape(-1, _BLOCK).astype(np.float64)
        loud = blocks[is_loud[first : first + len(blocks)]]
        spectrum += (np.abs(np.fft.rfft(loud * np.hanning(_BLOCK), axis=1)) ** 2).sum(axis=0)
        clipped += int((np.abs(piece) >= 0.98).sum())
    high = np.fft.rfftfreq(_BLOCK, 1 / SPEECH_RATE) > 4500
    return SpeechLevel(
        source_rate=source_rate,
        loudness_db=float(_decibel(power[is_loud].mean())),
        noise_db=float(np.percentile(levels, 10)),
        clipped_share=clipped / len(speech),
        high_band_db=float(_decibel(spectrum[high].sum() / (spectrum.sum() + 1e-12))),
    )


def refuse_unusable(level: SpeechLevel, path: str) -> None:
    """Raise an error if the sound cannot be used for training.

    The limits are far from the values of ordinary recordings. Speech usually has a level of -35 to -12 dB; -60 dB is
    the noise of an analog-to-digital converter. A recording that is overdriven by 12 dB has at least 4 % of its samples
    at full scale, a good one less than 0.01 %. The band above 4.5 kHz has -15 to -45 dB of the power of speech, and
    less than -60 dB in a recording at 8 kHz.

    Raises:
        AudioSilent: The sound is silent.
        AudioClipped: The sound is distorted throughout.
        AudioNarrow: The sound was recorded, or stored in between, at less than 16 kHz.
    """
    if level.loudness_db < -60:
        raise AudioSilent(f"The sound of {path} is silent: its loudest parts are at {level.loudness_db:.0f} dB.")
    if level.clipped_share > 0.02:
        raise AudioClipped(f"The sound of {path} is distorted: {level.clipped_share:.0%} of it is at full scale.")
    if level.source_rate < SPEECH_RATE:
        raise AudioNarrow(f"The sound of {path} has a sample rate of only {level.source_rate} Hz.")
    if level.high_band_db < -55:
        raise AudioNarrow(f"The sound of {path} has no frequencies above 4.5 kHz, like a telephone recording.")


def _span(media: Media) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Sample rate and consecutive blocks (n, channels) of the span; at least one block."""
    refuse_pictures(media)
    position = 0
    is_empty = True
    for rate, block in read_blocks(media.path, media.track, media.clock):
        first = max(round(media.start * rate) - position, 0)
        last = len(block) if media.end is None else round(media.end * rate) - position
        if last <= 0:
            break
        position += len(block)
        if first < min(last, len(block)):
            is_empty = False
            yield rate, block[first:last]
    if is_empty:
        end = "its end" if media.end is None else f"{media.end:g} s"
        raise AudioEmpty(f"{media.path} contains no sound between {media.start:g} s and {end}.")


def sound_seconds(media: Media) -> float:
    """Duration of the sound in a span according to the container, without decoding; 0 if it is unknown.

    Raises the errors of :func:`open_audio`.
    """
    track = choose_track(media.path, media.track)
    with open_container(media.path, AudioUnreadable) as container:
        stream = find_tracks(container)[track.number - 1] if track.count else None
        told = Fraction(container.duration or 0, av.time_base)
        if stream is not None and stream.duration and stream.time_base:
            told = stream.duration * stream.time_base
    return max(0.0, float(told) - media.start if media.end is None else min(float(told), media.end) - media.start)


def _refuse_long(media: Media) -> None:
    """Raise an error, before decoding, if the packets of a span are too long in total. The duration in the container
    may be wrong, for example after the clock of a transport stream has wrapped around.
    """
    if sound_seconds(media) <= LONGEST_SECONDS:
        return
    last = media.start + LONGEST_SECONDS if media.end is None else min(media.end, media.start + LONGEST_SECONDS)
    with open_container(media.path, AudioUnreadable) as container:
        stream = find_tracks(container)[choose_track(media.path, media.track).number - 1]
        seconds = Fraction(0)
        for packet in container.demux(stream):
            checkpoint()
            seconds += (packet.duration or 0) * Fraction(packet.time_base or 0)
            if seconds > last:
                raise too_long(media.path)


def too_long(name: str) -> AudioTooLong:
    """The error for too much sound, with the name of its source."""
    return AudioTooLong(f"{name} contains more than {LONGEST_SECONDS / 3600:g} hours of sound, which is the limit.")


def read_blocks(
    path: str, track: int | None = None, clock: Clock = "picture"
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Sample rate and consecutive blocks (n, channels) of a whole file, from time 0 of a clock on. A block is at most
    as long as a frame of the file, or one second.

    Decoding always starts at the beginning, since seeking is inexact in MP3 and other packet streams. Raises the errors
    of :func:`open_audio`, except those about spans.
    """
    chosen = choose_track(path, track)
    zero = picture_start(path, AudioUnreadable) if clock == "picture" else None
    position, holes = 0, 0
    with open_container(path, AudioUnreadable) as container:
        if not chosen.count:
            if find_video(container) is None:
                raise AudioUnreadable(f"{path} contains neither sound nor video.")
            raise NoSound(f"{path} has no sound.")
        shape = None
        for frame in decode_audio(container, find_tracks(container)[chosen.number - 1]):
            rate, samples = frame.sample_rate, to_float(frame)
            shape = shape or (rate, samples.shape[1])
            if shape != (rate, samples.shape[1]):
                raise AudioUnreadable(f"The sound of {path} changes its sample rate or channels midway.")
            if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
                raise AudioUnreadable(f"The sound of {path} has a sample rate of {rate} Hz.")
            moment = timestamp(frame)
            if moment is not None:
                zero = moment if zero is None else zero
                hole = round((moment - zero) * rate) - position
                if hole > _LONGEST_HOLE * rate:
                    raise AudioUnreadable(f"The sound of {path} has a gap of {hole / rate:.0f} s.")
                if position == 0 or abs(hole) > _CLOCK_TOLERANCE * rate:
                    if hole > 0:
                        heard, holes = position - holes, holes + hole
                        if holes > _LONGEST_HOLE * rate + heard:
                            raise AudioUnreadable(f"The sound of {path} has gaps of {holes / rate:.0f} s in total.")
                        position += hole
                        for nothing in silence(hole, samples.shape[1]):
                            checkpoint()
                            yield rate, nothing
                    samples = samples[max(-hole, 0) :]
            if len(samples):
                position += len(samples)
                yield rate, samples


def _channel_names(media: Media, channels: int) -> tuple[str, ...]:
    """FFmpeg's names of the channels of a medium; empty if they are unknown."""
    with open_container(media.path, AudioUnreadable) as container:
        stream = find_tracks(container)[choose_track(media.path, media.track).number - 1]
        names = tuple(channel.name for channel in stream.layout.channels)
    return names if len(names) == channels else ("",) * channels


def _decibel(power: NDArray[np.float64]) -> NDArray[np.float64]:
    return 10 * np.log10(np.maximum(power, 1e-12))
