"""Opening untrusted media files, and decoding their streams past damaged packets.

Times are those of Blender: pictures count from the start of their stream, even if the first ones cannot be decoded, and
a frame without a presentation time has the decoding time of its packet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import Flags, InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .. import regular_files
from ..errors import FileMissing, Speech2LipError
from ..events import checkpoint

MOST_PIXELS = 8192 * 8192
"""Largest picture that is decoded: a file of a few kilobytes may claim to contain a larger one."""
_DECODERS_OF_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_LIMITS = {"max_pixels": str(MOST_PIXELS)}
_GUESS_TIMES = cast(int, Flags.gen_pts.value)
"""PyAV's flag for generating presentation times, which are wrong in AVI and differ from Blender's."""
_TEXT_AND_STILL_FORMATS = ("tty", "image2", "ico", "bin", "xbin", "idf", "adf")


@contextmanager
def open_container(path: str, refusal: type[Speech2LipError]) -> Iterator[InputContainer]:
    """Open a media file. Errors of the libraries, now or while it is read, are raised as ``refusal``.

    Only local files are opened, even if the file is a playlist with addresses.

    Raises:
        FileMissing: There is no such file, or it must not be read.
    """
    if not regular_files.is_file(path):
        raise FileMissing(f"There is no file {path}.")
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise FileMissing(f"{path} cannot be read: {error.strerror}.", "Check the permissions of the file.") from error
    try:
        with av.open(
            f"file:{path}", "r", options={"protocol_whitelist": "file", **_LIMITS}, metadata_errors="ignore"
        ) as container:
            container.flags &= ~_GUESS_TIMES
            yield container
    except av.FFmpegError as error:
        raise refusal(f"{path} cannot be read: {error.strerror}.") from error


def find_video(container: InputContainer) -> VideoStream | None:
    """The video stream, if there is one; cover art, still pictures and text do not count."""
    name = container.format.name
    if name in _TEXT_AND_STILL_FORMATS or name.endswith("_pipe"):
        return None
    for stream in container.streams.video:
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic:
            stream.thread_type = "AUTO"
            stream.codec_context.options = _LIMITS
            return stream
    return None


def find_audio(container: InputContainer) -> AudioStream | None:
    """The first sound stream that can be decoded."""
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def decode_video(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames in presentation order from the container's position on; damaged packets are skipped."""
    decoder = _decoder_of_alpha(stream) or stream.codec_context
    for packet in container.demux(stream):
        checkpoint()
        try:
            yield from decoder.decode(packet)
        except av.FFmpegError:
            continue


def decode_audio(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Blocks of sound from the container's position on; damaged packets are skipped."""
    for packet in container.demux(stream):
        checkpoint()
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def _decoder_of_alpha(stream: VideoStream) -> VideoCodecContext | None:
    """A decoder for the alpha of WebM, which is stored beside the packets that libavcodec's own decoders read."""
    name = _DECODERS_OF_ALPHA.get(stream.codec_context.name)
    if stream.metadata.get("alpha_mode") != "1" or name not in av.codecs_available:
        return None
    decoder = CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.options = _LIMITS
    return decoder


def timestamp(frame: VideoFrame | AudioFrame) -> Fraction | None:
    """Time of a frame in seconds of the container's clock; None if it has none."""
    time = frame.dts if frame.pts is None else frame.pts
    return None if time is None or frame.time_base is None else time * Fraction(frame.time_base)


def stream_start(stream: VideoStream) -> Fraction | None:
    """Time of Blender's frame 0 of a stream in seconds of the container's clock; None if the stream has no start time,
    and counts from its first frame. Call it before decoding.
    """
    if stream.start_time is None or stream.time_base is None:
        return None
    return stream.start_time * Fraction(stream.time_base)


def picture_start(path: str, refusal: type[Speech2LipError]) -> Fraction | None:
    """Time of Blender's frame 0 of a file in seconds of the container's clock; None without video or start time.

    Raises the errors of :func:`open_container`.
    """
    with open_container(path, refusal) as container:
        stream = find_video(container)
        if stream is None or (start := stream_start(stream)) is not None:
            return None if stream is None else start
        frame = next(decode_video(container, stream), None)
        return timestamp(frame) if frame else None
