"""A result that is written in chunks, so that an interrupted run goes on after the last one that is finished.

The chunks lie in a folder beside the result, ``NAME.partial``, with a document that tells what they belong to. A run
with another document starts anew. Joining copies what was encoded, so the result does not tell where a run was
interrupted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from ..errors import CannotWrite
from ..events import checkpoint
from ..files import refusal, write_whole
from ..jobs import Encoding
from .encodings import codec_of, is_folder
from .pictures import picture_name, write_picture
from .raster import ORDINARY, ColourTags, Picture, Raster
from .soundtrack import Soundtrack
from .waveform import Waveform
from .writing import VideoWriter, finish_output, open_output, set_pixel_aspect

_DOCUMENT, _PICTURES, _NOTICE = "job.json", "pictures", "synthetic_media.txt"


class FrameWriter(Protocol):
    def write(self, picture: Picture) -> None:
        """Append a frame."""


class Chunks:
    """The chunks of one result.

    Args:
        path: Of the result: a file, or a folder of pictures.
        count: Frames of the result.
        size: Frames of a chunk; the last one may be shorter.
        encoding: How the result is written.
        document: JSON values that tell the work apart from all other: what is there of another is removed.
        raster: How the source is stored, see :class:`s2l_core.media.writing.VideoWriter`.

    Raises:
        CannotWrite: The folder cannot be made, or the result would take the place of a folder.
        DiskFull: There is no room.
    """

    def __init__(
        self,
        path: str,
        count: int,
        size: int,
        encoding: Encoding,
        document: dict[str, Any],
        raster: Raster = ORDINARY,
    ) -> None:
        self._path = Path(path)
        self._folder = self._path.with_name(f"{self._path.name}.partial")
        self._count, self._size, self._encoding, self._raster = count, size, encoding, raster
        if self._path.is_dir():
            raise CannotWrite(f"There is already a folder {path}.", "Name another one.")
        self._open(json.dumps(document, indent=2, sort_keys=True))

    @property
    def missing(self) -> list[range]:
        """The frames of the chunks that are not finished, in order."""
        starts = range(0, self._count, self._size)
        return [
            range(first, min(first + self._size, self._count)) for first in starts if not self._mark(first).exists()
        ]

    @contextmanager
    def writer(
        self, frames: range, width: int, height: int, rate: Fraction, colour: ColourTags
    ) -> Iterator[FrameWriter]:
        """Write one chunk; it counts as finished once the context is left without an exception."""
        if is_folder(self._encoding):
            yield _PictureWriter(self._folder / _PICTURES, frames.start, self._encoding, self._raster.aspect)
            write_whole(str(self._mark(frames.start)), b"")
            return
        path = str(self._mark(frames.start))
        with VideoWriter(path, width, height, rate, colour, encoding=self._encoding, raster=self._raster) as writer:
            yield writer

    def join(self, rate: Fraction, sound: Waveform, comment: str) -> None:
        """Make the result of all chunks, which must be finished, and remove them.

        Args:
            rate: Frames per second.
            sound: What is heard; folders of pictures have none.
            comment: What the result says of its content.
        """
        try:
            if is_folder(self._encoding):
                whole = self._folder / _PICTURES
                (whole / _NOTICE).write_text(f"{comment}.\n", encoding="utf-8")
            else:
                whole = self._folder / f"whole{codec_of(self._encoding).suffix}"
                self._join_movies(whole, rate, sound, comment)
            whole.replace(self._path)
        except (OSError, av.FFmpegError) as error:
            raise refusal(self._path, error) from error
        shutil.rmtree(self._folder, ignore_errors=True)

    def _open(self, document: str) -> None:
        known = self._folder / _DOCUMENT
        try:
            is_same = known.is_file() and known.read_text(encoding="utf-8") == document
            if is_same and (not is_folder(self._encoding) or (self._folder / _PICTURES).is_dir()):
                return
            shutil.rmtree(self._folder, ignore_errors=True)
            (self._folder / _PICTURES if is_folder(self._encoding) else self._folder).mkdir(parents=True)
        except (OSError, UnicodeDecodeError) as error:
            raise refusal(self._path, error) from error
        write_whole(str(known), document.encode())

    def _mark(self, first: int) -> Path:
        """What is there once the chunk that begins with this frame is finished."""
        suffix = ".done" if is_folder(self._encoding) else codec_of(self._encoding).suffix
        return self._folder / f"{first:07}{suffix}"

    def _join_movies(self, whole: Path, rate: Fraction, sound: Waveform, comment: str) -> None:
        with whole.open("w+b") as file:
            self._copy_chunks(file, rate, sound, comment)
            finish_output(file, self._encoding, self._raster.aspect)

    def _copy_chunks(self, file: BinaryIO, rate: Fraction, sound: Waveform, comment: str) -> None:
        with open_output(file, self._encoding, rate, comment) as output:
            pictures: VideoStream | None = None
            soundtrack: Soundtrack | None = None
            for first in range(0, self._count, self._size):
                with av.open(f"file:{self._mark(first)}") as chunk:  # a name such as 12:30.mp4 is no address
                    source = chunk.streams.video[0]
                    if pictures is None or soundtrack is None:
                        pictures = output.add_stream_from_template(source)
                        set_pixel_aspect(pictures, self._encoding, self._raster.aspect)
                        soundtrack = Soundtrack(output, sound, self._encoding)
                    _copy_packets(chunk.demux(source), output, pictures, first, rate)
                soundtrack.write(until=min(first + self._size, self._count) / rate)
            assert soundtrack is not None
            soundtrack.finish()


class _PictureWriter:
    def __init__(self, folder: Path, first: int, encoding: Encoding, aspect: Fraction) -> None:
        self._folder, self._next, self._encoding, self._aspect = folder, first, encoding, aspect

    def write(self, picture: Picture) -> None:
        checkpoint()
        self._next += 1
        path = self._folder / picture_name(self._next, self._encoding)
        write_picture(path, picture, self._encoding, self._aspect)


def _copy_packets(
    packets: Iterator[av.Packet], output: OutputContainer, stream: VideoStream, first: int, rate: Fraction
) -> None:
    """Append the packets of a chunk, whose times are whole frames of the result."""
    for packet in packets:
        checkpoint()
        if packet.pts is None or packet.dts is None or packet.time_base is None:  # the end of the stream
            continue
        base = packet.time_base
        packet.pts = first + round(packet.pts * base * rate)
        packet.dts = first + round(packet.dts * base * rate)
        packet.duration, packet.time_base, packet.stream = 1, 1 / rate, stream
        output.mux(packet)
