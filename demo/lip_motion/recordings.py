"""Recordings from which the motion of lips is learnt: speech with the shapes of a mouth, a row for each picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2l_core.events import Report
from s2l_core.face.landmarks import open_detector
from s2l_core.jobs import Media
from s2l_core.media.video import read_frames


@dataclass(frozen=True)
class Recording:
    """Somebody speaks.

    Attributes:
        name: Name of the recording.
        person: Name of the person or voice. Who is left out of a fit is left out with all recordings.
        speech: float32 (n,) mono at 16 kHz.
        times: float64 (F,) moments of the pictures in seconds.
        offsets: float32 (F, 41, 2), see :mod:`s2l_core.stills.lip_shape`; NaN in pictures without a face.
        is_real: Whether a person was filmed, or a synthetic voice moves a model of a face.
    """

    name: str
    person: str
    speech: NDArray[np.float32]
    times: NDArray[np.float64]
    offsets: NDArray[np.float32]
    is_real: bool


def landmarks_of(media: Media, landmarks: str, report: Report) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Times (F,) of all pictures of a film and their landmarks (F, 468, 3) in pixels, NaN without a face."""
    detector = open_detector(landmarks)
    times, points = [], []
    for frame in read_frames(media):
        face = detector.detect(frame.image)
        times.append(frame.time)
        points.append(np.full((detector.layout.count, 3), np.nan) if face is None else face.points)
        report.progress(f"Find the face in {Path(media.path).name}", len(times), len(times) + 1)
    return np.array(times), np.stack(points).astype(np.float32)
