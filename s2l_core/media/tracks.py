"""Choosing one of the sound tracks of a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from numpy.typing import NDArray

from .. import regular_files
from ..errors import AudioEmpty, AudioUnreadable, BadJob
from ..files import state_of
from .container import decode_audio, open_container

_SILENT_DB = -60.0
"""RMS level below which a block of samples counts as silent: the noise of an analog-to-digital converter."""
_HEARD_SECONDS = 0.25
"""Least duration of the sound in a track that is not silent: longer than the click of a switch."""


@dataclass(frozen=True)
class Track:
    """A sound track of a file.

    Attributes:
        number: Number of the track, from 1.
        count: Number of sound tracks of the file; 0 if it has no sound.
    """

    number: int
    count: int


def find_tracks(container: InputContainer) -> list[AudioStream]:
    """Sound tracks that can be decoded."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def choose_track(path: str, wanted: int | None = None, first: bool = False) -> Track:
    """Choose a sound track: the wanted one, or the first that is not silent, tracks with the default flag first.

    Args:
        path: The file.
        wanted: Number of the wanted track, from 1.
        first: Whether the first track of the file, which Blender plays, is preferred to those with the default flag.

    Raises:
        FileMissing: There is no such file.
        AudioEmpty: The file is empty.
        AudioUnreadable: The file is neither audio nor video.
        BadJob: The file does not have the wanted track.
    """
    return _choose(path, state_of(path), wanted, first)


@lru_cache(maxsize=256)
def _choose(path: str, state: tuple[int, int] | None, wanted: int | None, first: bool) -> Track:
    """As :func:`choose_track`, for a file in the given state, see :func:`s2l_core.files.state_of`."""
    if regular_files.is_file(path) and Path(path).stat().st_size == 0:
        raise AudioEmpty(f"{path} is an empty file.")
    with open_container(path, AudioUnreadable) as container:
        defaults = [bool(stream.disposition & Disposition.default) for stream in find_tracks(container)]
    count = len(defaults)
    if wanted is not None and count and wanted > count:
        has = f"{count} sound tracks" if count > 1 else "one sound track"
        raise BadJob(f"{path} has {has}, so there is no track {wanted}.", f"Choose one from 1 to {count}.")
    if wanted is not None or count < 2:
        return Track(wanted or 1, count)
    order = sorted(range(count), key=lambda place: (not (first and place == 0), not defaults[place], place))
    heard = next((place for place in order if _is_heard(path, place)), order[0])
    return Track(heard + 1, count)


def _is_heard(path: str, place: int) -> bool:
    """Whether a track is not silent."""
    with open_container(path, AudioUnreadable) as container:
        seconds = 0.0
        for rate, samples in _blocks(container, find_tracks(container)[place]):
            if np.square(samples, dtype=np.float64).mean(axis=0).max() > 10 ** (_SILENT_DB / 10):
                seconds += len(samples) / rate
                if seconds >= _HEARD_SECONDS:
                    return True
    return False


def _blocks(container: InputContainer, stream: AudioStream) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for frame in decode_audio(container, stream):
        if frame.samples:
            yield frame.sample_rate, to_float(frame)


def to_float(frame: AudioFrame) -> NDArray[np.float32]:
    """Convert samples of any format to float32 (n, channels) in [-1, 1]."""
    samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(frame.samples, -1)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if samples.dtype.kind == "i":
        return samples.astype(np.float32) / np.float32(2 ** (8 * samples.dtype.itemsize - 1))
    return np.clip(np.nan_to_num(samples.astype(np.float32)), -1.0, 1.0)
