"""Which frame of the footage each frame of a dub shows, and reading them in that order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..footage import Footage, shown_at
from ..jobs import DubJob
from ..media.video import Frame, read_frames

_BLOCK = 32
"""Frames that are held in memory to be played backwards."""
_TIME_TOLERANCE = 1e-3


def frames_to_show(job: DubJob, footage: Footage, seconds: float, rate: Fraction) -> tuple[NDArray[np.int64], int]:
    """Which frame of the footage each frame of the result shows, and how many of them speak: those come first.

    Args:
        job: Which names moments, or leaves it to the voice.
        footage: Which is shown.
        seconds: Length of the voice.
        rate: Frames per second of the result.
    """
    if job.moments:
        return footage.shown_in_blender(job.moments), len(job.moments)
    voiced = max(1, round(seconds * rate))
    order = forth_and_back(footage, voiced, rate)
    tail = rest_of(footage, voiced, rate) if job.remainder == "keep" else order[:0]
    return np.concatenate([order, tail]), voiced


def forth_and_back(footage: Footage, count: int, rate: Fraction) -> NDArray[np.int64]:
    """Which frame of the footage each of ``count`` output frames shows: to its end, back to its beginning, and so on,
    so that there is never a jump.
    """
    last = max(0, math.ceil((footage.seconds - _TIME_TOLERANCE) * rate) - 1)
    numbers = np.arange(count)
    if last > 0:
        numbers = last - np.abs(last - numbers % (2 * last))
    return shown_at(footage.times, footage.times[0] + numbers / float(rate))


def rest_of(footage: Footage, count: int, rate: Fraction) -> NDArray[np.int64]:
    """Which frames of the footage follow after ``count`` output frames, up to its end."""
    total = round(footage.seconds * rate)
    return shown_at(footage.times, footage.times[0] + np.arange(min(count, total), total) / float(rate))


def frames_in_order(footage: Footage, indices: NDArray[np.int64]) -> Iterator[Frame]:
    """The footage's frames ``indices``, which run forth and back, without holding them all in memory."""
    for block in np.split(indices, np.flatnonzero(_turns(indices)) + 1):
        if len(block) == 0:
            continue
        if block[0] <= block[-1]:
            yield from _ascending(footage, block)
        else:
            for part in np.split(block, range(_BLOCK, len(block), _BLOCK)):
                held = list(_ascending(footage, part[::-1]))
                while held:
                    yield held.pop()  # what was shown is let go of, with all that was converted


def _ascending(footage: Footage, indices: NDArray[np.int64]) -> Iterator[Frame]:
    start, last = float(footage.times[indices[0]]), footage.times[indices[-1]]
    span = replace(footage.media, start=start, end=float(last) + 2 * _TIME_TOLERANCE)
    position = int(indices[0])
    wanted = 0
    for frame in read_frames(span):
        while wanted < len(indices) and indices[wanted] == position:
            yield frame
            wanted += 1
        position += 1


def _turns(indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """After which frames the direction changes: bool (n - 1,)."""
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
