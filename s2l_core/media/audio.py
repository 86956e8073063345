"""Sound files and the sound of videos: samples in step with the pictures, and whether they are fit to learn from."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame

from ..errors import AudioClipped, AudioEmpty, AudioNarrow, AudioSilent, AudioUnreadable, NoSound
from ..jobs import Clock, Media
from .container import decode_audio, find_video, open_container, picture_start, timestamp
from .downmix import Weights, plain_mean, speech_weights
from .sequence import refuse_pictures
from .tracks import choose_track, find_tracks, to_float

SPEECH_RATE = 16_000

# Containers round timestamps, so blocks are joined end to end until they are half a picture off.
_CLOCK_TOLERANCE = 0.02
_LONGEST_HOLE = 600.0
_BLOCK = SPEECH_RATE // 50
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


def read_audio(media: Media) -> tuple[np.ndarray, int]:
    """Sound at its own rate: float32 (n, channels) in [-1, 1], and samples per second.

    Sample 0 is heard at ``media.start`` on the clock of the medium, see :class:`s2l_core.jobs.Media`. Sound that begins
    late begins with silence; it ends where the file ends.

    Raises:
        FileMissing: There is no such file.
        NoSound: It is a video without sound.
        AudioUnreadable: It is neither sound nor video, or its sound changes rate or channels midway.
        AudioEmpty: There is not one sample in the span.
        BadJob: There is no such track.
    """
    blocks = _span(media)
    rate, first = next(blocks)
    return np.concatenate([first, *(block for _, block in blocks)]), rate


def read_speech(media: Media) -> np.ndarray:
    """Sound for the speech features: float32 (n,) mono at 16 kHz in [-1, 1]; time and errors as :func:`read_audio`.

    Channels are averaged, or the better one is taken, see :mod:`s2l_core.media.downmix`. Only the result is held in
    memory.
    """
    weights = weights_of_speech(media)
    blocks = _span(media)
    rate, first = next(blocks)
    return to_speech(rate, itertools.chain([first], (block for _, block in blocks)), weights)


def weights_of_speech(media: Media) -> Weights:
    """How speech is made of the channels of a span; errors as :func:`read_audio`."""
    blocks = _span(media)
    rate, first = next(blocks)
    channels = first.shape[1]
    if channels == 1:
        return plain_mean(1)
    names = _channel_names(media, channels)
    return speech_weights(rate, itertools.chain([first], (block for _, block in blocks)), names)


def to_speech(rate: int, blocks: Iterable[np.ndarray], weights: Weights) -> np.ndarray:
    """Blocks (n, channels) of sound, weighted and summed, as speech, see :func:`read_speech`."""
    mono = ((block @ weights)[:, None] for block in blocks)
    return np.clip(np.concatenate(list(resample(mono, rate, SPEECH_RATE)))[:, 0], -1.0, 1.0)


def resample(blocks: Iterable[np.ndarray], source_rate: int, rate: int) -> Iterator[np.ndarray]:
    """Blocks (n, channels) of sound with another number of samples per second, as many as it lasts; the same ones where
    the rates are equal.
    """
    if rate == source_rate:
        yield from blocks
        return
    resampler, given, taken = None, 0, 0
    for block in blocks:
        layout = _LAYOUTS[block.shape[1]]
        resampler = resampler or av.AudioResampler("flt", layout, rate)
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = source_rate, given, Fraction(1, source_rate)
        given += len(block)
        for piece in resampler.resample(frame):
            taken += piece.samples
            yield piece.to_ndarray().reshape(piece.samples, -1)
    if resampler is not None:
        rest = [piece.to_ndarray().reshape(piece.samples, -1) for piece in resampler.resample(None)]
        yield np.concatenate(rest)[: round(given * rate / source_rate) - taken]


def convert(samples: np.ndarray, source_rate: int, channels: int, rate: int) -> np.ndarray:
    """Sound (n, channels) with another rate, and in as many channels as it has or more: what has one is heard from all
    of two or from the centre, what has two from the front.
    """
    own = samples.shape[1]
    converted = np.concatenate([samples[:0], *resample([samples], source_rate, rate)])
    if own == channels:
        return converted
    if own == 1 and channels == 2:
        return np.repeat(converted, 2, axis=1)
    spread = np.zeros((len(converted), channels), np.float32)
    first = 2 if own == 1 else 0  # FFmpeg's third channel is the centre
    spread[:, first : first + own] = converted
    return spread


def read_sample_rate(path: str, track: int | None = None) -> int:
    """Samples per second of the sound in a file, as it is decoded; errors as :func:`read_audio`."""
    rate, _ = next(_span(Media(path, track=track)))
    return rate


@dataclass(frozen=True)
class SpeechLevel:
    """What a recording of speech is like; levels in dB, where 0 is full scale and -120 stands for digital silence.

    Attributes:
        source_rate: Samples per second of the recording.
        loudness_db: RMS level of its louder parts, those within 20 dB of the loudest: the speech, not the pauses.
        noise_db: Level of its quietest tenth: what is heard in the pauses.
        clipped_share: Share of samples at full scale, 0 to 1.
        high_band_db: Power above 4.5 kHz against all power, in the louder parts.
    """

    source_rate: int
    loudness_db: float
    noise_db: float
    clipped_share: float
    high_band_db: float


def measure_level(speech: np.ndarray, source_rate: int) -> SpeechLevel:
    """Measure speech (n,) at 16 kHz that was recorded with ``source_rate`` samples per second."""
    blocks = np.pad(speech, (0, -len(speech) % _BLOCK)).reshape(-1, _BLOCK).astype(np.float64)
    levels = _decibel((blocks**2).mean(axis=1))
    loud = blocks[levels >= np.percentile(levels, 95) - 20]
    spectrum = (np.abs(np.fft.rfft(loud * np.hanning(_BLOCK), axis=1)) ** 2).mean(axis=0)
    high = np.fft.rfftfreq(_BLOCK, 1 / SPEECH_RATE) > 4500
    return SpeechLevel(
        source_rate=source_rate,
        loudness_db=float(_decibel((loud**2).mean())),
        noise_db=float(np.percentile(levels, 10)),
        clipped_share=float((np.abs(speech) >= 0.98).mean()),
        high_band_db=float(_decibel(spectrum[high].sum() / (spectrum.sum() + 1e-12))),
    )


def refuse_unusable(level: SpeechLevel, path: str) -> None:
    """Raise where nobody could learn lips from this sound.

    The limits lie far outside of ordinary recordings. Speech between -35 and -12 dB is usual: at -60 dB it is the noise
    of the converter. Recordings driven 12 dB into the stop hold 4 % or more of their samples there, sound ones less
    than 0.01 %. Above 4.5 kHz lie -15 to -45 dB of the power of speech, after an 8 kHz recording less than -60 dB.

    Raises:
        AudioSilent: There is nothing to hear.
        AudioClipped: It is distorted throughout.
        AudioNarrow: It was recorded, or once stored, with fewer than 16 000 samples per second.
    """
    if level.loudness_db < -60:
        raise AudioSilent(f"The sound of {path} is silent: its loudest parts are at {level.loudness_db:.0f} dB.")
    if level.clipped_share > 0.02:
        raise AudioClipped(f"The sound of {path} is distorted: {level.clipped_share:.0%} of it is at full scale.")
    if level.source_rate < SPEECH_RATE:
        raise AudioNarrow(f"The sound of {path} has only {level.source_rate} samples per second.")
    if level.high_band_db < -55:
        raise AudioNarrow(f"The sound of {path} holds nothing above 4.5 kHz, as if from a telephone.")


def _span(media: Media) -> Iterator[tuple[int, np.ndarray]]:
    """Rate and consecutive blocks (n, channels) of the span; at least one block."""
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
        raise AudioEmpty(f"{media.path} holds no sound between {media.start:g} s and {end}.")


def read_blocks(path: str, track: int | None = None, clock: Clock = "picture") -> Iterator[tuple[int, np.ndarray]]:
    """Rate and consecutive blocks (n, channels) of a whole file, from time 0 of a clock on.

    It always decodes from the beginning: seeking in MP3 and other packet streams is only as exact as their bit rate.
    Errors are those of :func:`read_audio`, but for spans.
    """
    chosen = choose_track(path, track)
    zero = picture_start(path, AudioUnreadable) if clock == "picture" else None
    position = 0
    with open_container(path, AudioUnreadable) as container:
        if not chosen.count:
            if find_video(container) is None:
                raise AudioUnreadable(f"{path} holds neither sound nor moving pictures.")
            raise NoSound(f"{path} has no sound.")
        shape = None
        for frame in decode_audio(container, find_tracks(container)[chosen.number - 1]):
            rate, samples = frame.sample_rate, to_float(frame)
            shape = shape or (rate, samples.shape[1])
            if shape != (rate, samples.shape[1]):
                raise AudioUnreadable(f"The sound of {path} changes its sample rate or channels midway.")
            moment = timestamp(frame)
            if moment is not None:
                zero = moment if zero is None else zero
                hole = round((moment - zero) * rate) - position
                if hole > _LONGEST_HOLE * rate:
                    raise AudioUnreadable(f"The sound of {path} has a hole of {hole / rate:.0f} s.")
                if position == 0 or abs(hole) > _CLOCK_TOLERANCE * rate:
                    if hole > 0:
                        position += hole
                        yield rate, np.zeros((hole, samples.shape[1]), np.float32)
                    samples = samples[max(-hole, 0) :]
            if len(samples):
                position += len(samples)
                yield rate, samples


def _channel_names(media: Media, channels: int) -> tuple[str, ...]:
    """FFmpeg's names of the channels of a medium, empty where the file does not tell."""
    with open_container(media.path, AudioUnreadable) as container:
        stream = find_tracks(container)[choose_track(media.path, media.track).number - 1]
        names = tuple(channel.name for channel in stream.layout.channels)
    return names if len(names) == channels else ("",) * channels


def _decibel(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 1e-12))
