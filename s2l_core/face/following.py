"""One face through a clip: followed from frame to frame, searched for in tiles where the whole picture shows none, and
from each find on followed backwards as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..media.video import Frame
from .landmarks import Face, LandmarkDetector

SEARCH_INTERVAL = 8
"""Frames from one that may be searched in tiles to the next. As many are held, to follow a face backwards."""
_LARGER = 1.3
"""A face is preferred to a small one if it is larger by this factor: the measured size of one face varies by less."""
_SAME_PLACE = 1 / 3
"""Mean distance of the landmarks, as a share of the width of the face, below which two sets of them show one face."""


@dataclass(frozen=True)
class Sighting:
    """A frame in which the face was found.

    Attributes:
        image: uint8 (H, W, 3) RGB.
        points: float32 (P, 3) pixels.
    """

    image: NDArray[np.uint8]
    points: NDArray[np.float32]


@dataclass(frozen=True)
class Stretch:
    """What was found in consecutive frames.

    Attributes:
        times: float64 (n,) seconds.
        points: float32 (n, P, 3) pixels, NaN in frames without a face.
        is_small: The last of them shows a face that was found in a tile, and that no whole picture has shown since.
    """

    times: NDArray[np.float64]
    points: NDArray[np.float32]
    is_small: bool


class FaceFollower:
    """Follows the largest face, or the one that the detector was told to choose.

    Where that is lost, another is taken unless it was already there when the first was last seen: then it is somebody
    else's, and a head that is turned away for a moment keeps its place. A face that only tiles show is taken where the
    whole picture shows none, and gives way to a larger one.

    Args:
        detector: Where it goes on from an earlier follower, it must go on from there as well.
        last: Where the earlier follower has last found the face.
        is_small: Of the last stretch of the earlier follower.
    """

    def __init__(self, detector: LandmarkDetector, last: Sighting | None = None, is_small: bool = False) -> None:
        self._detector = detector
        self._nothing = np.full((detector.layout.count, 3), np.nan, np.float32)
        self._last = last
        self._is_small = is_small
        self._waiting: list[Frame] = []

    def follow(self, frames: Iterable[Frame], number: int = 0) -> Iterator[Stretch]:
        """What is found in consecutive frames, the first of which has this number in its clip, in stretches of at most
        ``SEARCH_INTERVAL`` frames. The end of each is a place to go on from that changes nothing.
        """
        for index, frame in enumerate(frames, start=number):
            self._waiting.append(frame)
            track = self._see(frame.image)
            if track is None and index % SEARCH_INTERVAL == 0:
                yield self._settle(self._search(frame.image))
            elif track is not None:
                yield self._settle(track)
        if self._waiting:
            yield self._settle(self._search(self._waiting[-1].image))

    def _see(self, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """The track (n, P, 3) of the face that was followed, or that the whole picture shows."""
        face = self._detector.track(image)
        if face is not None and self._is_small:
            shown = next(self._detector.faces(image), None)
            self._is_small = shown is None or not _is_same(shown.points, face.points)
            if shown is not None and _is_larger(shown.points, face.points):
                self._is_small, face = False, shown
        if face is not None:
            return self._trace(face.points)
        self._is_small = False
        self._detector.follow(self._nothing)
        return self._take(self._detector.faces(image))

    def _search(self, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """The track (n, P, 3) of a face that tiles of the picture show."""
        track = self._take(self._detector.small_faces(image))
        self._is_small = track is not None
        return track

    def _take(self, faces: Iterable[Face]) -> NDArray[np.float32] | None:
        """The track (n, P, 3) of the first of some faces that is not somebody else's."""
        for face in faces:
            track = self._trace(face.points)
            if not self._is_somebody_else(track):
                return track
        return None

    def _trace(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """The track (n, P, 3) through the waiting frames of a face with these points in the last of them."""
        track = np.stack([*[self._nothing] * (len(self._waiting) - 1), points])
        for index in range(len(track) - 1, 0, -1):
            face = self._detector.locate(self._waiting[index - 1].image, track[index])
            if face is None:
                break
            track[index - 1] = face.points
        return track

    def _is_somebody_else(self, track: NDArray[np.float32]) -> bool:
        if self._last is None:
            return False
        first = track[np.isfinite(track[:, 0, 0])][0]
        before = self._detector.locate(self._last.image, first)
        if before is None or _is_larger(before.points, self._last.points):
            return False
        return not _is_same(before.points, self._last.points)

    def _settle(self, track: NDArray[np.float32] | None) -> Stretch:
        frames, self._waiting = self._waiting, []
        if track is None:
            track = np.stack([self._nothing] * len(frames))
        else:
            self._last = Sighting(frames[-1].image, track[-1])
        self._detector.follow(track[-1])
        return Stretch(np.array([frame.time for frame in frames]), track, self._is_small)


def _is_larger(points: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    return _width(points) > _LARGER * _width(others)


def _width(points: NDArray[np.float32]) -> float:
    return float(np.ptp(points[:, 0]))


def _is_same(points: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    distance = np.linalg.norm(points[:, :2] - others[:, :2], axis=1).mean()
    return bool(distance < _SAME_PLACE * min(_width(points), _width(others)))
