"""Video files: what they are, their frames by timestamp, and writing new ones.

Pictures are converted with the matrix and range that the source is tagged with, and written back with the same, so
that the same colour gives the same code values in the file. libswscale would take BT.601 for everything untagged.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation
from av.video.stream import VideoStream

from ..errors import CannotWrite, NotAVideo
from ..files import refusal
from ..jobs import Media
from .container import decode_video, find_audio, find_video, open_container, timestamp

LIMITED_RANGE, FULL_RANGE = int(ColorRange.MPEG), int(ColorRange.JPEG)
RGB, BT709, UNSPECIFIED, SMPTE170M = 0, 1, 2, 6

# Matroska rounds timestamps to milliseconds: a frame that lies that close before the start belongs to the span.
_TIME_TOLERANCE = 0.001
_ACCURATE = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}


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
        )
    return info if info.duration else replace(info, duration=_measure_duration(path, info.rate))


def read_frames(media: Media) -> Iterator[Frame]:
    """The frames with ``media.start <= time < media.end``, one after the other; memory does not grow with length.

    Any frame rate, also a varying one; pictures are turned upright and converted to 8-bit RGB.

    Raises:
        FileMissing: There is no such file.
        NotAVideo: It holds no moving pictures that can be decoded.
    """
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


class VideoWriter:
    """Write an MP4 of H.264 and AAC at a constant frame rate, as a context manager.

    The file is written beside its destination and takes its name only when it is whole; any exception, also an
    interrupt, removes it and leaves what was there before. Pictures go to 4:2:0, which every player decodes (4:4:4
    H.264 does not play in browsers, on phones or in QuickTime); as that needs even sizes, an odd one grows by one
    column or row, a copy of its neighbour.

    Args:
        path: Destination.
        width: Pixels across of the images.
        height: Pixels down of the images.
        rate: Frames per second.
        colour: Tags to encode with and to write: those of the source keep its code values.
        sound: Samples float32 (n, channels) in [-1, 1] and their rate, written as they are: their length is the
            caller's choice.
        crf: x264's constant rate factor; lower is better and bigger, 17 is hard to tell from the source.

    Raises:
        CannotWrite: The destination's folder is missing or not writable (also from ``write`` and at the end).
        DiskFull: The disk has no room (also from ``write`` and at the end).
    """

    def __init__(
        self,
        path: str,
        width: int,
        height: int,
        rate: Fraction,
        colour: ColourTags | None = None,
        sound: tuple[np.ndarray, int] | None = None,
        crf: int = 17,
    ) -> None:
        self._path = Path(path)
        self._partial = self._path.with_name(f"{self._path.stem}.partial.mp4")
        self._size = (width, height)
        self._rate = rate.limit_denominator(1_000_000)  # libav counts in 32 bits
        self._source_tags = colour or ColourTags()
        if self._source_tags.matrix == RGB:  # an RGB source has no YUV code values to keep
            self._source_tags = replace(self._source_tags, range=0).assumed(width, height)
        self._tags = self._source_tags.assumed(width, height)
        self._sound = _encodable_sound(*sound) if sound is not None else None
        self._crf = crf
        self._frames = 0
        self._samples = 0
        self._cleanup: ExitStack
        self._file: BinaryIO
        self._container: OutputContainer
        self._video: VideoStream
        self._audio: AudioStream | None = None

    def __enter__(self) -> Self:
        if self._path.is_dir():
            raise CannotWrite(f"{self._path} is a folder.", "Name a file to write.")
        with ExitStack() as cleanup:
            try:
                # A Python file keeps the reason of a failed write, which libavformat would reduce to "I/O error".
                self._file = self._partial.open("wb")
            except OSError as error:
                raise refusal(self._path, error) from error
            cleanup.callback(self._partial.unlink, missing_ok=True)
            cleanup.callback(_close_quietly, self._file)
            # The default time scale would round durations to milliseconds.
            options = {"movie_timescale": str(min(self._rate.numerator * 100, 2**31 - 1))}
            self._container = av.open(self._file, "w", format="mp4", options=options)
            cleanup.callback(_close_quietly, self._container)
            self._video = self._add_video()
            self._audio = self._add_audio() if self._sound else None
            self._cleanup = cleanup.pop_all()
        return self

    def write(self, image: np.ndarray) -> None:
        """Append a frame, uint8 (height, width, 3) RGB."""
        width, height = self._size
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise ValueError(f"expected uint8 {(height, width, 3)}, got {image.dtype} {image.shape}")
        padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        rgb = VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
        frame = rgb.reformat(
            format="yuv420p",
            src_color_range=FULL_RANGE,
            dst_colorspace=self._tags.matrix,
            dst_color_range=self._tags.range,
            interpolation=_ACCURATE,
        )
        frame.pts, frame.duration, frame.time_base = self._frames, 1, 1 / self._rate
        self._frames += 1
        try:
            self._container.mux(self._video.encode(frame))
            self._write_sound(until=self._frames / self._rate)
        except (OSError, av.FFmpegError) as error:
            raise refusal(self._path, error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._cleanup:  # whatever happens, nothing stays under the provisional name
            if kind is not None:
                return
            try:
                self._write_sound(until=None)
                self._container.mux(self._video.encode(None))
                if self._audio is not None:
                    self._container.mux(self._audio.encode(None))
                self._container.close()
                self._file.close()
                self._partial.replace(self._path)
            except (OSError, av.FFmpegError) as failure:
                raise refusal(self._path, failure) from failure

    def _add_video(self) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=self._rate, options={"crf": str(self._crf)})
        stream.width, stream.height = (size + size % 2 for size in self._size)
        stream.pix_fmt = "yuv420p"
        stream.time_base = 1 / self._rate
        context = stream.codec_context
        context.time_base = 1 / self._rate
        context.options = {"crf": str(self._crf), "preset": "veryfast"}
        context.color_range = self._tags.range
        context.colorspace = self._source_tags.matrix
        context.color_trc = self._source_tags.transfer
        context.color_primaries = self._source_tags.primaries
        return stream

    def _add_audio(self) -> AudioStream:
        assert self._sound is not None
        samples, rate = self._sound
        stream = self._container.add_stream("aac", rate=rate, layout=_AAC_LAYOUTS[samples.shape[1]])
        stream.codec_context.bit_rate = 96_000 * samples.shape[1]
        return stream

    def _write_sound(self, until: Fraction | None) -> None:
        """Encode the sound up to a time, so that it lies beside its pictures in the file; None means to its end."""
        if self._sound is None or self._audio is None:
            return
        samples, rate = self._sound
        stop = len(samples) if until is None else min(len(samples), int(until * rate))
        if stop <= self._samples:
            return
        block = np.ascontiguousarray(samples[self._samples : stop].T)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=_AAC_LAYOUTS[len(block)])
        frame.sample_rate, frame.pts, frame.time_base = rate, self._samples, Fraction(1, rate)
        self._samples = stop
        self._container.mux(self._audio.encode(frame))


def _close_quietly(file: BinaryIO | OutputContainer) -> None:
    with suppress(OSError, av.FFmpegError, ValueError):  # on a full disk, what is held back cannot be written either
        file.close()


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
        rgb = frame.reformat(format="rgb24")
    else:
        tags = ColourTags(frame.color_range, frame.colorspace).assumed(frame.width, frame.height)
        rgb = frame.reformat(
            format="rgb24",
            src_colorspace=tags.matrix,
            src_color_range=tags.range,
            dst_color_range=FULL_RANGE,
            interpolation=_ACCURATE,
        )
    return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), _quarter_turns(frame)))


def _encodable_sound(samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
    """Sound in a rate and a number of channels that AAC has; float32 (n, channels)."""
    samples = samples.reshape(len(samples), -1).astype(np.float32, copy=False)
    if samples.shape[1] not in _AAC_LAYOUTS:
        samples = samples.mean(axis=1, keepdims=True)
    if rate in _AAC_RATES:
        return samples, rate
    layout = _AAC_LAYOUTS[samples.shape[1]]
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
    frame.sample_rate = rate
    resampler = av.AudioResampler("fltp", layout, 48_000)
    blocks = [block.to_ndarray() for block in (*resampler.resample(frame), *resampler.resample(None))]
    return np.concatenate(blocks, axis=1).T, 48_000
