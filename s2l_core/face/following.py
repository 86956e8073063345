"""Following one face through a clip: from frame to frame, with a search in tiles if no face is found in the whole
picture, and backwards from each frame in which it is found again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry.camera import Rectangle
from ..media.video import Frame
from .detector import Face, LandmarkDetector

SEARCH_INTERVAL = 12
"""Number of frames between two searches in tiles. As many frames are held in memory, to follow a face backwards."""
_COMPARISON_INTERVAL = 4
"""Number of frames between two searches for a larger face."""
_SMALL = 1 / 16
"""Width of a face, relative to the longer side of the picture, below which it may be missed in the whole picture."""
_LARGER = 1.3
"""Ratio of sizes from which a larger face is preferred; the measured size of one face varies by less."""
_PATIENCE = 3.0
"""Time in seconds after the face was lost during which no bystander replaces it."""
_NEAR, _STEP = 1.8, 32
"""Side of the square around a face that is converted, in sizes of the face, and the pixels of which it is a multiple.
The network sees 1.5 sizes of the face, in a square that is rotated with it.
"""
_SAME_PLACE = 1 / 3
"""Mean distance of landmarks, relative to the width of the face, below which two sets show the same face."""


@dataclass(frozen=True)
class Sighting:
    """A frame in which the face was found.

    Attributes:
        frame: The frame.
        points: float32 (P, 3) landmarks in pixels.
    """

    frame: Frame
    points: NDArray[np.float32]


@dataclass(frozen=True)
class Stretch:
    """Landmarks in consecutive frames.

    Attributes:
        times: float64 (n,) times of the frames in seconds.
        points: float32 (n, P, 3) landmarks in pixels, NaN in frames without a face.
        is_bystander: Whether the last face is of a person who was already there when another face was lost.
    """

    times: NDArray[np.float64]
    points: NDArray[np.float32]
    is_bystander: bool


class FaceFollower:
    """Follows the largest face, or the one that was chosen with :meth:`.LandmarkDetector.choose`.

    If it is lost, another face is followed. For some seconds, this must not be a bystander, who was already there when
    the face was last seen. A bystander, or a face that is small in the picture, is replaced by a larger face.

    Args:
        detector: The landmark detector; to continue an earlier follower, it must continue from there as well.
        last: Last frame in which the earlier follower found the face.
        is_bystander: That of the last stretch of the earlier follower.
    """

    def __init__(self, detector: LandmarkDetector, last: Sighting | None = None, is_bystander: bool = False) -> None:
        self._detector = detector
        self._nothing = np.full((detector.layout.count, 3), np.nan, np.float32)
        self._last = last
        self._is_bystander = is_bystander
        self._waiting: list[Frame] = []
        self._settled = self._nothing

    def follow(self, frames: Iterable[Frame], number: int = 0) -> Iterator[Stretch]:
        """Find the face in consecutive frames, the first of which has index ``number`` in its clip.

        Yields:
            Stretches of at most ``SEARCH_INTERVAL`` frames. Another follower may continue after any of them with the
            same results.
        """
        for index, frame in enumerate(frames, start=number):
            self._waiting.append(frame)
            track = self._see(frame, index)
            if track is None and index % SEARCH_INTERVAL == 0:
                yield self._settle(self._take(self._detector.small_faces(frame.image)))
            elif track is not None:
                yield self._settle(track)
        if self._waiting:
            yield self._settle(self._take(self._detector.small_faces(self._waiting[-1].image)))

    def near(self, frame: Frame) -> Rectangle | None:
        """The rectangle of one of the next frames in which the face is probably, and which is converted then; None if
        no face was found last.
        """
        points = self._settled
        if np.isnan(points).any():
            return None
        height, width = frame.shape
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        side = -(-_NEAR * float((high - low).max()) // _STEP) * _STEP  # the same from frame to frame
        sides = np.minimum(side, [width, height]).astype(int)
        left, top = np.clip(((low + high - sides) / 2).astype(int), 0, [width, height] - sides).tolist()
        return Rectangle(left, top, *sides.tolist())

    def _see(self, frame: Frame, index: int) -> NDArray[np.float32] | None:
        """Track (n, P, 3) of the face that was followed, or of one that is found in the whole picture."""
        face = self._detector.track(frame)
        if face is not None and index % _COMPARISON_INTERVAL == 0 and self._gives_way(face, frame):
            shown = next(self._detector.faces(frame.image), None)
            if shown is not None and _is_larger(shown.points, face.points):
                self._is_bystander, face = False, shown
        if face is not None:
            return self._trace(face.points)
        self._is_bystander = False
        self._detector.follow(self._nothing)
        return self._take(self._detector.faces(frame.image))

    def _gives_way(self, face: Face, frame: Frame) -> bool:
        return self._is_bystander or _width(face.points) < _SMALL * max(frame.shape)

    def _take(self, faces: Iterable[Face]) -> NDArray[np.float32] | None:
        """Track (n, P, 3) of the first of some faces that may be followed. Its earlier positions are checked for
        bystanders as well, since a person may have moved.
        """
        is_over = self._last is None or self._waiting[-1].time > self._last.frame.time + _PATIENCE
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
        """Track (n, P, 3), through the waiting frames, of a face with the given landmarks in the last of them."""
        track = np.stack([*[self._nothing] * (len(self._waiting) - 1), points])
        for index in range(len(track) - 1, 0, -1):
            face = self._detector.locate(self._waiting[index - 1].image, track[index])
            if face is None:
                break
            track[index - 1] = face.points
        return track

    def _was_beside(self, points: NDArray[np.float32]) -> bool:
        """Whether a face with these landmarks was beside the lost face in the last frame that showed it."""
        if self._last is None:
            return False
        before = self._detector.locate(self._last.frame.image, points)
        if before is None or _is_larger(before.points, self._last.points):
            return False
        return not _is_same(before.points, self._last.points)

    def _settle(self, track: NDArray[np.float32] | None) -> Stretch:
        frames, self._waiting = self._waiting, []
        if track is None:
            track = np.stack([self._nothing] * len(frames))
        else:
            self._last = Sighting(frames[-1], track[-1])
        self._settled = track[-1]
        self._detector.follow(track[-1])
        return Stretch(np.array([frame.time for frame in frames]), track, self._is_bystander)


def _is_larger(points: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    return _width(points) > _LARGER * _width(others)


def _width(points: NDArray[np.float32]) -> float:
    return float(np.ptp(points[:, 0]))


def _is_same(points: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    distance = np.linalg.norm(points[:, :2] - others[:, :2], axis=1).mean()
    return bool(distance < _SAME_PLACE * min(_width(points), _width(others)))
