"""People whose lips are measured, or learnt from: a shot each, with its sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from s2l_core.events import Report
from s2l_core.face.landmarks import open_detector
from s2l_core.face.layout import LandmarkLayout
from s2l_core.footage import prepare
from s2l_core.glance.crops import apply, crop, lip_points, place_crops
from s2l_core.glance.sizes import PICTURES, RATE, SIDE
from s2l_core.jobs import Media
from s2l_core.media.audio import SPEECH_RATE, read_speech

_SOFT_EDGE = 6
"""Width in pixels of the crop within which a pasted picture turns into the frame around it."""


@dataclass(frozen=True)
class Lips:
    """Lips of N moments, real or made.

    Attributes:
        points: float64 (N, 40, 2) landmarks in pixels of the crop, whose side is 64 and 1.3 widths of the mouth.
        pictures: uint8 (N, 64, 64, 3) RGB; None for a row that tells the motion only.
    """

    points: NDArray[np.float64]
    pictures: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Person:
    """A person who speaks in one shot. The first frame is the picture that is given to the rows.

    Attributes:
        name: Name of the file.
        speech: float32 (n,) mono samples at 16 kHz, of the length of the shot.
        real: The real lips.
        frame: uint8 (H, W, 3) RGB the given frame.
        matrix: float64 (2, 3) map from pixels of the frame to pixels of the crop.
        layout: Layout of the landmarks.
    """

    name: str
    speech: NDArray[np.float32]
    real: Lips
    frame: NDArray[np.uint8]
    matrix: NDArray[np.float64]
    layout: LandmarkLayout

    def __len__(self) -> int:
        return len(self.real.points)

    @cached_property
    def given(self) -> NDArray[np.uint8]:
        """The given picture of the lips, uint8 (64, 64, 3)."""
        return crop(self.frame, self.matrix)

    def pasted(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The given frame with a picture (64, 64, 3) of lips in it."""
        size = (self.frame.shape[1], self.frame.shape[0])
        ramp = np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1])
        edge = np.minimum.outer(ramp, ramp).clip(0, _SOFT_EDGE).astype(np.float32) / _SOFT_EDGE
        inverse = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        share = np.asarray(cv2.warpAffine(edge, self.matrix, size, flags=inverse))[..., None]
        placed = np.asarray(cv2.warpAffine(picture.astype(np.float32), self.matrix, size, flags=inverse))
        return np.asarray((share * placed + (1 - share) * self.frame).round(), np.uint8)

    def seen_in(self, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Landmarks (n, 40, 2) that the bundled back-end finds where pictures (n, 64, 64, 3) are pasted into the given
        frame, in which nothing else moves. NaN where it finds no face.
        """
        detector = open_detector("bundled")
        found = np.full((len(pictures), len(lip_points(self.layout)), 2), np.nan)
        for row, picture in zip(found, pictures, strict=True):
            face = detector.detect(self.pasted(picture))
            if face is not None:
                row[:] = apply(self.matrix[None], face.points[None, lip_points(self.layout), :2].astype(np.float64))[0]
        return found


def read_person(media: Media, report: Report) -> Iterator[Person]:
    """The shots of a video at 25 fps that show the person and last 16 pictures or longer."""
    footage, speech = prepare(media, report=report), read_speech(media)
    indices = np.arange(len(footage.times))
    frames = dict(footage.pictures(indices, "Read pictures", report))
    for placement in place_crops(footage.landmarks, footage.layout):
        if len(placement.frames) < PICTURES:
            continue
        first, count = int(placement.frames[0]), len(placement.frames)
        pictures = [placement.crop(frames[int(frame)], place) for place, frame in enumerate(placement.frames)]
        heard = speech[first * SPEECH_RATE // RATE : (first + count) * SPEECH_RATE // RATE]
        heard = np.pad(heard, (0, count * SPEECH_RATE // RATE - len(heard)))
        real = Lips(placement.lips(footage.landmarks, footage.layout), np.stack(pictures))
        yield Person(Path(media.path).stem, heard, real, frames[first], placement.matrices[0], footage.layout)
