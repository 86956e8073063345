"""One face through a clip: followed from frame to frame, searched for in tiles where the whole picture shows none, and
from each find on followed backwards as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..media.video import Frame
from .detector import Face, LandmarkDetector

SEARCH_INTERVAL = 12
"""Frames from one that may be searched in tiles to the next. As many are held, to follow a face backwards."""
_COMPARISON_INTERVAL = 4
"""Frames from one in which a larger face is looked for to the next."""
_SMALL = 1 / 16
"""Width of a face, as a share of the longer side of the picture, below which the whole picture may not show it."""
_LARGER = 1.3
"""A face is preferred to another if it is larger by this factor: the measured size of one face varies by less."""
_PATIENCE = 3.0
"""Seconds for which nobody takes the place of a face that was lost."""
_SAME_PLACE = 1 / 3
"""Mean distance of the landmarks, as a share of the width of the face, below which two sets of them show one face."""


@dataclass(frozen=True)
class Sighting:
    """A frame in which the face was found.

    Attributes:
        time: Seconds.
        image: uint8 (H, W, 3) RGB.
        points: float32 (P, 3) pixels.
    """

    time: float
    image: NDArray[np.uint8]
    points: NDArray[np.float32]


@dataclass(frozen=True)
class Stretch:
    """What was found in consecutive frames.

    Attributes:
        times: float64 (n,) seconds.
        points: float32 (n, P, 3) pixels, NaN in frames without a face.
        is_bystander: The last of them shows somebody who was there before another face was lost.
    """

    times: NDArray[np.float64]
    points: NDArray[np.float32]
    is_bystander: bool


class FaceFollower:
    """Follows the largest face, or the one that the detector was told to choose.

    Where that is lost, another is taken, but for some seconds no bystander: none that was already there when the first
    was last seen. A bystander, and a face that is small in the picture, gives way to a larger one.

    Args:
        detector: Where it goes on from an earlier follower, it must go on from there as well.
        last: Where the earlier follower has last found the face.
        is_bystander: Of the last stretch of the earlier follower.
    """

    def __init__(self, detector: LandmarkDetector, last: Sighting | None = None, is_bystander: bool = False) -> None:
        self._detector = detector
        self._nothing = np.full((detector.layout.count, 3), np.nan, np.float32)
        self._last = last
        self._is_bystander = is_bystander
        self._waiting: list[Frame] = []

    def follow(self, frames: Iterable[Frame], number: int = 0) -> Iterator[Stretch]:
        """What is found in consecutive frames, the first of which has this number in its clip, in stretches of at most
        ``SEARCH_INTERVAL`` frames. The end of each is a place to go on from that changes nothing.
        """
        for index, frame in enumerate(frames, start=number):
            self._waiting.append(frame)
            track = self._see(frame.image, index)
            if track is None and index % SEARCH_INTERVAL == 0:
                yield self._settle(self._take(self._detector.small_faces(frame.image)))
            elif track is not None:
                yield self._settle(track)
        if self._waiting:
            yield self._settle(self._take(self._detector.small_faces(self._waiting[-1].image)))

    def _see(self, image: NDArray[np.uint8], index: int) -> NDArray[np.float32] | None:
        """The track (n, P, 3) of the face that was followed, or that the whole picture shows."""
        face = self._detector.track(image)
        if face is not None and index % _COMPARISON_INTERVAL == 0 and self._gives_way(face, image):
            shown = next(self._detector.faces(image), None)
            if shown is not None and _is_larger(shown.points, face.points):
                self._is_bystander, face = False, shown
        if face is not None:
            return self._trace(face.points)
        self._is_bystander = False
        self._detector.follow(self._nothing)
        return self._take(self._detector.faces(image))

    def _gives_way(self, face: Face, image: NDArray[np.uint8]) -> bool:
        return self._is_bystander or _width(face.points) < _SMALL * max(image.shape)

    def _take(self, faces: Iterable[Face]) -> NDArray[np.float32] | None:
        """The track (n, P, 3) of the first of some faces that may be taken. Where it came from counts as well as where
        it is: somebody may have moved since.
        """
        is_over = self._last is None or self._waiting[-1].time > self._last.time + _PATIENCE
        for face in faces:
            if not is_over and self._was_beside(face.points):
                continue
            track = self._trace(face.points)
            is_bystander = self._was_beside(track[np.isfinite(track[:, 0, 0])][0])
            if is_over or not is_bystander:
                self._is_bystander = is_bystander
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

    def _was_beside(self, points: NDArray[np.float32]) -> bool:
        """Whether a face with these points was in the frame in which the lost one was last seen, beside it."""
        if self._last is None:
            return False
        before = self._detector.locate(self._last.image, points)
        if before is None or _is_larger(before.points, self._last.points):
            return False
        return not _is_same(before.points, self._last.points)

    def _settle(self, track: NDArray[np.float32] | None) -> Stretch:
        frames, self._waiting = self._waiting, []
        if track is None:
            track = np.stack([self._nothing] * len(frames))
        else:
            self._last = Sighting(frames[-1].time, frames[-1].image, track[-1])
        self._detector.follow(track[-1])
        return Stretch(np.array([frame.time for frame in frames]), track, self._is_bystander)


def _is_larger(points: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    return _width(points) > _LARGER * _width(others)


def _width(points: NDArray[np.float32]) -> float:
    return float(np.ptp(points[:, 0]))


def _is_same(points: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    distance = np.linalg.norm(points[:, :2] - others[:, :2], axis=1).mean()
    return bool(distance < _SAME_PLACE * min(_width(points), _width(others)))
