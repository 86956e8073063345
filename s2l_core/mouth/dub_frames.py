"""The frames of a dub, which ``dub`` writes, ``preview`` shows and ``evaluate`` measures."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..ahead import MOST_WORKERS, ahead, in_order
from ..cache import NO_CACHE, Cache, Tensors
from ..canonical.compositing import extract_layer
from ..canonical.light import Light
from ..canonical.regions import lip_shape_size
from ..device import in_halves, one_thread
from ..errors import BadJob
from ..events import Report, checkpoint
from ..face.layout import LAYOUTS
from ..footage import MARGIN_SECONDS, Footage, prepare
from ..jobs import DubJob, Media, parse_rate
from ..media.audio import SPEECH_RATE
from ..media.encodings import stores_planes
from ..media.mix import Context
from ..media.planes import Part, Planes
from ..media.raster import Picture
from ..media.video import Frame
from ..model.speaker import SpeakerModel
from .pasting import Change
from .reliability import REASONS, Reliability, judge_frame, judge_frames
from .rendering import BATCH, MouthRenderer
from .schedule import frames_in_order, frames_to_show
from .sight import Sight
from .spoken_line import SpokenLine


def open_footage(
    media: Media,
    landmarks: str,
    speaker: SpeakerModel,
    device: torch.device,
    report: Report,
    margin: float = MARGIN_SECONDS,
) -> Footage:
    """Open footage for a dub and track the speaker's head in it, with the head shape known from training. It need not
    show a face. Margin, errors and phases as :func:`s2l_core.footage.prepare`.
    """
    if lip_shape_size(LAYOUTS[len(speaker.known_head.shape)]) != len(speaker.look.shape.mean):
        raise BadJob(
            "The speaker's lips were tracked with a different landmark model than the head.", "Train the speaker again."
        )
    known, identity = speaker.known_head, speaker.identity
    return prepare(media, landmarks, device.type, report, True, known, identity, margin)


_AHEAD = 2
"""Number of frames that wait to be rendered, and to be written, besides whole batches."""
_MOST_PIXELS = 2**22
"""Number of pixels of frames, around mouths, that are rendered at once. More take more memory: with a whole batch of
mouths of 400 pixels, a dub took 3.5 GB.
"""


class _Seen(NamedTuple):
    """A batch of decoded frames, their numbers (B,), and what rendering reads from them."""

    frames: list[Frame]
    numbers: NDArray[np.int64]
    sight: Sight
    parts: list[Part]


class DubFrames:
    """The n frames of a dub. Each of them is determined by the job, not by which other frames are rendered.

    Args:
        job: The job.
        speaker: Its speaker, on the device to compute on.
        footage: Its footage, with the speaker's head tracked.
        speech: float32 (s,) its voice, mono at 16 kHz.
        context: The sound around the voice in its files.
        only: The only frame that will be rendered; None means all. Opening it takes less time then.

    Attributes:
        footage: The footage.
        rate: Frames per second.
        indices: int64 (n,) index into the footage for each frame.
        voiced: Number of frames that speak; they come first.
    """

    def __init__(
        self,
        job: DubJob,
        speaker: SpeakerModel,
        footage: Footage,
        speech: NDArray[np.float32],
        context: Context,
        only: int | None = None,
    ) -> None:
        self.footage = footage
        self.rate: Fraction = parse_rate(job.rate) if job.rate else footage.info.rate
        self.indices, self.voiced = frames_to_show(job, footage, len(speech) / SPEECH_RATE, self.rate)
        self._speaker, self._layer = speaker, job.encoding.layer
        self._in_planes = stores_planes(job.encoding)
        self._renderer = MouthRenderer(speaker, footage)
        self._weights = np.ones(self.voiced, np.float32)
        self._line = SpokenLine(job, speaker, speech, context, self.rate, self.voiced, only)

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
            with one_thread():
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

    def read(self, frames: range) -> Generator[Picture | Planes, None, None]:
        """Render some of the frames as they are written: whole pictures in the footage's format, or mouths with alpha.

        Decoding, conversion, rendering, and what the caller does with the pictures take place in threads of their own,
        each a few frames ahead of the next. Close the generator if it is not used to its end.

        Args:
            frames: Numbers of the frames.
        """
        cores = torch.get_num_threads()
        with one_thread(), ahead(self._render(frames, cores), _AHEAD) as rendered:
            for frame, number, change in rendered:
                checkpoint()
                yield self._picture(frame, number, change)

    def _look(self, frames: range) -> Iterator[_Seen]:
        """Decode batches of frames, and convert what rendering reads from them."""
        with ahead(frames_in_order(self.footage, self.indices[frames.start : frames.stop]), _AHEAD) as shown:
            for first in range(frames.start, frames.stop, BATCH):
                batch = list(itertools.islice(shown, min(BATCH, frames.stop - first)))
                numbers = np.arange(first, first + len(batch))
                sight = self._renderer.find(self.indices[numbers])
                yield _Seen(
                    batch, numbers, sight, [frame.part(box) for frame, box in zip(batch, sight.boxes, strict=True)]
                )

    def _render(self, frames: range, cores: int) -> Iterator[tuple[Frame, int, Change | None]]:
        """Render new mouths into the parts of frames; None in batches that do not speak."""
        with ahead(self._look(frames), 1) as batches:
            # Cores that render a batch each wait for each other less than cores that share each step of one batch.
            for seen, changes in in_order(self._rendered, batches, min(cores, MOST_WORKERS)):
                yield from zip(seen.frames, seen.numbers.tolist(), changes, strict=True)

    def _rendered(self, seen: _Seen) -> tuple[_Seen, Sequence[Change | None]]:
        if not self._shares(seen.numbers).any():
            return seen, [None] * len(seen.frames)
        return seen, self._change(seen.parts, seen.numbers, seen.sight)

    def _picture(self, frame: Frame, number: int, change: Change | None) -> Picture | Planes:
        """A frame as it is written: as planes, if footage and file store such pictures."""
        planes = frame.planes if self._in_planes else None
        if planes is not None:
            return planes if change is None else planes.with_part(change.part, change.changed)
        picture = frame.picture if change is None else frame.with_part(change.part)
        if self._layer == "picture":
            return picture
        numbers = np.array([number])
        (mask,) = self._renderer.masks(self.indices[numbers], self._shares(numbers), *frame.image.shape[:2])
        return extract_layer(picture, frame.picture, mask)

    def dubbed(self, images: Sequence[NDArray[np.uint8]], numbers: NDArray[np.integer]) -> list[NDArray[np.uint8]]:
        """Render B of the frames as 8-bit pictures (H, W, 3), see :attr:`s2l_core.media.video.Frame.image`.

        Args:
            images: The footage's frames that they show.
            numbers: (B,) numbers of the frames.
        """
        if not self._shares(numbers).any():
            return list(images)
        # Parts and threads are those of reading, because both change how sums are rounded.
        sight = self._renderer.find(self.indices[numbers])
        parts = [Part.of(image, box) for image, box in zip(images, sight.boxes, strict=True)]
        with one_thread():
            changes = self._change(parts, numbers, sight)
        return [change.part.within(image) for change, image in zip(changes, images, strict=True)]

    def _change(self, parts: Sequence[Part], numbers: NDArray[np.integer], sight: Sight) -> list[Change]:
        """Render new mouths into parts of B frames, fewer at once if the memory of the device is not enough."""

        def change(some: slice) -> list[Change]:
            seen = sight if some == slice(0, len(parts)) else self._renderer.find(self.indices[numbers[some]])
            return self._change_at_once(parts[some], numbers[some], seen)

        largest = max(part.pixels.shape[0] * part.pixels.shape[1] for part in parts)
        return in_halves(change, len(parts), max(1, _MOST_PIXELS // largest))

    def _change_at_once(self, parts: Sequence[Part], numbers: NDArray[np.integer], sight: Sight) -> list[Change]:
        indices = self.indices[numbers]
        line, spoken = self._line, np.minimum(numbers, self.voiced - 1)
        codes = self._renderer.codes(parts, indices, line.codes, line.times(numbers), sight)
        return self._renderer.change(parts, indices, lambda at: line.paint(codes, spoken, at), self._shares(numbers))

    def _shares(self, numbers: NDArray[np.integer]) -> NDArray[np.float32]:
        """Opacity of the new mouth in frames ``numbers`` (B,); 0 in frames that do not speak."""
        return np.where(numbers < self.voiced, self._weights[np.minimum(numbers, self.voiced - 1)], np.float32(0))
