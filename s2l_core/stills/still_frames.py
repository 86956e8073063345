"""The frames of a speaking picture, which ``still`` writes and ``preview`` shows."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..canonical.compositing import extract_layer
from ..events import Report, checkpoint
from ..jobs import StillJob, parse_rate
from ..media.audio import SPEECH_RATE
from ..media.mix import CONTEXT_SECONDS, Context
from ..media.raster import Picture
from ..media.single_picture import SinglePicture
from ..speech.features import speech_level
from .closing import open_shares
from .lip_motion import load_lip_motion
from .portrait import DOUBTFUL_YAW, Portrait, find_portrait
from .speaking_face import SpeakingFace

DEFAULT_RATE = Fraction(25)


class StillFrames:
    """The frames of a job. Each of them is determined by the job, not by which other frames are rendered.

    Args:
        job: The job.
        source: Its picture.
        speech: float32 (s,) its voice, mono at 16 kHz.
        context: The sound around the voice in its files.
        device: Device of the landmarks.
        report: Receives the progress of finding the shapes of the lips.

    Attributes:
        rate: Frames per second.
        portrait: The face that speaks.
        face: The same, prepared.
        warnings: A sentence for each property of the picture that will look bad.

    Raises:
        NoFace, SeveralFaces, FaceTooSmall, FaceTurnedAway, BadJob, LandmarksUnavailable: See
            :func:`s2l_core.stills.portrait.find_portrait`.
    """

    def __init__(
        self,
        job: StillJob,
        source: SinglePicture,
        speech: NDArray[np.float32],
        context: Context,
        device: str,
        report: Report,
    ) -> None:
        self._picture, self._layer = source.picture, job.encoding.layer
        self.rate = parse_rate(job.rate) if job.rate else DEFAULT_RATE
        self.portrait = find_portrait(source.image, job.picture, job.landmarks, device)
        self.warnings = _warnings(self.portrait)
        self.face = SpeakingFace(source, self.portrait)
        count = max(1, round(len(speech) / SPEECH_RATE * self.rate))
        times = np.arange(count) / float(self.rate)
        heard = np.concatenate([context.before, speech, context.after])
        level = speech_level(speech, context.powers)
        offsets = load_lip_motion(report).offsets(heard, times + CONTEXT_SECONDS, report, level)
        shares = open_shares(heard, times, level, job.silence_db, job.rest_strength)
        self._offsets = offsets * shares[:, None, None]

    def __len__(self) -> int:
        return len(self._offsets)

    def read(self, frames: range) -> Iterator[Picture]:
        """Render some of the frames as they are written: whole pictures, or what changes with alpha.

        Args:
            frames: Numbers of the frames.
        """
        for number in frames:
            checkpoint()
            picture = self.render(number)
            yield picture if self._layer == "picture" else extract_layer(picture, self._picture, self.face.mask)

    def render(self, number: int) -> Picture:
        """Render a frame as a whole picture."""
        return self.face.paint(self._offsets[number])


def _warnings(portrait: Portrait) -> list[str]:
    yaw = abs(float(portrait.angles[0]))
    if yaw <= DOUBTFUL_YAW:
        return []
    return [f"The face is turned {yaw:.0f} degrees to the side; beyond {DOUBTFUL_YAW:.0f} the mouth looks distorted."]
