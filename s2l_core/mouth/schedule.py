"""The schedule of a dub: which frame of the footage each of its frames shows, and decoding them in that order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..footage import Footage, shown_at
from ..jobs import DubJob
from ..media.held_frames import frames_of
from ..media.video import Frame

_BLOCK = 32
"""Frames that are held in memory at once for playing footage backwards."""
_TIME_TOLERANCE = 1e-3


def frames_to_show(job: DubJob, footage: Footage, seconds: float, rate: Fraction) -> tuple[NDArray[np.int64], int]:
    """Map the frames of a dub to frames of the footage.

    Args:
        job: The job, which may name a moment for each frame.
        footage: The footage.
        seconds: Length of the voice in seconds.
        rate: Frames per second of the dub.

    Returns:
        int64 (n,) index into the footage for each frame of the dub, and the number of frames that speak; those come
        first.
    """
    if job.moments:
        return footage.shown_in_blender(job.moments), len(job.moments)
    voiced = max(1, round(seconds * rate))
    order = forth_and_back(footage, voiced, rate)
    tail = rest_of(footage, voiced, rate) if job.remainder == "keep" else order[:0]
    return np.concatenate([order, tail]), voiced


def forth_and_back(footage: Footage, count: int, rate: Fraction) -> NDArray[np.int64]:
    """Indices (count,) into the footage that play it forwards to its end, backwards to its start, and so on, without a
    jump.
    """
    last = max(0, math.ceil((footage.seconds - _TIME_TOLERANCE) * rate) - 1)
    numbers = np.arange(count)
    if last > 0:
        numbers = last - np.abs(last - numbers % (2 * last))
    return shown_at(footage.times, footage.times[0] + numbers / float(rate))


def rest_of(footage: Footage, count: int, rate: Fraction) -> NDArray[np.int64]:
    """Indices into the footage of the frames that follow after ``count`` frames of the dub, up to the end."""
    total = round(footage.seconds * rate)
    return shown_at(footage.times, footage.times[0] + np.arange(min(count, total), total) / float(rate))


def frames_in_order(footage: Footage, indices: NDArray[np.int64]) -> Iterator[Frame]:
    """Decode the footage's frames ``indices`` (n,), which play forwards and backwards, without holding all of them in
    memory.
    """
    for block in np.split(indices, np.flatnonzero(_turns(indices)) + 1):
        if len(block) == 0:
            continue
        if block[0] <= block[-1]:
            yield from _ascending(footage, block)
        else:
            for part in np.split(block, range(_BLOCK, len(block), _BLOCK)):
                held = list(_ascending(footage, part[::-1]))
                while held:
                    yield held.pop()  # frees the frame and its converted pictures


def _ascending(footage: Footage, indices: NDArray[np.int64]) -> Iterator[Frame]:
    start, last = float(footage.times[indices[0]]), footage.times[indices[-1]]
    span = replace(footage.media, start=start, end=float(last) + 2 * _TIME_TOLERANCE)
    position = int(indices[0])
    wanted = 0
    for frame in frames_of(span):
        while wanted < len(indices) and indices[wanted] == position:
            yield frame
            wanted += 1
        position += 1


def _turns(indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Bool (n - 1,), whether the direction changes after a frame."""
    steps = np.sign(np.diff(indices))
    turns = np.zeros(len(steps), dtype=bool)
    direction = 0
    for place, step in enumerate(steps):
        if step and direction and step != direction:
            turns[place] = True
            direction = 0
        elif step:
            direction = step
    return turns
