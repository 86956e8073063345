"""What the tasks of a job cost. The estimates are those of one reference machine, so that plans do not depend on the
machine that makes them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from ..estimates import Calibration, estimate
from ..jobs import DubJob, Media, Mix, PoseJob, RenderJob, StillJob, TrainJob, parse_rate
from ..media.mix import voice_seconds
from ..media.sequence import DEFAULT_RATE
from ..media.single_picture import read_single_picture
from ..media.video import probe
from ..version import VERSION
from ..whole_head.camera_path import read_camera_path
from .plan import PlannedJob

REFERENCE = Calibration(VERSION, "cpu", 0.009, 0.02, 0.035, 0.004)
"""Speed of the reference machine: two cores of 2023."""
_START_SECONDS = 6.0
"""Time in which a process starts and opens the files of a job that was looked at before."""
_JOIN_SECONDS = 0.002
"""Time to copy a frame."""
_SURROUNDINGS_SECONDS, _POSE_SECONDS, _POSE_BYTES, _POSE_BYTES_OF_PIXEL = 20.0, 1.0, 900_000_000, 200
"""For the head in new views: time to look at a clip besides tracking, time per million pixels, memory, and memory for
each pixel of the result, of which several frames are rendered at once.
"""


@dataclass(frozen=True)
class Clip:
    """A moving picture, as far as its file or the job that makes it states it."""

    frames: int
    width: int
    height: int
    rate: Fraction

    @property
    def seconds(self) -> float:
        """Duration."""
        return float(self.frames / self.rate)


class Clips:
    """The moving pictures of jobs: those in files, each of which is opened once, and those that other jobs make."""

    def __init__(self) -> None:
        self._made: dict[str, Clip] = {}
        self._files: dict[Media, Clip] = {}

    def __contains__(self, path: str) -> bool:
        """Whether a job makes the file."""
        return path in self._made

    def __getitem__(self, path: str) -> Clip:
        """What a job makes."""
        return self._made[path]

    def add(self, path: str, clip: Clip) -> None:
        """A job makes a clip."""
        self._made[path] = clip

    def of(self, media: Media) -> Clip:
        """The part of a clip that a job reads.

        Raises:
            Speech2LipError: See :func:`s2l_core.media.video.probe`.
        """
        clip = self._made.get(media.path) or self._in_file(replace(media, start=0.0, end=None, face=()))
        end = clip.seconds if media.end is None else min(media.end, clip.seconds)
        return replace(clip, frames=max(1, round((end - media.start) * clip.rate)))

    def _in_file(self, media: Media) -> Clip:
        if media not in self._files:
            info = probe(media)
            frames = max(1, round(info.duration * info.rate))
            self._files[media] = Clip(frames, info.width, info.height, info.rate)
        return self._files[media]


@dataclass(frozen=True)
class Cost:
    """What the tasks of a job cost.

    Attributes:
        clip: The result.
        look: Seconds in which the whole clip is looked at.
        frames: Seconds in which all frames are rendered, without the start of a process.
        memory_bytes: Peak memory of a process.
    """

    clip: Clip
    look: float
    frames: float
    memory_bytes: int

    @property
    def whole(self) -> float:
        """Seconds of the job in one process."""
        return round(self.look + self.frames, 1)

    @property
    def join(self) -> float:
        """Seconds in which the result is joined."""
        return round(_START_SECONDS + _JOIN_SECONDS * self.clip.frames, 1)

    def part(self, count: int) -> float:
        """Seconds in which some of the frames are rendered."""
        return round(_START_SECONDS + self.frames * count / max(1, self.clip.frames), 1)


def cost_of(job: PlannedJob, clips: Clips) -> Cost:
    """What a job costs.

    Args:
        job: The job.
        clips: What earlier jobs make.

    Raises:
        Speech2LipError: A file cannot be used.
    """
    if isinstance(job, TrainJob):
        clip = clips.of(job.footage)
        return _cost(job, clip, clip)
    if isinstance(job, DubJob):
        clip = clips.of(job.footage)
        return _cost(job, clip, _dubbed(job, clip, clips))
    if isinstance(job, StillJob):
        return _cost_of_still(job, clips)
    return _cost_of_view(job, clips.of(job.footage))


def _cost(job: TrainJob | DubJob, clip: Clip, result: Clip) -> Cost:
    first, again = (
        estimate(job, clip.frames, clip.width, clip.height, REFERENCE, float(clip.rate), result.frames, looked_at=known)
        for known in (False, True)
    )
    return Cost(result, round(first.seconds - again.seconds + _START_SECONDS, 1), again.seconds, first.memory_bytes)


def _cost_of_still(job: StillJob, clips: Clips) -> Cost:
    rate = parse_rate(job.rate) if job.rate else DEFAULT_RATE
    if job.picture.path in clips:
        width, height = clips[job.picture.path].width, clips[job.picture.path].height
    else:
        height, width = read_single_picture(job.picture).picture.shape[:2]
    clip = Clip(max(1, round(_seconds(job.voice, clips) * rate)), width, height, rate)
    nothing, all_frames = (
        estimate(job, 1, width, height, REFERENCE, float(rate), frames) for frames in (1, clip.frames)
    )
    return Cost(clip, nothing.seconds, all_frames.seconds - nothing.seconds, all_frames.memory_bytes)


def _cost_of_view(job: PoseJob | RenderJob, clip: Clip) -> Cost:
    if isinstance(job, PoseJob):
        path = read_camera_path(job.camera_path)
        frames, rate = path.frames(clip.seconds, clip.rate)
        result = Clip(frames, path.width, path.height, rate)
    else:
        result = Clip(1, job.camera.width, job.camera.height, clip.rate)
    tracking = _cost(DubJob("", job.footage, job.footage, ""), clip, clip).look
    megapixels = result.frames * result.width * result.height / 1e6
    memory = _POSE_BYTES + 64 * 3 * clip.width * clip.height + _POSE_BYTES_OF_PIXEL * result.width * result.height
    return Cost(result, round(tracking + _SURROUNDINGS_SECONDS, 1), _POSE_SECONDS * megapixels, memory)


def _dubbed(job: DubJob, clip: Clip, clips: Clips) -> Clip:
    """The result of a dub, as long as job and files state it."""
    rate = parse_rate(job.rate) if job.rate else clip.rate
    seconds = 0.0 if job.moments else _seconds(job.voice, clips)
    frames = len(job.moments) or max(1, round(seconds * rate))
    if job.remainder == "keep" and not job.moments:
        frames = max(frames, round(clip.seconds * rate))
    return replace(clip, frames=frames, rate=rate)


def _seconds(voice: Media | Mix, clips: Clips) -> float:
    """Length of a voice; of one that another job makes, that of its pictures.

    Raises:
        AudioEmpty, AudioUnreadable, FileMissing, NoSound: See :func:`s2l_core.media.mix.voice_seconds`.
    """
    if isinstance(voice, Media) and voice.path in clips:
        return clips.of(voice).seconds
    return voice_seconds(voice)
