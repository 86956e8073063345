"""Writing a result in chunks, so that an interrupted run resumes after the last finished chunk.

The chunks are in the scratch folder of the result, with a document that identifies the work. A run with another
document starts from the beginning. Joining copies the encoded packets, so the result does not depend on interruptions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from ..credentials.claim import Claim
from ..credentials.signing import Signature, refuse_unusable_key
from ..errors import CannotWrite
from ..events import checkpoint
from ..files import is_regular, refusal, reserved, whole_file, write_whole
from ..jobs import Encoding
from .encodings import is_folder
from .pictures import picture_name, write_picture
from .planes import Planes, in_rgb
from .raster import ORDINARY, ColourTags, Picture, Raster
from .scratch import Scratch
from .soundtrack import Soundtrack
from .waveform import Waveform
from .writing import VideoWriter, finish_output, open_output, set_pixel_aspect


@contextmanager
def reserved_result(path: str, encoding: Encoding, *sources: str, is_shared: bool = False) -> Iterator[None]:
    """Reserve a result and its scratch folder for one job while it runs, or for one of its parts.

    Args:
        path: The file, or the folder of pictures, to write.
        encoding: File format of the result.
        sources: Files that the job reads.
        is_shared: Whether other processes may write other chunks at the same time, if they share the result, too.

    Raises:
        CannotWrite: See :func:`s2l_core.files.reserved`; or the name of the scratch folder is taken.
        DiskFull: There is no space.
        SigningKeyUnusable: The key with which the result would be signed cannot sign.
    """
    refuse_unusable_key()
    with reserved(path, *sources, folder=is_folder(encoding), is_shared=is_shared):
        Scratch(Path(path)).refuse_foreign(*sources)
        yield


def is_joined(path: str) -> bool:
    """Whether chunks of a result were joined to it, even if the process was killed right afterwards."""
    return os.path.lexists(path) and not Scratch(Path(path)).pictures.exists()


class FrameWriter(Protocol):
    """Writes the frames of a chunk."""

    def write(self, picture: Picture | Planes) -> None:
        """Append a frame."""


class Chunks:
    """The chunks of one result.

    Args:
        path: The file, or the folder of pictures, to write.
        count: Number of frames of the result.
        size: Number of frames of a chunk, except a shorter last one. More frames lose more work in an interruption.
        encoding: File format of the result.
        document: JSON values that identify the work; chunks of other work are removed.
        raster: Storage format of the source, see :class:`s2l_core.media.writing.VideoWriter`.
        is_shared: Whether other processes may write other chunks of the same work at the same time; see
            :meth:`s2l_core.media.scratch.Scratch.open`.

    Raises:
        CannotWrite: The scratch folder cannot be made, its name is taken, or it contains pictures that do not belong to
            the result.
        DiskFull: There is no space.
    """

    def __init__(
        self,
        path: str,
        count: int,
        size: int,
        encoding: Encoding,
        document: dict[str, Any],
        raster: Raster = ORDINARY,
        is_shared: bool = False,
    ) -> None:
        self._path = Path(path)
        self._scratch = Scratch(self._path)
        self._count, self._size, self._encoding, self._raster = count, size, encoding, raster
        self._scratch.open(json.dumps(document, indent=2, sort_keys=True), is_shared)
        self._refuse_strange_pictures(is_shared)

    @property
    def missing(self) -> list[range]:
        """Frame ranges of the unfinished chunks, in order."""
        return self.missing_in(range(self._count))

    def missing_in(self, frames: range) -> list[range]:
        """Frame ranges of the unfinished chunks that begin with one of some frames, in order."""
        return [chunk for chunk in self.within(frames) if self._count_frames(chunk) != len(chunk)]

    def within(self, frames: range) -> list[range]:
        """Frame ranges of the chunks that begin with one of some frames, in order."""
        return [chunk for chunk in self._chunks if chunk.start in frames]

    @property
    def _chunks(self) -> list[range]:
        starts = range(0, self._count, self._size)
        return [range(first, min(first + self._size, self._count)) for first in starts]

    @contextmanager
    def writer(
        self, frames: range, width: int, height: int, rate: Fraction, colour: ColourTags
    ) -> Iterator[FrameWriter]:
        """Write one chunk, which is finished when the context ends without an exception."""
        if is_folder(self._encoding):
            yield _PictureWriter(self._scratch.pictures, frames.start, self._encoding, self._raster.aspect)
            write_whole(str(self._mark(frames.start)), b"")
            return
        path = str(self._mark(frames.start))
        with VideoWriter(path, width, height, rate, colour, encoding=self._encoding, raster=self._raster) as writer:
            yield writer

    def join(self, rate: Fraction, sound: Waveform | None, comment: str, claim: Claim | None = None) -> str:
        """Join all chunks, which must be finished, to the result, sign it, and remove them.

        Args:
            rate: Frames per second.
            sound: The sound of the result, if it has any; ignored for folders of pictures.
            comment: Comment in the metadata of the result.
            claim: What the content credentials of the result say; None for a result without any.

        Returns:
            A sentence: how the result is signed, or why it is not.

        Raises:
            SigningKeyUnusable, SigningFailed: The result cannot be signed. The chunks are kept.
            CannotWrite: Frames in the scratch folder were removed, damaged or added by another program.
            DiskFull: There is no space.
        """
        signature = Signature(self._path, claim)
        try:
            self._refuse_strange_pictures()
            self._refuse_lost_frames()
            if is_folder(self._encoding):
                names = (picture_name(1 + frame, self._encoding) for frame in range(self._count))
                pictures = self._scratch.pictures
                signature.write_notice(pictures, comment, (pictures / name for name in names))
                pictures.replace(self._path)
            else:
                folder = self._scratch.folder
                with whole_file(self._path, folder) as file, signature.into(file, folder) as content:
                    self._copy_chunks(content, rate, sound, comment)
                    finish_output(content, self._encoding, self._raster.aspect)
        except (OSError, av.FFmpegError) as error:
            raise refusal(self._path, error) from error
        self._scratch.remove()
        return signature.sentence

    def _mark(self, first: int) -> Path:
        """Path that exists if the chunk that begins with frame ``first`` is finished."""
        suffix = self._encoding.suffix or ".done"
        return self._scratch.folder / f"{first:07}{suffix}"

    def _count_frames(self, chunk: range) -> int:
        """Number of frames of a chunk that are there; 0 if it is unfinished or damaged."""
        mark = self._mark(chunk.start)
        if not is_folder(self._encoding):
            return _count_frames(mark)
        if not is_regular(mark):
            return 0
        sizes = self._scratch.picture_sizes()
        return sum(sizes.get(picture_name(1 + frame, self._encoding), 0) > 0 for frame in chunk)

    def _refuse_strange_pictures(self, is_shared: bool = False) -> None:
        wanted = {picture_name(number, self._encoding) for number in range(1, self._count + 1)}
        strange = sorted(self._scratch.picture_sizes().keys() - wanted)
        if is_shared:
            strange = [name for name in strange if not self._scratch.is_unfinished(name)]
        if strange:
            raise CannotWrite(
                f"{self._scratch.pictures / strange[0]} is not a picture of this result.", "Move it out of that folder."
            )

    def _refuse_lost_frames(self) -> None:
        if lost := sum(len(chunk) - self._count_frames(chunk) for chunk in self.missing):
            raise CannotWrite(
                f"{lost} of {self._count} frames in {self._scratch.folder} were removed or damaged by another program.",
                "Start the job again to render them again.",
            )

    def _copy_chunks(self, file: BinaryIO, rate: Fraction, sound: Waveform | None, comment: str) -> None:
        with open_output(file, self._encoding, rate, comment) as output:
            pictures: VideoStream | None = None
            soundtrack: Soundtrack | None = None
            for chunk in self._chunks:
                with self._mark(chunk.start).open("rb") as opened, av.open(opened, "r") as container:
                    source = container.streams.video[0]
                    if pictures is None:
                        pictures = output.add_stream_from_template(source)
                        set_pixel_aspect(pictures, self._encoding, self._raster.aspect)
                        soundtrack = None if sound is None else Soundtrack(output, sound, self._encoding)
                    _copy_packets(container.demux(source), output, pictures, chunk.start, rate)
                if soundtrack is not None:
                    soundtrack.write(until=chunk.stop / rate)
            if soundtrack is not None:
                soundtrack.finish()


class _PictureWriter:
    def __init__(self, folder: Path, first: int, encoding: Encoding, aspect: Fraction) -> None:
        self._folder, self._next, self._encoding, self._aspect = folder, first, encoding, aspect

    def write(self, picture: Picture | Planes) -> None:
        checkpoint()
        self._next += 1
        path = self._folder / picture_name(self._next, self._encoding)
        write_picture(path, in_rgb(picture), self._encoding, self._aspect)


def _count_frames(path: Path) -> int:
    """Number of frames in the file of a chunk; 0 if it is missing or damaged."""
    try:
        with path.open("rb") as file, av.open(file, "r") as container:
            return sum(packet.pts is not None for packet in container.demux(container.streams.video[0]))
    except (OSError, IndexError, av.FFmpegError):
        return 0


def _copy_packets(
    packets: Iterator[av.Packet], output: OutputContainer, stream: VideoStream, first: int, rate: Fraction
) -> None:
    """Append the packets of a chunk, with timestamps in frames of the result."""
    for packet in packets:
        checkpoint()
        if packet.pts is None or packet.dts is None or packet.time_base is None:  # the end of the stream
            continue
        base = packet.time_base
        packet.pts = first + round(packet.pts * base * rate)
        packet.dts = first + round(packet.dts * base * rate)
        packet.duration, packet.time_base, packet.stream = 1, 1 / rate, stream
        output.mux(packet)
