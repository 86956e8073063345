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
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation
from av.video.stream import VideoStream

from ..errors import BadJob, NotAVideo
from ..jobs import Media
from .container import decode_video, find_audio, find_video, open_container, timestamp
from .sequence import decode_pictures, files_of, hint_for_picture, is_sequence, rate_of, refuse_incomplete

LIMITED_RANGE, FULL_RANGE = int(ColorRange.MPEG), int(ColorRange.JPEG)
RGB, BT709, UNSPECIFIED, SMPTE170M = 0, 1, 2, 6

# Matroska rounds timestamps to milliseconds: a frame that lies that close before the start belongs to the span.
_TIME_TOLERANCE = 0.001
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
        duration: Seconds from the first frame to the end of the last.
        has_sound: There is a sound stream beside it.
        codec: Name of the codec, e.g. ``"h264"``.
        pixel_format: FFmpeg's name, e.g. ``"yuv420p"``.
        rotation: Degrees counter-clockwise by which the coded picture is turned for display.
        colour: Colour tags.
        sample_rate: Samples per second of the sound; None without sound.
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


class Frame:
    """A picture, ``time`` seconds after the first frame of its stream."""

    def __init__(self, time: float, decoded: VideoFrame) -> None:
        self.time = time
        self._decoded = decoded

    @cached_property
    def image(self) -> np.ndarray:
        """uint8 (H, W, 3) RGB, upright. It is converted when it is first asked for: most of the cost of a frame."""
        return _upright_rgb(self._decoded)


def probe(medium: Media | str) -> VideoInfo:
    """Describe a video: a file, also as its path alone, or a sequence of pictures.

    Raises:
        FileMissing: There is no such file, or a picture of the sequence is not there.
        NotAVideo: It holds no moving pictures that can be decoded.
        BadJob: A rate is given for a movie.
    """
    media = Media(medium) if isinstance(medium, str) else medium
    if is_sequence(media):
        return _probe_pictures(media)
    if media.rate:
        raise BadJob(
            f"{media.path} is no sequence of pictures: it has a frame rate of its own.", "Name no rate for it."
        )
    path = media.path
    with open_container(path, NotAVideo) as container:
        stream = find_video(container)
        frame = next(decode_video(container, stream), None) if stream else None
        if stream is None or frame is None:
            raise NotAVideo(f"{path} holds no moving pictures.", hint_for_picture(path))
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
        )
    return info if info.duration else replace(info, duration=_measure_duration(path, info.rate))


def read_frames(media: Media) -> Iterator[Frame]:
    """The frames with ``media.start <= time < media.end``, one after the other; memory does not grow with length.

    Any frame rate, also a varying one; pictures are turned upright and converted to 8-bit RGB.

    Raises:
        FileMissing: There is no such file.
        NotAVideo: It holds no moving pictures that can be decoded.
    """
    if is_sequence(media):
        yield from (Frame(time, picture) for time, picture in decode_pictures(media))
        return
    start = media.start - _TIME_TOLERANCE
    end = math.inf if media.end is None else media.end - _TIME_TOLERANCE
    frames = _decode_from(media.path, start)
    first = next(frames, None)
    if first is None or first[0] > max(start, 0.0):  # seeking missed: the file has no usable index
        frames = _decode_from(media.path, 0.0)
    else:
        frames = itertools.chain([first], frames)
    for time, frame in frames:
        if time >= end:
            return
        if time >= start:
            yield Frame(time, frame)


def _probe_pictures(media: Media) -> VideoInfo:
    """Describe a sequence of pictures; tags of colour are those of a movie that has none."""
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
    )


def _decode_from(path: str, start: float) -> Iterator[tuple[float, VideoFrame]]:
    """Decoded frames with their times, in order, from the last key frame at or before ``start`` where one is found."""
    with open_container(path, NotAVideo) as container:
        stream = find_video(container)
        frames = decode_video(container, stream) if stream else iter(())
        first = next(frames, None)
        if stream is None or first is None:
            raise NotAVideo(f"{path} holds no moving pictures.")
        zero = timestamp(first)
        if zero is None:  # a bare elementary stream: frames follow each other at its rate
            rate = _constant_rate(stream)
            for index, frame in enumerate(itertools.chain([first], frames)):
                yield float(index / rate), frame
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
                yield time, frame
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


def _quarter_turns(frame: VideoFrame) -> int:
    """Counter-clockwise quarter turns that bring the coded picture upright, from its display matrix."""
    return round(frame.rotation / 90) % 4


def _upright_rgb(frame: VideoFrame) -> np.ndarray:
    if frame.format.is_rgb or frame.format.has_palette:
        rgb = frame.reformat(format="rgb24") if frame.format.components[0].bits == 8 else _rounded(frame)
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


def _rounded(frame: VideoFrame) -> VideoFrame:
    """A deeper RGB frame at 8 bits; libswscale would cut the rest off."""
    deep = frame.reformat(format="rgb48le").to_ndarray().astype(np.uint32)
    return VideoFrame.from_ndarray(((deep * 255 + 32767) // 65535).astype(np.uint8), format="rgb24")
