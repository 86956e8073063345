"""The frames of a dub, which ``dub`` writes, ``preview`` shows and ``evaluate`` measures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from ..cache import NO_CACHE, Cache, Tensors
from ..canonical.compositing import extract_layer
from ..canonical.light import Light
from ..canonical.regions import lip_shape_size
from ..errors import BadJob
from ..events import Report, checkpoint
from ..face.layout import LAYOUTS
from ..footage import Footage, prepare
from ..jobs import DubJob, Media, parse_rate
from ..media.audio import SPEECH_RATE
from ..media.mix import CONTEXT_SECONDS, Context
from ..media.raster import Picture, with_change
from ..model.speaker import SpeakerModel
from ..speech.encoder import CODE_SECONDS, codes_at
from ..speech.features import speech_level
from .painting import line_painter
from .reliability import REASONS, Reliability, judge_frame, judge_frames
from .rendering import BATCH, MouthRenderer, rest_in_silence, speech_track
from .schedule import frames_in_order, frames_to_show


def open_footage(media: Media, landmarks: str, speaker: SpeakerModel, device: torch.device, report: Report) -> Footage:
    """Open footage for a dub and track the speaker's head in it, with the head shape known from training. It need not
    show a face. Errors and phases as :func:`s2l_core.footage.prepare`.
    """
    if lip_shape_size(LAYOUTS[len(speaker.known_head.shape)]) != len(speaker.look.shape.mean):
        raise BadJob(
            "The speaker's lips were tracked with a different landmark model than the head.", "Train the speaker again."
        )
    return prepare(
        media, landmarks, device.type, report, faceless=True, known=speaker.known_head, identity=speaker.identity
    )


class DubFrames:
    """The n frames of a dub. Each of them is determined by the job, not by which other frames are rendered.

    Args:
        job: The job.
        speaker: Its speaker, on the device to compute on.
        footage: Its footage, with the speaker's head tracked.
        speech: float32 (s,) its voice, mono at 16 kHz.
        context: The sound around the voice in its files.

    Attributes:
        footage: The footage.
        rate: Frames per second.
        indices: int64 (n,) index into the footage for each frame.
        voiced: Number of frames that speak; they come first.
    """

    def __init__(
        self, job: DubJob, speaker: SpeakerModel, footage: Footage, speech: NDArray[np.float32], context: Context
    ) -> None:
        self.footage = footage
        self.rate: Fraction = parse_rate(job.rate) if job.rate else footage.info.rate
        self.indices, self.voiced = frames_to_show(job, footage, len(speech) / SPEECH_RATE, self.rate)
        self._speaker, self._layer = speaker, job.encoding.layer
        self._renderer = MouthRenderer(speaker, footage)
        self._weights = np.ones(self.voiced, np.float32)
        last = (self.voiced - 1) / float(self.rate)
        level_db = speech_level(speech, context.powers)
        heard = np.concatenate([context.before, speech, context.after])
        track = speech_track(speaker, heard, level_db)
        curves = job.silence_db, job.rest_strength
        codes = rest_in_silence(speaker, track, heard, level_db, *curves, last, begin=CONTEXT_SECONDS)
        self._codes = codes[round(CONTEXT_SECONDS / CODE_SECONDS) :]
        self._paint = line_painter(speaker, codes_at(self._codes, np.arange(self.voiced) / float(self.rate)))

    def __len__(self) -> int:
        return len(self.indices)

    def assess(self, report: Report, cache: Cache = NO_CACHE) -> Reliability:
        """Fit the light of the footage, and find the frames whose mouth cannot be replaced, see
        :func:`s2l_core.mouth.reliability.judge_frames`. Frames that are rendered later take both into account.

        Args:
            report: Receives the progress.
            cache: Cache of the result for this dub.
        """

        def judge() -> Tensors:
            shown = self.indices[: self.voiced]
            judged, light = judge_frames(self._speaker, self.footage, shown, self.rate, report)
            return {**judged.to_tensors(), "to_footage": light.to_footage, "to_speaker": light.to_speaker}

        looked = cache.get_or_compute("look", judge, self._speaker.face.lips.depth.device)
        judged, light = Reliability.from_tensors(looked), Light(looked["to_footage"], looked["to_speaker"])
        self._weights, self._renderer = judged.weights, MouthRenderer(self._speaker, self.footage, light)
        return judged

    def assess_frame(self, number: int, report: Report) -> str:
        """As :meth:`assess`, for one frame. Returns the reason why it keeps the footage's pixels, or an empty
        string.
        """
        if number >= self.voiced:
            return ""
        shown = self.indices[: self.voiced]
        reason, light = judge_frame(self._speaker, self.footage, shown, int(shown[number]), report)
        self._weights[number] = reason == 0
        self._renderer = MouthRenderer(self._speaker, self.footage, light)
        return REASONS[reason]

    def read(self, frames: range) -> Iterator[Picture]:
        """Render some of the frames as they are written, with a few of them in memory at a time: whole pictures in the
        footage's format, or mouths with alpha.

        Args:
            frames: Numbers of the frames.
        """
        shown = frames_in_order(self.footage, self.indices[frames.start : frames.stop])
        for first in range(frames.start, frames.stop, BATCH):
            batch = list(itertools.islice(shown, min(BATCH, frames.stop - first)))
            numbers = np.arange(first, first + len(batch))
            images = self.dubbed([frame.image for frame in batch], numbers)
            pictures = [with_change(frame.picture, frame.image, new) for frame, new in zip(batch, images, strict=True)]
            if self._layer == "mouth":
                shares = self._shares(numbers)
                masks = self._renderer.masks(self.indices[numbers], shares, *images[0].shape[:2])
                pictures = [
                    extract_layer(new, frame.picture, mask)
                    for new, frame, mask in zip(pictures, batch, masks, strict=True)
                ]
            for picture in pictures:
                checkpoint()
                yield picture

    def dubbed(self, images: Sequence[NDArray[np.uint8]], numbers: NDArray[np.integer]) -> list[NDArray[np.uint8]]:
        """Render B of the frames as 8-bit pictures (H, W, 3), see :attr:`s2l_core.media.video.Frame.image`.

        Args:
            images: The footage's frames that they show.
            numbers: (B,) numbers of the frames.
        """
        shares, indices = self._shares(numbers), self.indices[numbers]
        if not shares.any():
            return list(images)
        codes = self._renderer.codes(images, indices, self._codes, numbers / float(self.rate))
        lips = self._paint(codes, np.minimum(numbers, self.voiced - 1))
        return self._renderer.render(images, indices, lips, shares)

    def _shares(self, numbers: NDArray[np.integer]) -> NDArray[np.float32]:
        """Opacity of the new mouth in frames ``numbers`` (B,); 0 in frames that do not speak."""
        return np.where(numbers < self.voiced, self._weights[np.minimum(numbers, self.voiced - 1)], np.float32(0))
