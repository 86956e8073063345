"""Random access to the frames of a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import NotAVideo
from ..jobs import Media
from .video import Frame, read_frames

_AHEAD = 50
"""Number of frames that are skipped by decoding rather than by seeking, which decodes about as many."""


class FrameReader:
    """Reads frames of a video by index. Following frames are read without seeking.

    Args:
        media: The video; its span is ignored.
        times: float64 (N,) seconds from Blender's frame 0 of the stream at which frames begin, increasing.
    """

    def __init__(self, media: Media, times: NDArray[np.float64]) -> None:
        self._media = media
        self._times = times
        self._frames: Iterator[Frame] = iter(())
        self._next = len(times)
        self._picture: NDArray[np.uint8] | None = None

    def read(self, index: int) -> NDArray[np.uint8]:
        """Read frame ``index``, uint8 (H, W, 3) RGB. The picture does not depend on the frames that were read before.

        Raises:
            FileMissing: The file no longer exists.
            NotAVideo: The file has changed, and does not have this frame.
        """
        if self._picture is not None and index == self._next - 1:
            return self._picture
        if not self._next <= index <= self._next + _AHEAD:
            self._frames = read_frames(replace(self._media, start=float(self._times[index]), end=None))
            self._next = index
        for frame in self._frames:
            self._next += 1
            if self._next > index:
                self._picture = np.asarray(frame.image, np.uint8)
                return self._picture
        raise NotAVideo(
            f"{self._media.path} has no picture at {self._times[index]:g} s.",
            "The file may have been changed since it was analysed.",
        )
