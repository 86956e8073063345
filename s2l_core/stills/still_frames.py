"""The frames of a speaking picture, which ``still`` writes and ``preview`` shows."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from ..ahead import MOST_WORKERS, in_order
from ..cache import NO_CACHE, Cache, Tensors
from ..canonical.compositing import extract_layer
from ..events import Report, checkpoint
from ..geometry.camera import Rectangle
from ..jobs import StillJob, parse_rate
from ..media.audio import SPEECH_RATE
from ..media.mix import CONTEXT_SECONDS, Context
from ..media.raster import Picture
from ..media.sequence import DEFAULT_RATE
from ..media.single_picture import SinglePicture
from ..model.speaker import SpeakerModel
from ..mouth.line_codes import open_speech_source
from ..speech.features import speech_level
from ..speech.silence import room_tone_level
from .blinks import Eyelids, blink_shares
from .closing import open_shares
from .covered import is_covered
from .drift import HeadDrift, drift_angles
from .lip_motion import load_lip_motion
from .portrait import DOUBTFUL_YAW, Portrait, find_portrait
from .speaker_motion import SpeakerLine, SpeakerMotion
from .speaking_face import SpeakingFace

_DOUBTFUL_WIDTH, _DOUBTFUL_OPENING = 90, 0.33
"""Width of a face in pixels below which, and opening in widths of the mouth above which, a picture will look bad."""


class StillFrames:
    """The frames of a job. Each of them is determined by the job, not by which other frames are rendered.

    Args:
        job: The job.
        source: Its picture.
        speech: float32 (s,) its voice, mono at 16 kHz.
        context: The sound around the voice in its files.
        device: Device of the landmarks.
        report: Receives the progress of finding the shapes of the lips.
        cache: Cache of what is heard in the voice for this job.

    Attributes:
        rate: Frames per second.
        portrait: The face that speaks.
        face: The same, prepared.
        warnings: A sentence for each property of the picture that will look bad.
        box: The pixels outside of which nothing changes.

    Raises:
        NoFace, SeveralFaces, FaceTooSmall, FaceTurnedAway, BadJob, LandmarksUnavailable: See
            :func:`s2l_core.stills.portrait.find_portrait`.
        SpeechFeaturesUnavailable: Moonshine, through which the speech is heard, is missing.
        SpeakerFileOlder: The speaker file does not say how the lips move.
    """

    def __init__(
        self,
        job: StillJob,
        source: SinglePicture,
        speech: NDArray[np.float32],
        context: Context,
        device: str,
        report: Report,
        cache: Cache = NO_CACHE,
    ) -> None:
        self._picture, self._layer = source.picture, job.encoding.layer
        self.rate = parse_rate(job.rate) if job.rate else DEFAULT_RATE
        self.portrait = find_portrait(source.image, job.picture, job.landmarks, device)

        # Find the shape of the lips in each frame: as the speaker's, or as those of many people.
        count = max(1, round(len(speech) / SPEECH_RATE * self.rate))
        times = np.arange(count) / float(self.rate)
        heard = np.concatenate([context.before, speech, context.after])
        level, curves = speech_level(speech, context.powers), (job.silence_db, job.rest_strength)
        room_tone = room_tone_level(context.powers, level)
        clock, line = times + CONTEXT_SECONDS, None
        if job.speaker_path:
            speaker = SpeakerModel.load(job.speaker_path)
            open_speech_source(speaker, job.speech_network)
            motion = SpeakerMotion(speaker)
            line = SpeakerLine(motion, motion.codes(heard, clock, level, room_tone, *curves, begin=CONTEXT_SECONDS))
            self._offsets = motion.shapes(line.codes)
        else:

            def listen() -> Tensors:
                return {"offsets": torch.from_numpy(load_lip_motion().offsets(heard, clock, report, level))}

            offsets = cache.get_or_compute("lips", listen)["offsets"].numpy()
            self._offsets = offsets * open_shares(heard, times, level, room_tone, *curves)[:, None, None]
        self.face = SpeakingFace(source, self.portrait, line)
        self.warnings = list(_warnings(source.image, self.portrait, self.face))

        # Let the eyes blink, and the head move.
        height, width = source.picture.shape[:2]
        stretch = np.array([width / source.image.shape[1], height / source.image.shape[0]])
        self._lids = Eyelids(self.portrait, stretch, width, height) if job.blinks else None
        self._shut = blink_shares(times, job.seed) if job.blinks else np.zeros(count)
        self._drift = HeadDrift(self.portrait, stretch, width, height) if job.head_motion else None
        self._turned = drift_angles(times, job.seed)
        boxes = [*(self._lids.boxes if self._lids else []), *([self._drift.box] if self._drift else [])]
        self.box = _around([self.face.box, *boxes])
        self._mask = self.face.mask.copy()
        for box in boxes:
            self._mask[box.top : box.top + box.height, box.left : box.left + box.width] = 255

    def __len__(self) -> int:
        return len(self._offsets)

    def read(self, frames: range) -> Generator[Picture, None, None]:
        """Render some of the frames as they are written: whole pictures, or what changes with alpha. Several are
        rendered at once, while those before are encoded. Close the generator if it is not used to its end.

        Args:
            frames: Numbers of the frames.
        """
        yield from in_order(self._made, frames, min(torch.get_num_threads(), MOST_WORKERS))

    def _made(self, number: int) -> Picture:
        """A frame as it is written."""
        checkpoint()
        picture = self.render(number)
        return picture if self._layer == "picture" else extract_layer(picture, self._picture, self._mask)

    def render(self, number: int) -> Picture:
        """Render a frame as a whole picture."""
        picture = self.face.paint(self._offsets[number], number)
        if self._lids is not None:
            picture = self._lids.close(picture, float(self._shut[number]))
        if self._drift is not None:
            picture = self._drift.turn(picture, self._turned[number])
        return picture


def _around(boxes: list[Rectangle]) -> Rectangle:
    """The smallest rectangle that contains others."""
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    right, bottom = max(box.left + box.width for box in boxes), max(box.top + box.height for box in boxes)
    return Rectangle(left, top, right - left, bottom - top)


def _warnings(image: NDArray[np.uint8], portrait: Portrait, face: SpeakingFace) -> Iterator[str]:
    yaw = abs(float(portrait.angles[0]))
    if yaw > DOUBTFUL_YAW:
        yield f"The face is turned {yaw:.0f} degrees to the side; beyond {DOUBTFUL_YAW:.0f} the mouth looks distorted."
    if portrait.width < _DOUBTFUL_WIDTH:
        yield f"The face is {portrait.width:.0f} pixels wide; below {_DOUBTFUL_WIDTH} the mouth has little detail."
    if face.opening > _DOUBTFUL_OPENING:
        yield "The mouth is wide open in the picture; when it closes, the lips look thin or stretched."
    if is_covered(image, portrait):
        yield "Something that is not skin seems to cover a part of the mouth or the chin; it will move with the skin."
