"""Frames of a short span that stay decoded while it is read several times."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from ..jobs import Media
from .sequence import TIME_TOLERANCE
from .video import Frame, read_frames

_MOST = 64
"""Number of frames of the longest span that is held: 0.8 GB at 3840 x 2160."""

_held: ContextVar[tuple[Media, list[Frame]] | None] = ContextVar("held", default=None)


@contextmanager
def held_frames(span: Media) -> Iterator[None]:
    """Decode a span once: within the context, :func:`frames_of` takes it and parts of it from memory. A span of more
    than 64 frames is not held.

    Raises the errors of :func:`s2l_core.media.video.read_frames`.
    """
    frames = list(itertools.islice(read_frames(span), _MOST + 1))
    token = _held.set((span, frames) if len(frames) <= _MOST else None)
    try:
        yield
    finally:
        _held.reset(token)


def frames_of(media: Media) -> Iterator[Frame]:
    """As :func:`s2l_core.media.video.read_frames`. What was converted of a frame is not held."""
    if (held := _held.get()) is not None and (frames := _part(*held, media)) is not None:
        return (frame.again() for frame in frames)
    return read_frames(media)


def _part(span: Media, frames: list[Frame], media: Media) -> list[Frame] | None:
    """The frames of a medium among those of a span; None if it does not begin with one of them, or ends after them."""
    end, known = (math.inf if each.end is None else each.end for each in (media, span))
    begin = next((place for place, frame in enumerate(frames) if frame.time == media.start), None)
    if (
        begin is None
        or end > known
        or replace(media, start=0.0, end=None, face=span.face) != replace(span, start=0.0, end=None)
    ):
        return None
    return [frame for frame in frames[begin:] if frame.time < end - TIME_TOLERANCE]
