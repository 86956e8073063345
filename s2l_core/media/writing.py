"""Writing video files.

Pictures are encoded with the matrix and range in the tags of the source, so that unchanged colours have the same code
values in the file.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..credentials.claim import Claim
from ..credentials.signing import Signature
from ..events import checkpoint
from ..files import refusal, whole_file
from ..jobs import Encoding
from .encodings import codec_of, encoder_options, has_alpha, pixel_format
from .matroska import ROOM, write_pixel_aspect
from .planes import Planes, in_rgb
from .raster import ACCURATE, FULL_RANGE, ORDINARY, RGB, ColourTags, Picture, Raster, convert_fields, to_frame
from .soundtrack import Soundtrack
from .waveform import Waveform

DEFAULT_ENCODING = Encoding()


class VideoWriter:
    """Writes a video file with a constant frame rate, as a context manager.

    A temporary file beside the destination is renamed at the end; an exception, including an interrupt, removes it and
    leaves an earlier file unchanged. H.264 and ProRes need even sizes, so a column or row of an odd size is duplicated;
    interlaced H.264 needs a multiple of four rows. The same calls write the same bytes.

    Args:
        path: Destination.
        width: Width of the pictures in pixels.
        height: Height of the pictures in pixels.
        rate: Frames per second.
        colour: Colour tags of the file; those of the source preserve its code values.
        sound: The sound, of any length, which is read while pictures are written.
        encoding: File format, except for folders of pictures.
        comment: Comment in the metadata of the container.
        raster: Storage format of the source, which the file has as well, as far as its format supports it.
        claim: What the content credentials of the file say; None for a file without any.

    Attributes:
        signature: The content credentials.

    Raises:
        SigningKeyUnusable, SigningFailed: The file cannot be signed (the latter is raised at the end).
        CannotWrite: The folder of the destination is missing or not writable (also raised by ``write`` and at the end).
        DiskFull: There is no space (also raised by ``write`` and at the end).
    """

    def __init__(
        self,
        path: str,
        width: int,
        height: int,
        rate: Fraction,
        colour: ColourTags | None = None,
        sound: Waveform | None = None,
        encoding: Encoding = DEFAULT_ENCODING,
        comment: str = "",
        raster: Raster = ORDINARY,
        claim: Claim | None = None,
    ) -> None:
        self._path = Path(path)
        self.signature = Signature(path, claim)
        self._size = (width, height)
        self._rate = rate.limit_denominator(1_000_000)  # libav stores 32-bit integers
        self._source_tags = colour or ColourTags()
        if self._source_tags.matrix == RGB:  # an RGB source has no YUV code values to preserve
            self._source_tags = replace(self._source_tags, range=0).assumed(width, height)
        self._tags = self._source_tags.assumed(width, height)
        self._sound = sound
        self._encoding = encoding
        self._comment = comment
        self._raster = raster
        self._pixels = pixel_format(encoding, raster)
        self._frames = 0
        self._cleanup: ExitStack
        self._file: BinaryIO
        self._container: OutputContainer
        self._video: VideoStream
        self._soundtrack: Soundtrack | None = None

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            # A Python file preserves the reason of a failed write, which libavformat would reduce to "I/O error".
            result = cleanup.enter_context(whole_file(self._path))
            self._file = cleanup.enter_context(self.signature.into(result, self._path.parent))
            self._container = open_output(self._file, self._encoding, self._rate, self._comment)
            cleanup.callback(close_quietly, self._container)
            self._video = self._add_video()
            if self._sound is not None:
                self._soundtrack = Soundtrack(self._container, self._sound, self._encoding)
            self._cleanup = cleanup.pop_all()
        return self

    def write(self, picture: Picture | Planes) -> None:
        """Append a frame, with alpha if the file has any. Code values of planes are written as they are, if the file
        stores such pictures.
        """
        checkpoint()
        if isinstance(picture, Planes) and self._stores(picture):
            self._encode(picture.copied())
        else:
            self._encode(self._frame_of(in_rgb(picture)))

    def _stores(self, picture: Planes) -> bool:
        """Whether the file has the pixel format, range and matrix of a picture."""
        same = (picture.tags.range, picture.tags.matrix) == (self._tags.range, self._tags.matrix)
        sizes = {(picture.frame.width, picture.frame.height), self._size, (self._video.width, self._video.height)}
        return same and len(sizes) == 1 and self._pixels == "yuv420p" and self._raster.fields == "progressive"

    def _frame_of(self, picture: Picture) -> VideoFrame:
        width, height = self._size
        channels = 4 if has_alpha(self._encoding, self._raster) else 3
        if picture.shape != (height, width, channels) or picture.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"expected {(height, width, channels)}, got {picture.dtype} {picture.shape}")
        if (self._video.width, self._video.height) != self._size:
            padding = ((0, self._video.height - height), (0, self._video.width - width), (0, 0))
            picture = np.pad(picture, padding, mode="edge")
        return self._converted(to_frame(picture))

    def _encode(self, frame: VideoFrame) -> None:
        context = self._video.codec_context
        frame.color_range, frame.colorspace = context.color_range, context.colorspace
        frame.color_trc, frame.color_primaries = (
            context.color_trc,
            context.color_primaries,
        )  # ProRes uses the tags of the frame
        frame.pts, frame.duration, frame.time_base = self._frames, 1, 1 / self._rate
        self._frames += 1
        try:
            self._container.mux(self._video.encode(frame))
            if self._soundtrack is not None:
                self._soundtrack.write(until=self._frames / self._rate)
        except (OSError, av.FFmpegError) as error:
            raise refusal(self._path, error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._cleanup.__exit__(kind, error, traceback)
            return
        with self._cleanup:
            try:
                for packet in self._video.codec_context.encode_lazy(None):  # frames that the encoder has buffered
                    checkpoint()
                    packet.stream = self._video
                    self._container.mux(packet)
                if self._soundtrack is not None:
                    self._soundtrack.finish()
                self._container.close()
                finish_output(self._file, self._encoding, self._raster.aspect)
            except (OSError, av.FFmpegError) as failure:
                raise refusal(self._path, failure) from failure

    @property
    def _is_rgb(self) -> bool:
        return self._pixels.startswith(("bgr", "gbr"))

    def _converted(self, rgb: VideoFrame) -> VideoFrame:
        to_yuv = {"out_color_matrix": self._tags.matrix, "in_range": FULL_RANGE, "out_range": self._tags.range}
        if self._raster.fields != "progressive":
            return convert_fields(rgb, self._pixels, {} if self._is_rgb else to_yuv, self._raster.fields)
        if self._is_rgb:
            return rgb.reformat(format=self._pixels)
        return rgb.reformat(
            format=self._pixels,
            src_color_range=FULL_RANGE,
            dst_colorspace=self._tags.matrix,
            dst_color_range=self._tags.range,
            interpolation=ACCURATE,
        )

    def _add_video(self) -> VideoStream:
        stream = self._container.add_stream(codec_of(self._encoding).name, rate=self._rate)
        assert isinstance(stream, VideoStream)
        across, down = (1, 1) if self._is_rgb else (2, 2)
        if self._encoding.format == "h264" and self._raster.fields != "progressive":
            down = 4
        width, height = self._size
        stream.width, stream.height = width + -width % across, height + -height % down
        stream.pix_fmt = self._pixels
        stream.time_base = 1 / self._rate
        context = stream.codec_context
        context.time_base = 1 / self._rate
        context.options = encoder_options(self._encoding, self._raster)
        context.color_range = FULL_RANGE if self._is_rgb else self._tags.range
        context.colorspace = RGB if self._is_rgb else self._source_tags.matrix
        context.color_trc = self._source_tags.transfer
        context.color_primaries = self._source_tags.primaries
        set_pixel_aspect(stream, self._encoding, self._raster.aspect)
        return stream


def open_output(file: BinaryIO, encoding: Encoding, rate: Fraction, comment: str) -> OutputContainer:
    """Open a container for writing, without metadata that differs between runs."""
    options = {"fflags": "bitexact"}
    if codec_of(encoding).container in {"mp4", "mov"}:  # the default time scale would round durations to milliseconds
        options["movie_timescale"] = str(min(rate.numerator * 100, 2**31 - 1))
    container = av.open(file, "w", format=codec_of(encoding).container, options=options)
    if comment:
        container.metadata["comment"] = comment
    return container


def set_pixel_aspect(stream: VideoStream, encoding: Encoding, aspect: Fraction) -> None:
    """Set the pixel aspect ratio of a stream, before anything is written."""
    if aspect == 1:
        return
    stream.codec_context.sample_aspect_ratio = aspect
    if codec_of(encoding).container == "matroska":
        stream.metadata.update(ROOM)


def finish_output(file: BinaryIO, encoding: Encoding, aspect: Fraction) -> None:
    """Write the pixel aspect ratio into a file with a closed container, if libavformat did not do so.

    Args:
        file: The file, open for reading and writing.
        encoding: Its file format.
        aspect: Width of a pixel divided by its height.
    """
    if aspect != 1 and codec_of(encoding).container == "matroska":
        write_pixel_aspect(file, aspect)


def close_quietly(container: OutputContainer) -> None:
    """Close a container, ignoring errors."""
    with suppress(OSError, av.FFmpegError, ValueError):  # on a full disk, the buffer cannot be written either
        container.close()
