"""Converting frames in a thread, while the caller works on earlier ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from operator import attrgetter
from typing import Any

from .video import Frame

_AHEAD = 4
"""Number of frames that are converted in advance. More need more memory, and save no time unless frames differ much in
the time that they take.
"""


def converted_ahead(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The same frames, with their images converted in advance. Only for callers that use the image of each frame.

    Decoding and conversion run without the GIL, so that they and a network of the caller use several cores.

    Raises:
        NotAVideo: As :attr:`.Frame.image` does.
    """
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[tuple[Frame, Future[Any]]] = deque()
        for frame in frames:
            waiting.append((frame, thread.submit(attrgetter("image"), frame)))
            if len(waiting) > _AHEAD:
                yield _converted(*waiting.popleft())
        while waiting:
            yield _converted(*waiting.popleft())


def _converted(frame: Frame, conversion: Future[Any]) -> Frame:
    conversion.result()
    return frame
