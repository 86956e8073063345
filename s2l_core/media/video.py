"""Video files: their properties, and their frames by timestamp."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ..errors import BadJob, NotAVideo
from ..events import checkpoint
from ..geometry.camera import Rectangle
from ..jobs import Media
from .container import decode_video, find_audio, find_video, open_container, stream_start, timestamp
from .planes import Converter, Part, Planes
from .raster import (
    ORDINARY,
    ColourTags,
    Fields,
    Picture,
    Raster,
    fields_of,
    is_plain,
    quarter_turns,
    raster_of,
    raster_of_picture,
    to_image,
    to_picture,
    true_size,
    upright_aspect,
    with_change,
)
from .sequence import (
    TIME_TOLERANCE,
    decode_pictures,
    files_of,
    hint_for_picture,
    is_sequence,
    rate_of,
    refuse_incomplete,
)

_ROUNDING = 5e-5
"""Rounding error in seconds of a time that Blender stores in single precision."""
_NOT_SOUGHT = "mpeg"
"""Program streams, in which no seeking takes place: not every frame has a time, and times are wrong afterwards."""
_SEEK_BEFORE = (Fraction(1, 5), Fraction(2), Fraction(10))
"""Seconds before a span at which reading begins, tried in turn: transport streams are not sought by key frames."""
_FIRST_FRAMES = 5
"""Number of frames that determine whether a stream is interlaced: of five frames of telecined film, some are."""
_PLACES = 8
"""Number of positions in a span at which frames are checked, for streams that are partly interlaced."""


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video stream and its file.

    Attributes:
        path: The file.
        width: Width of the stored pictures in pixels, after rotation.
        height: Height of the stored pictures in pixels, after rotation.
        rate: Frames per second; the mean of a variable rate.
        duration: Seconds from Blender's frame 0 to the end of the last frame.
        has_sound: Whether the file has sound.
        codec: Name of the codec, e.g. ``"h264"``.
        pixel_format: FFmpeg's name, e.g. ``"yuv420p"``.
        rotation: Degrees counter-clockwise by which the coded picture is rotated for display.
        colour: Colour tags.
        sample_rate: Sample rate of the sound in Hz; None without sound.
        tick: Unit of the stream's timestamps in seconds.
        raster: Storage format of the pictures.
    """

    path: str
    width: int
    height: int
    rate: Fraction
    duration: float
    has_sound: bool
    codec: str
    pixel_format: str
    rotation: int
    colour: ColourTags
    sample_rate: int | None
    tick: Fraction = Fraction(1, 90_000)
    raster: Raster = ORDINARY

    @property
    def true_size(self) -> tuple[int, int]:
        """Width and height of :attr:`Frame.image`."""
        return true_size(self.width, self.height, self.raster.aspect)


class Frame:
    """A frame of a video.

    It is converted when it is first used, which takes longer than decoding it. Of ordinary frames, rectangles can be
    converted alone, see :attr:`planes`.

    Args:
        time: Time at which the frame begins, in seconds from Blender's frame 0 of its stream.
        decoded: The decoded frame.
        aspect: Width of a pixel divided by its height, in the upright frame.
        converter: The converter of its stream.
    """

    def __init__(
        self, time: float, decoded: VideoFrame, aspect: Fraction = Fraction(1), converter: Converter | None = None
    ) -> None:
        self.time = time
        self._decoded = decoded
        self._aspect = aspect
        self._converter = converter
        self._held: Part | None = None

    def again(self) -> Frame:
        """The same frame, of which nothing has been converted."""
        return Frame(self.time, self._decoded, self._aspect, self._converter)

    @property
    def fields(self) -> Fields:
        """Field order."""
        return fields_of(self._decoded)

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The image for analysis: uint8 (H, W, 3) RGB, upright, with square pixels."""
        return to_image(self._decoded, self._aspect) if self.planes is None else self.planes.image

    @cached_property
    def picture(self) -> Picture:
        """The picture as stored, upright, with all its bits and its alpha; often the same array as ``image``."""
        return self.image if is_plain(self._decoded, self._aspect) else to_picture(self._decoded)

    @cached_property
    def planes(self) -> Planes | None:
        """The picture as decoded; None unless it is stored in 8-bit YUV 4:2:0 in the ordinary way."""
        if self._converter is None or not is_plain(self._decoded, self._aspect):
            return None
        return Planes.of(self._decoded, self._converter)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of :attr:`image`."""
        if self.planes is None:
            return self.image.shape[0], self.image.shape[1]
        return self.planes.frame.height, self.planes.frame.width

    def part(self, box: Rectangle) -> Part:
        """A rectangle of :attr:`image`."""
        if self.planes is None or "image" in self.__dict__:  # it has been converted
            return Part.of(self.image, box)
        if self._held is not None and self._held.contains(box):
            return self._held.part(box)
        return self.planes.part(box)

    def hold(self, box: Rectangle | None) -> None:
        """Convert a rectangle, or all of :attr:`image`, so that parts within it are taken from there."""
        if box is None or self.planes is None:
            self.image  # noqa: B018
        else:
            self._held = self.part(box)

    def with_part(self, part: Part) -> Picture:
        """:attr:`picture` with the changes that were made in a rectangle of :attr:`image`."""
        return with_change(self.picture, self.image, part.within(self.image))


def probe(medium: Media | str) -> VideoInfo:
    """Properties of a video, given as a medium or the path of a file.

    Raises:
        FileMissing: There is no such file, or a picture of the sequence is missing.
        NotAVideo: The file contains no video that can be decoded.
        BadJob: A frame rate is given for a movie.
    """
    media = Media(medium) if isinstance(medium, str) else medium
    if is_sequence(media):
        return _probe_pictures(media)
    if media.rate:
        raise BadJob(
            f"{media.path} is not a sequence of pictures: it has its own frame rate.", "Leave the frame rate empty."
        )
    path = media.path
    with open_container(path, NotAVideo) as container:
        stream = find_video(container)
        frames = list(itertools.islice(decode_video(container, stream), _FIRST_FRAMES)) if stream else []
        if stream is None or not frames:
            raise NotAVideo(f"{path} contains no video.", hint_for_picture(path))
        frame = frames[0]
        rotation = quarter_turns(frame) * 90
        width, height = (frame.height, frame.width) if rotation % 180 else (frame.width, frame.height)
        audio = find_audio(container)
        duration = stream.duration * stream.time_base if stream.duration and stream.time_base else None
        info = VideoInfo(
            path=path,
            width=width,
            height=height,
            rate=_constant_rate(stream),
            duration=float(duration or 0),
            has_sound=audio is not None,
            codec=stream.codec_context.name,
            pixel_format=frame.format.name,
            rotation=rotation,
            colour=ColourTags(frame.color_range, frame.colorspace, frame.color_trc, frame.color_primaries),
            sample_rate=audio.codec_context.sample_rate if audio else None,
            tick=Fraction(stream.time_base or VideoInfo.tick),
            raster=raster_of(stream, frames),
        )
    return info if info.duration else replace(info, duration=_measure_duration(path, info.rate))


def raster_of_span(media: Media, info: VideoInfo) -> Raster:
    """Storage format of the pictures in a span: that of the stream, but interlaced if any of the checked frames is.

    Args:
        media: The span.
        info: Properties of its file.
    """
    if is_sequence(media):
        return info.raster
    end = info.duration if media.end is None else min(media.end, info.duration)
    for part in range(_PLACES if info.raster.fields == "progressive" else 0):
        moment = media.start + max(end - media.start, 0.0) * part / _PLACES
        for decoded in itertools.islice(_decode_from(media.path, moment), _FIRST_FRAMES):  # starts at a key frame
            if (fields := fields_of(decoded.frame)) != "progressive":
                return replace(info.raster, fields=fields)
    return info.raster


def slack(tick: Fraction) -> float:
    """Time in seconds by which a frame may begin after a moment and still be on screen then, since Blender rounds the
    moment to the nearest multiple of ``tick``.
    """
    return max(float(tick) / 2, _ROUNDING)


def read_frames(media: Media) -> Iterator[Frame]:
    """Decode the frames that Blender shows from ``media.start`` to ``media.end``. Memory does not grow with the length.

    The first frame is the one on screen at ``media.start``, which is used as its time: the last frame that has begun,
    or else, as in a stream that was recorded from the middle, the first one that can be decoded. The others are those
    that begin before ``media.end``. The frame rate may vary.

    Raises:
        FileMissing: There is no such file.
        NotAVideo: The file contains no video that can be decoded.
    """
    if is_sequence(media):
        yield from (Frame(time, picture) for time, picture in decode_pictures(media))
        return
    converter = Converter()
    end = math.inf if media.end is None else media.end - TIME_TOLERANCE
    frames = _decode_around(media.path, media.start)
    shown = next(frames, None)
    if shown is None:
        raise NotAVideo(f"{media.path} contains no video.")
    after = next(frames, None)
    while after is not None and after.begins_by(media.start):
        shown, after = after, next(frames, None)
    if after is None and media.start >= shown.end:
        return
    begin = shown.time if shown.begins_at(media.start) else media.start
    yield Frame(begin, shown.frame, shown.aspect, converter)
    while after is not None and after.time < end:
        yield Frame(after.time, after.frame, after.aspect, converter)
        after = next(frames, None)


def can_seek(media: Media) -> bool:
    """Whether :func:`read_frames` begins at a later moment without decoding everything before it.

    Raises:
        FileMissing: There is no such file.
        NotAVideo: The file cannot be opened.
    """
    if is_sequence(media):
        return True
    with open_container(media.path, NotAVideo) as container:
        return container.format.name != _NOT_SOUGHT


def _probe_pictures(media: Media) -> VideoInfo:
    """Properties of a sequence of pictures, with the colour tags of an untagged movie."""
    refuse_incomplete(media)
    picture = next(decode_pictures(media))[1]
    return VideoInfo(
        path=media.path,
        width=picture.width,
        height=picture.height,
        rate=rate_of(media),
        duration=float(len(files_of(media)) / rate_of(media)),
        has_sound=False,
        codec=Path(files_of(media)[0]).suffix[1:].lower(),
        pixel_format=picture.format.name,
        rotation=0,
        colour=ColourTags(),
        sample_rate=None,
        tick=2 * Fraction(TIME_TOLERANCE),  # makes slack() the tolerance of sequences
        raster=raster_of_picture(picture),
    )


@dataclass(frozen=True)
class _Decoded:
    """A frame that begins at ``time`` seconds, up to ``slack``, and ends at ``end`` if it is the last one."""

    time: float
    end: float
    slack: float
    frame: VideoFrame
    aspect: Fraction

    def begins_by(self, moment: float) -> bool:
        return self.time <= moment + self.slack

    def begins_at(self, moment: float) -> bool:
        return abs(self.time - moment) <= self.slack


def _decode_around(path: str, start: float) -> Iterator[_Decoded]:
    """Decoded frames, from one that has begun at ``start``, or else from the first one that can be decoded."""
    for before in _SEEK_BEFORE:
        if start <= before:
            break
        frames = _decode_from(path, start - float(before))
        first = next(frames, None)
        if first is not None and first.begins_by(start):
            return itertools.chain([first], frames)
    return _decode_from(path, 0.0)


def _decode_from(path: str, start: float) -> Iterator[_Decoded]:
    """Decoded frames, from the last key frame at or before ``start`` if there is one."""
    with open_container(path, NotAVideo) as container:
        stream = find_video(container)
        if stream is None:
            raise NotAVideo(f"{path} contains no video.")
        zero, rate, tick = stream_start(stream), _constant_rate(stream), Fraction(stream.time_base or VideoInfo.tick)
        end = float((stream.duration or 0) * tick)
        if start > 0 and zero is not None and container.format.name != _NOT_SOUGHT:
            container.seek(int((zero + Fraction(start)) / tick), stream=stream)
        previous = -math.inf
        for index, frame in enumerate(decode_video(container, stream)):
            moment = timestamp(frame)
            zero = moment if zero is None else zero
            if zero is None:  # an elementary stream without times: frames follow at its rate
                time = float(index / rate)
            elif moment is not None:
                time = float(moment - zero)
            else:  # no time, like the last frame of some streams: follows the previous one
                time = previous + float(1 / rate)
            if time > previous:
                aspect = upright_aspect(frame, stream.sample_aspect_ratio)
                yield _Decoded(time, max(end, time + float(1 / rate)), slack(tick), frame, aspect)
                previous = time


def _constant_rate(stream: VideoStream) -> Fraction:
    """Frame rate: the container's guess if it agrees with the mean, or else the mean."""
    mean, guess = stream.average_rate, stream.guessed_rate
    if mean and guess and abs(guess / mean - 1) < Fraction(1, 50):
        mean = guess
    rate = Fraction(mean or guess or 25).limit_denominator(1001)
    return min(max(rate, Fraction(1)), Fraction(1000))


def _measure_duration(path: str, rate: Fraction) -> float:
    """Seconds from Blender's frame 0 to the end of the last frame, from the packets, if the container does not say."""
    with open_container(path, NotAVideo) as container:
        stream = find_video(container)
        assert stream is not None and stream.time_base is not None
        zero = stream_start(stream)
        count, times = 0, []
        for packet in container.demux(stream):
            checkpoint()
            if packet.size:
                count += 1
                stamp = packet.dts if packet.pts is None else packet.pts
                times += [] if stamp is None else [stamp * stream.time_base]
        if not times:
            return float(count / rate)
        return float(max(times) - (min(times) if zero is None else zero) + 1 / rate)
