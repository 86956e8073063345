"""Video files: what they are, and their frames by timestamp."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ..errors import NotAVideo
from ..jobs import Media
from .container import decode_video, find_audio, find_video, open_container, timestamp
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
    to_image,
    to_picture,
    true_size,
    upright_aspect,
)

# Matroska rounds timestamps to milliseconds: a frame that lies that close before the start belongs to the span.
_TIME_TOLERANCE = 0.001
_FIRST_FRAMES = 5
"""Frames that tell how a stream is stored: in each five of film in interlaced video, some are interlaced."""
_PLACES = 8
"""Of a span at which frames are looked at, for streams that are interlaced now and then."""


@dataclass(frozen=True)
class VideoInfo:
    """A video stream and what belongs to it.

    Attributes:
        path: The file.
        width: Pixels across as stored, after rotation.
        height: Pixels down as stored, after rotation.
        rate: Frames per second; the mean where it varies.
        duration: Seconds from the first frame to the end of the last.
        has_sound: There is a sound stream beside it.
        codec: Name of the codec, e.g. ``"h264"``.
        pixel_format: FFmpeg's name, e.g. ``"yuv420p"``.
        rotation: Degrees counter-clockwise by which the coded picture is turned for display.
        colour: Colour tags.
        sample_rate: Samples per second of the sound; None without sound.
        raster: How the pictures are stored.
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
    raster: Raster = ORDINARY

    @property
    def true_size(self) -> tuple[int, int]:
        """Width and height of :attr:`Frame.image`."""
        return true_size(self.width, self.height, self.raster.aspect)


class Frame:
    """A picture, ``time`` seconds after the first frame of its stream.

    It is converted when it is first asked for: most of the cost of a frame.

    Args:
        time: Seconds.
        decoded: What the decoder gave.
        aspect: Of its pixels, upright.
    """

    def __init__(self, time: float, decoded: VideoFrame, aspect: Fraction = Fraction(1)) -> None:
        self.time = time
        self._decoded = decoded
        self._aspect = aspect

    @property
    def fields(self) -> Fields:
        """The order of its fields."""
        return fields_of(self._decoded)

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The picture for looking at: uint8 (H, W, 3) RGB, upright, with square pixels."""
        return to_image(self._decoded, self._aspect)

    @cached_property
    def picture(self) -> Picture:
        """The picture as it is stored, upright, with all its bits and its alpha; often the same array as ``image``."""
        return self.image if is_plain(self._decoded, self._aspect) else to_picture(self._decoded)


def probe(path: str) -> VideoInfo:
    """Describe the video in a file.

    Raises:
        FileMissing: There is no such file.
        NotAVideo: It holds no moving pictures that can be decoded.
    """
    with open_container(path, NotAVideo) as container:
        stream = find_video(container)
        frames = list(itertools.islice(decode_video(container, stream), _FIRST_FRAMES)) if stream else []
        if stream is None or not frames:
            raise NotAVideo(f"{path} holds no moving pictures.")
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
            raster=raster_of(stream, frames),
        )
    return info if info.duration else replace(info, duration=_measure_duration(path, info.rate))


def raster_of_span(media: Media, info: VideoInfo) -> Raster:
    """How the pictures of a span are stored: as the stream's first ones, but interlaced where frames at some place are.

    Args:
        media: The span.
        info: Its file.
    """
    end = info.duration if media.end is None else min(media.end, info.duration)
    for part in range(_PLACES if info.raster.fields == "progressive" else 0):
        moment = media.start + max(end - media.start, 0.0) * part / _PLACES
        for frame in itertools.islice(_decode_from(media.path, moment), _FIRST_FRAMES):  # from a key frame on
            if frame.fields != "progressive":
                return replace(info.raster, fields=frame.fields)
    return info.raster


def read_frames(media: Media) -> Iterator[Frame]:
    """The frames with ``media.start <= time < media.end``, one after the other; memory does not grow with length.

    Any frame rate, also a varying one; pictures are turned upright and converted to RGB.

    Raises:
        FileMissing: There is no such file.
        NotAVideo: It holds no moving pictures that can be decoded.
    """
    start = media.start - _TIME_TOLERANCE
    end = math.inf if media.end is None else media.end - _TIME_TOLERANCE
    frames = _decode_from(media.path, start)
    first = next(frames, None)
    if first is None or first.time > max(start, 0.0):  # seeking missed: the file has no usable index
        frames = _decode_from(media.path, 0.0)
    else:
        frames = itertools.chain([first], frames)
    for frame in frames:
        if frame.time >= end:
            return
        if frame.time >= start:
            yield frame


def _decode_from(path: str, start: float) -> Iterator[Frame]:
    """Frames in order, from the last key frame at or before ``start`` where one is found."""
    with open_container(path, NotAVideo) as container:
        stream = find_video(container)
        frames = decode_video(container, stream) if stream else iter(())
        first = next(frames, None)
        if stream is None or first is None:
            raise NotAVideo(f"{path} holds no moving pictures.")
        aspect = upright_aspect(first, stream.sample_aspect_ratio)
        zero = timestamp(first)
        if zero is None:  # a bare elementary stream: frames follow each other at its rate
            rate = _constant_rate(stream)
            for index, frame in enumerate(itertools.chain([first], frames)):
                yield Frame(float(index / rate), frame, aspect)
            return
        if start > 0 and stream.time_base:
            container.seek(int((zero + Fraction(start)) / stream.time_base), stream=stream)
            frames = decode_video(container, stream)
        else:
            frames = itertools.chain([first], frames)
        previous = -math.inf
        for frame in frames:
            moment = timestamp(frame)
            if moment is not None and (time := float(moment - zero)) > previous:
                yield Frame(time, frame, aspect)
                previous = time


def _constant_rate(stream: VideoStream) -> Fraction:
    """The frame rate; the container's guess where its mean bears it out, otherwise the mean."""
    mean, guess = stream.average_rate, stream.guessed_rate
    if mean and guess and abs(guess / mean - 1) < Fraction(1, 50):
        mean = guess
    rate = Fraction(mean or guess or 25).limit_denominator(1001)
    return min(max(rate, Fraction(1)), Fraction(1000))


def _measure_duration(path: str, rate: Fraction) -> float:
    """Seconds from the first frame to the end of the last, from the packets: for containers that do not say."""
    with open_container(path, NotAVideo) as container:
        stream = find_video(container)
        assert stream is not None and stream.time_base is not None
        packets = [packet for packet in container.demux(stream) if packet.size]
        times = [packet.pts for packet in packets if packet.pts is not None]
        if not times:
            return float(len(packets) / rate)
        return float((max(times) - min(times)) * stream.time_base + 1 / rate)
