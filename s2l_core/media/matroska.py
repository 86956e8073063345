"""The pixel aspect ratio in Matroska files, which libavformat takes from a field that PyAV cannot set.

The video track is written with a name that reserves space in the header. Afterwards it is overwritten with the display
size, so that nothing else in the file moves.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, NamedTuple

ROOM = {"title": "." * 32}
"""Metadata of a stream for which :func:`write_pixel_aspect` is called later."""

_HEAD_BYTES = 1 << 20
_SEGMENT, _TRACKS, _ENTRY, _VIDEO, _NAME, _CHECKSUM, _VOID = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x536E, 0xBF, 0xEC
_WIDTH, _HEIGHT, _SHOWN_WIDTH, _SHOWN_HEIGHT, _SHOWN_UNIT = 0xB0, 0xBA, 0x54B0, 0x54BA, 0x54B2
_ASPECT_RATIO = 3
"""Unit of a display size that specifies the aspect ratio only."""


class _Element(NamedTuple):
    """An EBML element: its identifier, and the offsets of its start, its content and its end."""

    identifier: int
    start: int
    content: int
    end: int


def write_pixel_aspect(file: BinaryIO, aspect: Fraction) -> None:
    """Write the pixel aspect ratio into a complete Matroska file.

    Args:
        file: The file, open for reading and writing; its first video stream was written with :data:`ROOM`.
        aspect: Width of a pixel divided by its height.
    """
    file.seek(0)
    head = bytearray(file.read(_HEAD_BYTES))
    tracks = _find(head, _find(head, _Element(0, 0, 0, len(head)), _SEGMENT), _TRACKS)
    entry = _find(head, tracks, _ENTRY)
    video = _find(head, entry, _VIDEO)
    known = {part.identifier: part for part in _parts(head, video)}
    width, height = (int.from_bytes(head[known[name].content : known[name].end]) for name in (_WIDTH, _HEIGHT))
    shape = aspect * width / height
    shown = {_SHOWN_WIDTH: shape.numerator, _SHOWN_HEIGHT: shape.denominator, _SHOWN_UNIT: _ASPECT_RATIO}
    kept = [head[part.start : part.end] for part in known.values() if part.identifier not in shown]
    added = [_element(name, number.to_bytes(4)) for name, number in shown.items()]
    others = [head[part.start : part.end] for part in _parts(head, entry) if part.identifier not in (_NAME, _VIDEO)]
    content = b"".join([*others, _element(_VIDEO, b"".join([*kept, *added]))])
    left = entry.end - entry.content - len(content)
    head[entry.content : entry.end] = content + _element(_VOID, bytes(left - len(_element(_VOID, b""))))
    checksum = next(_parts(head, tracks))
    if checksum.identifier == _CHECKSUM:
        head[checksum.content : checksum.end] = zlib.crc32(head[checksum.end : tracks.end]).to_bytes(4, "little")
    file.seek(tracks.start)
    file.write(head[tracks.start : tracks.end])


def _find(data: bytearray, parent: _Element, identifier: int) -> _Element:
    return next(part for part in _parts(data, parent) if part.identifier == identifier)


def _parts(data: bytearray, parent: _Element) -> Iterator[_Element]:
    place = parent.content
    while place < min(parent.end, len(data)):
        start = place
        length = _length(data[place])
        identifier, place = int.from_bytes(data[place : place + length]), place + length
        length = _length(data[place])
        size = int.from_bytes(data[place : place + length]) & ((1 << 7 * length) - 1)
        content, place = place + length, place + length + size
        yield _Element(identifier, start, content, place)


def _length(first: int) -> int:
    """Number of bytes of an integer, from the leading zeros of its first byte."""
    return 9 - first.bit_length()


def _element(identifier: int, content: bytes) -> bytes:
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8)
    return name + (len(content) | 1 << 28).to_bytes(4) + content
