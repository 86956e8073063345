"""Mixing sounds on a timeline as Blender's sequencer does.

Every channel of a file is a source at an angle around the listener, which is panned with constant power; a sound with
one channel is at the angle of its pan. The sum has no limiter, and is clipped at full scale.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioEmpty
from ..events import Report, checkpoint
from ..jobs import Media, Mix, Sound
from .audio import (
    LONGEST_SECONDS,
    SPEECH_RATE,
    gather,
    in_blocks,
    open_audio,
    powers,
    read_blocks,
    read_speech,
    sound_seconds,
    speech_blocks,
    to_speech,
    too_long,
    weights_of_speech,
)
from .downmix import Weights, plain_mean
from .sequence import refuse_pictures
from .tracks import Track, choose_track
from .waveform import Samples, Waveform, resample

MIX_RATE = 48_000
CONTEXT_SECONDS = 0.2
"""Duration of the sound before and after a voice that influences its lips, which move from and to other sounds."""

_AROUND_SECONDS = 60.0
_CONTEXT = round(CONTEXT_SECONDS * SPEECH_RATE)
_TOLERANCE = 0.02
"""Tolerance in seconds at the ends of a mix, and relative tolerance of the speed of a sound."""
_BLOCK = 8192
"""Number of samples of a mix that are computed together."""
_LOBES = 8
"""Zero crossings on either side of the interpolation kernel."""
_FASTEST = 16.0
"""Highest speed at which aliasing is suppressed."""
_WIDEST = 60 * MIX_RATE
"""Number of samples of a file that are held in memory for a sound that plays it even faster."""
_SAME = 0.5
"""Deviation in samples up to which a retimed sound counts as played at its own speed."""
_FRONT = (-1 / 3, 1 / 3, 0.0)
_SIDES = (-11 / 9, 11 / 9)
_PLACES: dict[int, tuple[float | None, ...]] = {
    2: (-1.0, 1.0),
    3: (-1.0, 1.0, None),
    4: (-0.5, 0.5, -1.5, 1.5),
    5: (*_FRONT, *_SIDES),
    6: (*_FRONT, None, *_SIDES),
    7: (*_FRONT, None, 2.0, *_SIDES),
    8: (*_FRONT, None, *_SIDES, -5 / 3, 5 / 3),
}
"""Pans of the channels of files by their number; None is the low-frequency channel, which Blender does not mix."""


@dataclass(frozen=True)
class Context:
    """Sound around a voice in its files.

    Attributes:
        powers: float64 (n,) mean squares of each 20 ms of the voice and of up to a minute before and after it, file
            after file, at the mean volumes of a mix, see :func:`s2l_core.media.audio.powers`.
        before: float32 (m,) mono at 16 kHz, the 0.2 s before the voice; silence beyond the ends of files.
        after: float32 (m,) mono at 16 kHz, the 0.2 s after the voice.
    """

    powers: NDArray[np.float64]
    before: Samples
    after: Samples

    @classmethod
    def silent(cls, speech: Samples) -> Context:
        """The context of speech float32 (n,) that has no sound around it."""
        return cls(powers(in_blocks(speech)), *(np.zeros(_CONTEXT, np.float32) for _ in range(2)))


def read_voice(voice: Media | Mix) -> Samples:
    """A voice for speech features: float32 (n,) mono at 16 kHz in [-1, 1].

    Raises:
        FileMissing, NoSound, AudioUnreadable, AudioTooLong: See :func:`s2l_core.media.audio.open_audio`.
        AudioEmpty: There are no samples in the span.
        BadJob: A file has no such sound track.
    """
    if isinstance(voice, Media):
        return read_speech(voice)
    if voice.seconds > LONGEST_SECONDS:
        raise too_long("The mix")
    mixed = _mixed(voice, _weights_of_files(voice))
    return gather(to_speech(MIX_RATE, (block[:, 2:] for _, block in mixed), plain_mean(1)), "The mix")


def open_voice(voice: Media | Mix) -> Waveform:
    """A voice for playback, in [-1, 1]; a mix has two channels at 48 kHz. Raises the errors of :func:`read_voice`."""
    return open_audio(voice) if isinstance(voice, Media) else mix(voice)


def voice_seconds(voice: Media | Mix) -> float:
    """Duration of a voice according to the job and the container, without decoding. Raises the errors of
    :func:`s2l_core.media.audio.sound_seconds`.
    """
    return sound_seconds(voice) if isinstance(voice, Media) else voice.seconds


def tell_tracks(voice: Media | Mix, report: Report) -> int | None:
    """Log which sound track is used of each file that has several. Raises the errors of :func:`read_voice`.

    Returns:
        Number of the first of these tracks, from 1; None if no file has several.
    """
    if isinstance(voice, Media):
        refuse_pictures(voice)
        chosen = {voice.path: choose_track(voice.path, voice.track)}
    else:
        chosen = {sound.path: _track(sound) for sound in voice.sounds}
    several = {path: track for path, track in chosen.items() if track.count > 1}
    for path, track in several.items():
        report.log("info", f"Sound track {track.number} of {track.count} in {path} is used.")
    return next((track.number for track in several.values()), None)


def read_context(voice: Media | Mix) -> Context:
    """Read the sound before and after a voice in its files.

    Raises:
        FileMissing, NoSound, AudioUnreadable: See :func:`s2l_core.media.audio.open_audio`.
        AudioEmpty: There are no samples in the span.
    """
    if isinstance(voice, Media):
        around = _Around(_widened(voice, voice.start, voice.end), voice.start, voice.end)
        return Context(powers(around.blocks()), around.before, around.after)
    before, after = (np.zeros(_CONTEXT, np.float32) for _ in range(2))

    def heard() -> Iterator[Samples]:
        nonlocal before, after
        for sound in voice.sounds:
            start, end = min(sound.moments), max(sound.moments)
            span = _widened(Media(sound.path, track=_track(sound).number, clock="sound"), start, end)
            around = _Around(span, start, end)
            try:
                yield from (np.float32(np.mean(sound.volumes)) * block for block in around.blocks())
            except AudioEmpty:  # only the silence before or after the file is used
                continue
            if abs(sound.moments[-1] - sound.moments[0] - sound.seconds) > _TOLERANCE * sound.seconds:
                continue  # it is retimed
            if sound.at < _TOLERANCE:
                before += np.float32(sound.volumes[0]) * around.before
            if sound.at + sound.seconds > voice.seconds - _TOLERANCE:
                after += np.float32(sound.volumes[-1]) * around.after

    return Context(powers(heard()), before, after)


class _Around:
    """A widened span of speech, of which only the parts just before and after the original span are held in memory.

    Args:
        widened: The widened span.
        start: Second at which the original span begins.
        end: Second at which it ends; None means the end of the file.

    Attributes:
        before: float32 (m,) the 0.2 s before the span, after all blocks were read; silence beyond the file's ends.
        after: float32 (m,) the 0.2 s after the span, likewise.
    """

    def __init__(self, widened: Media, start: float, end: float | None) -> None:
        self.before, self.after = (np.zeros(_CONTEXT, np.float32) for _ in range(2))
        self._widened = widened
        self._first = round((start - widened.start) * SPEECH_RATE)
        self._last = None if end is None else round((end - widened.start) * SPEECH_RATE)

    def blocks(self) -> Iterator[Samples]:
        """Consecutive blocks (n,) of the widened span; raises the errors of :func:`s2l_core.media.audio.open_audio`."""
        position = 0
        for block in speech_blocks(self._widened):
            _lay(self.before, self._first - _CONTEXT, block, position)
            if self._last is not None:
                _lay(self.after, self._last, block, position)
            position += len(block)
            yield block


def _lay(kept: Samples, begin: int, block: Samples, position: int) -> None:
    """Copy the overlap of a block at ``position`` with the samples ``kept`` (m,), which begin at ``begin``."""
    first, end = max(begin, position), min(begin + len(kept), position + len(block))
    if first < end:
        kept[first - begin : end - begin] = block[first - position : end - position]


def _widened(media: Media, start: float, end: float | None) -> Media:
    return replace(media, start=max(0.0, start - _AROUND_SECONDS), end=None if end is None else end + _AROUND_SECONDS)


def sources(voice: Media | Mix) -> list[str]:
    """Paths of the files that a voice is read from."""
    return [voice.path] if isinstance(voice, Media) else sorted({sound.path for sound in voice.sounds})


def mix(sounds: Mix) -> Waveform:
    """A mix in two channels at 48 kHz. Only a moment of each sound is held in memory. Raises the errors of
    :func:`read_voice`.
    """
    return Waveform(MIX_RATE, 2, lambda: (block[:, :2] for _, block in _mixed(sounds, {})))


def _length(sounds: Mix) -> int:
    return max(1, round(sounds.seconds * MIX_RATE))


def _mixed(sounds: Mix, weights: dict[tuple[str, int], Weights | None]) -> Iterator[tuple[int, Samples]]:
    """Position and samples (n, 3) of consecutive blocks of a mix: left, right, and the speech, which is mixed down from
    the channels of each track with weights, see :func:`_weights_of_files`.
    """
    count = _length(sounds)
    waiting = sorted(sounds.sounds, key=lambda sound: sound.at, reverse=True)
    playing: list[Iterator[tuple[int, Samples]]] = []
    for first in range(0, count, _BLOCK):
        checkpoint()
        block = np.zeros((min(_BLOCK, count - first), 3), np.float32)
        while waiting and round(waiting[-1].at * MIX_RATE) < first + len(block):
            sound = waiting.pop()
            playing.append(_heard(sound, weights.get((sound.path, _track(sound).number))))
        heard = [next(sound, None) for sound in playing]
        playing = [sound for sound, part in zip(playing, heard, strict=True) if part]
        for begin, samples in filter(None, heard):
            place = block[begin - first : begin - first + len(samples)]
            place += samples[: len(place)]
        yield first, np.clip(block, -1.0, 1.0, out=block)


def _weights_of_files(sounds: Mix) -> dict[tuple[str, int], Weights | None]:
    """Weights with which the used parts of each track are mixed down to speech; None for the mean."""
    spans: dict[tuple[str, int], tuple[float, float]] = {}
    for sound in sounds.sounds:
        key = sound.path, _track(sound).number
        start, end = spans.get(key, (math.inf, -math.inf))
        spans[key] = min(start, *sound.moments), max(end, *sound.moments)
    weights = {}
    for (path, number), (start, end) in spans.items():
        media = Media(path, max(0.0, start), max(end, start + 1.0, 1.0), track=number, clock="sound")
        try:
            found = weights_of_speech(media)
        except AudioEmpty:  # only the silence before or after the file is used
            found = plain_mean(1)
        weights[path, number] = None if np.allclose(found, plain_mean(len(found))) else found
    return weights


def _track(sound: Sound) -> Track:
    return choose_track(sound.path, sound.track, first=True)


def _heard(sound: Sound, weights: Weights | None) -> Iterator[tuple[int, Samples]]:
    """Contribution of a sound to each block of a mix, from the one with ``sound.at`` on: position of its first sample,
    and samples (n, 3), left, right and the speech.
    """
    begin, end = round(sound.at * MIX_RATE), round((sound.at + sound.seconds) * MIX_RATE)
    count = end - begin
    shift = _shift_at_own_speed(sound, count)
    tape = _Tape(sound, weights)
    for first in range(begin - begin % _BLOCK, end, _BLOCK):
        numbers = np.arange(max(first, begin), min(first + _BLOCK, end)) - begin
        if shift is not None:
            samples = tape.take(shift + numbers[0], shift + numbers[-1] + 1)
        else:
            samples = _interpolate(tape, MIX_RATE * _at(sound.moments, numbers / count))
        volumes = _at(sound.volumes, numbers / count)[:, None].astype(np.float32)
        placed = _placed(samples if weights is None else samples[:, :-1], _at(sound.pans, numbers / count))
        speech = placed.mean(axis=1, keepdims=True) if weights is None else samples[:, -1:]
        yield begin + int(numbers[0]), volumes * np.concatenate([placed, speech], axis=1)


def _at(curve: tuple[float, ...], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of a curve at positions (n,), from 0 at its start to 1 at its end."""
    return np.interp(shares * (len(curve) - 1), np.arange(len(curve)), curve)


def _shift_at_own_speed(sound: Sound, count: int) -> int | None:
    """Constant offset in samples between a sound and its file; None if the sound is retimed."""
    positions = MIX_RATE * np.array(sound.moments)
    own = positions[0] + np.linspace(0.0, count, len(positions))
    return round(positions[0]) if np.abs(positions - own).max() < _SAME else None


def _interpolate(tape: _Tape, positions: NDArray[np.float64]) -> Samples:
    """Samples (n, channels) at fractional positions (n,) of a file, interpolated with a windowed sinc; at whole
    positions they are those of the file.

    If the sound is played faster, frequencies that would cause aliasing are filtered out.
    """
    if np.ptp(positions) > _WIDEST:
        halves = np.array_split(positions, 2)
        return np.concatenate([_interpolate(tape, half) for half in halves])
    speed = float(np.clip(np.abs(np.gradient(positions)).max() if len(positions) > 1 else 1.0, 1.0, _FASTEST))
    reach = math.ceil(_LOBES * speed)
    first = math.floor(positions.min()) - reach
    samples = tape.take(first, math.floor(positions.max()) + reach + 1)
    whole = np.floor(positions).astype(np.int64)
    offsets = np.arange(1 - reach, reach + 1)
    distances = ((positions - whole)[:, None] - offsets) / speed
    weights = np.sinc(distances) * np.cos(np.pi / 2 * np.clip(distances / _LOBES, -1.0, 1.0)) ** 2
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("nt,ntc->nc", weights.astype(np.float32), samples[(whole - first)[:, None] + offsets])


def _placed(samples: Samples, pans: NDArray[np.float64]) -> Samples:
    """Left and right channel (n, 2) of one channel (n, 1), which is panned, or of two, which are not."""
    return samples * _gains(pans) if samples.shape[1] == 1 else samples


def _folded(samples: Samples, mono: bool) -> Samples:
    """Mix channels (n, c) down to one or two; with ``mono`` to one."""
    channels = samples.shape[1]
    places = _PLACES.get(channels, (0.0,) * channels)
    heard = [channel for channel, place in enumerate(places) if place is not None]
    if mono or channels == 1:
        return samples[:, heard].sum(axis=1, keepdims=True)
    if channels == 2:
        return samples
    return samples[:, heard] @ _gains(np.array([places[channel] for channel in heard], np.float64))


def _gains(pans: NDArray[np.float64]) -> Samples:
    """Gains (n, 2) on the left and right of sources at pans (n,)."""
    angles = np.pi / 4 * (pans + 1)
    return np.abs(np.stack([np.cos(angles), np.sin(angles)], axis=-1)).astype(np.float32)


def _read(sound: Sound, weights: Weights | None) -> Iterator[Samples]:
    """Consecutive blocks (n, 1 or 2) of a file at 48 kHz; with weights, the speech is an additional channel."""
    blocks = read_blocks(sound.path, _track(sound).number, clock="sound")

    def folded(block: Samples) -> Samples:
        heard = _folded(block, sound.mono)
        return heard if weights is None else np.concatenate([heard, (block @ weights)[:, None]], axis=1)

    for rate, first in blocks:
        rest = itertools.chain([first], (block for _, block in blocks))
        yield from resample(map(folded, rest), rate, MIX_RATE)


class _Tape:
    """Samples of a file at 48 kHz, of which only those around the last ones taken are held in memory.

    Args:
        sound: The sound in the mix.
        weights: Weights of the channels in the speech, which is then an additional channel.
    """

    def __init__(self, sound: Sound, weights: Weights | None) -> None:
        self._sound, self._weights = sound, weights
        self._first = 0
        self._held: Samples = np.zeros((0, 2), np.float32)
        self._rewind()

    def take(self, first: int, last: int) -> Samples:
        """Samples ``first`` to ``last``, (last - first, channels); silence before and after the file."""
        if max(first, 0) < self._first:
            self._rewind()
        while self._first + len(self._held) < last and (block := next(self._blocks, None)) is not None:
            kept = self._held[max(0, first - self._first) :]
            self._first += len(self._held) - len(kept)
            self._held = np.concatenate([kept, block])
        begin, end = (min(max(0, place - self._first), len(self._held)) for place in (first, last))
        before = min(max(0, -first), last - first)
        return np.pad(self._held[begin:end], ((before, last - first - before - (end - begin)), (0, 0)))

    def _rewind(self) -> None:
        self._blocks = _read(self._sound, self._weights)
        self._first, self._held = 0, next(self._blocks, self._held[:0])
