"""What a line asks of the lips: codes of speech, and which exemplar each frame shows."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..jobs import DubJob
from ..media.audio import SPEECH_RATE
from ..media.mix import CONTEXT_SECONDS, Context
from ..model.speaker import SpeakerModel
from ..speech.encoder import CODE_SECONDS, codes_at
from ..speech.features import speech_level
from ..speech.moonshine import PIECE_SAMPLES
from ..speech.silence import room_tone_level
from ..speech.sources import LOG_MEL
from .line_codes import rest_in_silence, speech_track
from .painting import LinePainter, line_painter

_CODE_SAMPLES = round(CODE_SECONDS * SPEECH_RATE)
_ALIGNED = math.lcm(_CODE_SAMPLES, PIECE_SAMPLES)
"""Samples (4.9 s) after which a line may begin to be heard with the same codes as from its beginning."""
_HEARD_SECONDS = 1.5
"""Time before and after frames that is heard: the second in which Moonshine hears a sound, and the receptive field of
the encoders. Pauses of half a second and their closing are within it.
"""


class SpokenLine:
    """The line of a dub.

    Args:
        job: The job, of which the curves of the closing in silence are used.
        speaker: Its speaker, on the device to compute on.
        speech: float32 (s,) its voice, mono at 16 kHz.
        context: The sound around the voice in its files.
        rate: Frames per second.
        count: Number n of frames that speak.
        only: The only frame that will be asked for; None means all. Only the seconds around it are heard, if that does
            not change its codes.
    """

    def __init__(
        self,
        job: DubJob,
        speaker: SpeakerModel,
        speech: NDArray[np.float32],
        context: Context,
        rate: Fraction,
        count: int,
        only: int | None = None,
    ) -> None:
        # The levels are those of the whole line.
        self._rate = float(rate)
        level_db = speech_level(speech, context.powers)
        room_tone_db = room_tone_level(context.powers, level_db)
        heard = np.concatenate([context.before, speech, context.after])
        frames, samples = range(count), slice(0, len(heard))
        if only is not None and speaker.source == LOG_MEL:
            frames, samples = self._part_around(min(only, count - 1), count, len(heard))

        # Codes from the beginning of the line on, or from that of its part.
        part, last = heard[samples], (count - 1) / self._rate
        track, begin = speech_track(speaker, part, level_db), CONTEXT_SECONDS - samples.start / SPEECH_RATE
        curves = job.silence_db, job.rest_strength
        codes = rest_in_silence(speaker, track, part, level_db, room_tone_db, *curves, last, begin=begin)
        first = samples.start // _CODE_SAMPLES - round(CONTEXT_SECONDS / CODE_SECONDS)
        self.codes, self._begin = codes[max(-first, 0) :], max(first, 0) * CODE_SECONDS

        self._first = frames.start
        self._paint: LinePainter = line_painter(speaker, codes_at(self.codes, self.times(np.array(frames))))

    def times(self, numbers: NDArray[np.integer]) -> NDArray[np.float64]:
        """Seconds (B,) of frames ``numbers`` (B,) in the track ``codes``."""
        return np.asarray(numbers / self._rate - self._begin)

    def paint(self, codes: Tensor, numbers: NDArray[np.integer], at: Tensor | None = None) -> Tensor:
        """Lips of frames ``numbers`` (B,), see :class:`s2l_core.mouth.painting.LinePainter`."""
        return self._paint(codes, numbers - self._first, at)

    def _part_around(self, frame: int, count: int, length: int) -> tuple[range, slice]:
        """The frames that decide what one of ``count`` frames shows: those beside it, whose exemplars it shows too, and
        those beside them, which decide the choice of these; and the samples of ``length`` that decide their codes.
        """
        reach = 2 / self._rate + _HEARD_SECONDS
        middle = CONTEXT_SECONDS + frame / self._rate
        start, end = (round((middle + side) * SPEECH_RATE) for side in (-reach, reach))
        frames = range(max(frame - 2, 0), min(frame + 3, count))
        return frames, slice(max(start, 0) // _ALIGNED * _ALIGNED, min(end, length))
