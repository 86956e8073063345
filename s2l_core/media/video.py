"""Video files: what they are, and their frames by timestamp.

Pictures are converted with the matrix and range that the source is tagged with. libswscale would take BT.601 for
everything untagged.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation
from av.video.stream import VideoStream

from ..errors import NotAVideo
from ..jobs import Media
from .container import decode_video, find_audio, find_video, open_container, stream_start, timestamp

LIMITED_RANGE, FULL_RANGE = int(ColorRange.MPEG), int(ColorRange.JPEG)
RGB, BT709, UNSPECIFIED, SMPTE170M = 0, 1, 2, 6

# Matroska rounds timestamps to milliseconds: a frame that lies that close before the end belongs to what follows.
_TIME_TOLERANCE = 0.001
_ROUNDING = 5e-5
"""Seconds by which a moment may be off that Blender has kept in single precision."""
_NOT_SOUGHT = "mpeg"
"""The container in which times come out wrong after seeking: program streams, where not every frame has a time."""
_SEEK_BEFORE = (Fraction(1, 5), Fraction(2), Fraction(10))
"""Seconds before a span at which reading may begin: transport streams are not sought by key frames."""
ACCURATE = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)


@dataclass(frozen=True)
class ColourTags:
    """How code values mean colour, as tagged in a file: code points of ITU-T H.273.

    Attributes:
        range: 1 limited (studio), 2 full, 0 untagged.
        matrix: Matrix coefficients, e.g. 1 BT.709, 6 SMPTE 170M (BT.601), 9 BT.2020; 2 untagged.
        transfer: Transfer characteristics; 2 untagged.
        primaries: Colour primaries; 2 untagged.
    """

    range: int = 0
    matrix: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    primaries: int = UNSPECIFIED

    def assumed(self, width: int, height: int) -> ColourTags:
        """The tags with range and matrix filled in as players do it: BT.709 for HD, BT.601 below, limited range."""
        is_hd = max(width, height) >= 1280 or min(width, height) > 576
        matrix = (BT709 if is_hd else SMPTE170M) if self.matrix in (UNSPECIFIED, RGB) else self.matrix
        return replace(self, range=self.range or LIMITED_RANGE, matrix=matrix)


@dataclass(frozen=True)
class VideoInfo:
    """A video stream and what belongs to it.

    Attributes:
        path: The file.
        width: Pixels across, after rotation.
        height: Pixels down, after rotation.
        rate: Frames per second; the mean where it varies.
        duration: Seconds from Blender's frame 0 to the end of the last frame.
        has_sound: There is a sound stream beside it.
        codec: Name of the codec, e.g. ``"h264"``.
        pixel_format: FFmpeg's name, e.g. ``"yuv420p"``.
        rotation: Degrees counter-clockwise by which the coded picture is turned for display.
        colour: Colour tags.
        sample_rate: Samples per second of the sound; None without sound.
        tick: Seconds that the stream's timestamps are multiples of.
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


class Frame:
    """A picture that is shown from ``time`` on, in seconds from Blender's frame 0 of its stream."""

    def __init__(self, time: float, decoded: VideoFrame) -> None:
        self.time = time
        self._decoded = decoded

    @cached_property
    def image(self) -> np.ndarray:
        """uint8 (H, W, 3) RGB, upright. It is converted when it is first asked for: most of the cost of a frame."""
        return _upright_rgb(self._decoded)


def probe(path: str) -> VideoInfo:
    """Describe the video in a file.

    Raises:
        FileMissing: There is no such file.
        NotAVideo: It holds no moving pictures that can be decoded.
    """
    with open_container(path, NotAVideo) as container:
        stream = find_video(container)
        frame = next(decode_video(container, stream), None) if stream else None
        if stream is None or frame is None:
            raise NotAVideo(f"{path} holds no moving pictures.")
        rotation = _quarter_turns(frame) * 90
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
        )
    return info if info.duration else replace(info, duration=_measure_duration(path, info.rate))


def slack(tick: Fraction) -> float:
    """Seconds after a moment at which a frame may begin to be on screen then, where timestamps are multiples of
    ``tick``: Blender rounds the moment to the nearest of them.
    """
    return max(float(tick) / 2, _ROUNDING)


def read_frames(media: Media) -> Iterator[Frame]:
    """The frames that Blender shows from ``media.start`` on, one after the other; memory does not grow with length.

    The first is on screen at ``media.start`` and counts as beginning there: the last that has begun, or where none has,
    as in a stream that was cut off from its first key frame, the first that can be decoded. Those follow that begin
    before ``media.end``. Any frame rate, also a varying one; pictures are turned upright and converted to 8-bit RGB.

    Raises:
        FileMissing: There is no such file.
        NotAVideo: It holds no moving pictures that can be decoded.
    """
    end = math.inf if media.end is None else media.end - _TIME_TOLERANCE
    frames = _decode_around(media.path, media.start)
    shown = next(frames, None)
    if shown is None:
        raise NotAVideo(f"{media.path} holds no moving pictures.")
    after = next(frames, None)
    while after is not None and after.begins_by(media.start):
        shown, after = after, next(frames, None)
    if after is None and media.start >= shown.end:
        return
    yield Frame(shown.time if shown.begins_at(media.start) else media.start, shown.frame)
    while after is not None and after.time < end:
        yield Frame(after.time, after.frame)
        after = next(frames, None)


@dataclass(frozen=True)
class _Decoded:
    """A frame that begins at ``time`` seconds, give or take ``slack``, and where none follows is shown to ``end``."""

    time: float
    end: float
    slack: float
    frame: VideoFrame

    def begins_by(self, moment: float) -> bool:
        return self.time <= moment + self.slack

    def begins_at(self, moment: float) -> bool:
        return abs(self.time - moment) <= self.slack


def _decode_around(path: str, start: float) -> Iterator[_Decoded]:
    """Decoded frames in order, from one that has begun at ``start``, or else from the first that can be decoded."""
    for before in _SEEK_BEFORE:
        if start <= before:
            break
        frames = _decode_from(path, start - float(before))
        first = next(frames, None)
        if first is not None and first.begins_by(start):
            return itertools.chain([first], frames)
    return _decode_from(path, 0.0)


def _decode_from(path: str, start: float) -> Iterator[_Decoded]:
    """Decoded frames in order, from the last key frame at or before ``start`` where one is found."""
    with open_container(path, NotAVideo) as container:
        stream = find_video(container)
        if stream is None:
            raise NotAVideo(f"{path} holds no moving pictures.")
        zero, rate, tick = stream_start(stream), _constant_rate(stream), Fraction(stream.time_base or VideoInfo.tick)
        end = float((stream.duration or 0) * tick)
        if start > 0 and zero is not None and container.format.name != _NOT_SOUGHT:
            container.seek(int((zero + Fraction(start)) / tick), stream=stream)
        previous = -math.inf
        for index, frame in enumerate(decode_video(container, stream)):
            moment = timestamp(frame)
            zero = moment if zero is None else zero
            if zero is None:  # a bare elementary stream: frames follow each other at its rate
                time = float(index / rate)
            elif moment is not None:
                time = float(moment - zero)
            else:
                continue
            if time > previous:
                yield _Decoded(time, max(end, time + float(1 / rate)), slack(tick), frame)
                previous = time


def _constant_rate(stream: VideoStream) -> Fraction:
    """The frame rate; the container's guess where its mean bears it out, otherwise the mean."""
    mean, guess = stream.average_rate, stream.guessed_rate
    if mean and guess and abs(guess / mean - 1) < Fraction(1, 50):
        mean = guess
    rate = Fraction(mean or guess or 25).limit_denominator(1001)
    return min(max(rate, Fraction(1)), Fraction(1000))


def _measure_duration(path: str, rate: Fraction) -> float:
    """Seconds from Blender's frame 0 to the end of the last frame, from the packets: for containers that do not say."""
    with open_container(path, NotAVideo) as container:
        stream = find_video(container)
        assert stream is not None and stream.time_base is not None
        zero = stream_start(stream)
        packets = [packet for packet in container.demux(stream) if packet.size]
        stamps = [packet.dts if packet.pts is None else packet.pts for packet in packets]
        times = [stamp * stream.time_base for stamp in stamps if stamp is not None]
        if not times:
            return float(len(packets) / rate)
        return float(max(times) - (min(times) if zero is None else zero) + 1 / rate)


def _quarter_turns(frame: VideoFrame) -> int:
    """Counter-clockwise quarter turns that bring the coded picture upright, from its display matrix."""
    return round(frame.rotation / 90) % 4


def _upright_rgb(frame: VideoFrame) -> np.ndarray:
    if frame.format.is_rgb or frame.format.has_palette:
        rgb = frame.reformat(format="rgb24")
    else:
        tags = ColourTags(frame.color_range, frame.colorspace).assumed(frame.width, frame.height)
        rgb = frame.reformat(
            format="rgb24",
            src_colorspace=tags.matrix,
            src_color_range=tags.range,
            dst_color_range=FULL_RANGE,
            interpolation=ACCURATE,
        )
    return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), _quarter_turns(frame)))
