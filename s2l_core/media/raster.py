"""Storage format of the pictures of a stream, and their conversion from and to arrays.

Pictures are converted with the matrix and range in the tags of the source; libswscale would assume BT.601 for
everything that is untagged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import cv2
import numpy as np
from av import FFmpegError
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ..errors import NotAVideo

LIMITED_RANGE, FULL_RANGE = int(ColorRange.MPEG), int(ColorRange.JPEG)
RGB, BT709, UNSPECIFIED, SMPTE170M = 0, 1, 2, 6

ACCURATE = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
_ACCURATE_FLAGS = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"  # the same for the filter ``scale``

Fields = Literal["progressive", "top first", "bottom first"]
Picture = NDArray[Any]
"""(height, width, 3) RGB or (height, width, 4) with straight alpha; uint8, or uint16 if the source has more bits."""

_LEAST_STRETCH = 0.01
"""Relative deviation of the aspect ratio up to which pixels count as square in images for analysis."""
_MOST_STRETCH = 4
_ORDERS: dict[int, Fields] = {2: "top first", 3: "bottom first", 4: "top first", 5: "bottom first"}
"""Meaning of libav's field orders to its own decoders."""


@dataclass(frozen=True)
class ColourTags:
    """Colour tags of a file: code points of ITU-T H.273.

    Attributes:
        range: Range of the code values: 1 limited (studio), 2 full, 0 untagged.
        matrix: Matrix coefficients, e.g. 1 BT.709, 6 SMPTE 170M (BT.601), 9 BT.2020; 2 untagged.
        transfer: Transfer characteristics; 2 untagged.
        primaries: Colour primaries; 2 untagged.
    """

    range: int = 0
    matrix: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    primaries: int = UNSPECIFIED

    def assumed(self, width: int, height: int) -> ColourTags:
        """The tags, with the usual defaults for untagged range and matrix: limited, BT.709 for HD, else BT.601."""
        is_hd = max(width, height) >= 1280 or min(width, height) > 576
        matrix = (BT709 if is_hd else SMPTE170M) if self.matrix in (UNSPECIFIED, RGB) else self.matrix
        return replace(self, range=self.range or LIMITED_RANGE, matrix=matrix)


@dataclass(frozen=True)
class Raster:
    """Storage format of pictures, except for size and colour.

    Attributes:
        aspect: Width of a pixel divided by its height, in the upright picture.
        fields: Whether frames are interlaced, and which field comes first.
        depth: Number of bits per channel.
        has_alpha: Whether there is an alpha channel.
        has_full_chroma: Whether chroma is stored at full resolution.
    """

    aspect: Fraction = Fraction(1)
    fields: Fields = "progressive"
    depth: int = 8
    has_alpha: bool = False
    has_full_chroma: bool = False

    @property
    def is_deep(self) -> bool:
        """Whether there are more than 8 bits per channel."""
        return self.depth > 8


ORDINARY = Raster()
"""8 bits, square pixels, no alpha, progressive."""


def raster_of(stream: VideoStream, frames: Sequence[VideoFrame]) -> Raster:
    """Storage format of the pictures of a stream, whose first ``frames`` are given.

    A stream may contain progressive and interlaced frames; it counts as interlaced if one of the frames is.
    """
    first = frames[0]
    said = _ORDERS.get(stream.codec_context.field_order, "progressive")
    fields = next((order for frame in frames if (order := fields_of(frame)) != "progressive"), said)
    return Raster(
        aspect=upright_aspect(first, stream.sample_aspect_ratio),
        fields="progressive" if quarter_turns(first) else fields,
        depth=_depth(first.format),
        has_alpha=_has_alpha(first.format),
        has_full_chroma=len(first.format.components) > 2 and first.format.chroma_width(4) == 4,
    )


def raster_of_picture(frame: VideoFrame) -> Raster:
    """Storage format of a single picture."""
    return Raster(depth=_depth(frame.format), has_alpha=_has_alpha(frame.format), has_full_chroma=True)


def upright_aspect(frame: VideoFrame, aspect: Fraction | None) -> Fraction:
    """Width of a pixel divided by its height in the upright frame; 1 if the stream does not have a plausible value."""
    if not aspect or not 1 / _MOST_STRETCH <= aspect <= _MOST_STRETCH:
        return Fraction(1)
    return 1 / aspect if quarter_turns(frame) % 2 else aspect


def quarter_turns(frame: VideoFrame) -> int:
    """Number of counter-clockwise quarter turns that make the coded picture upright, from its display matrix."""
    return round(frame.rotation / 90) % 4


def fields_of(frame: VideoFrame) -> Fields:
    """Field order of a frame, as marked by the decoder."""
    if not frame.interlaced_frame:
        return "progressive"
    is_top_first = _filtered(frame, [("select", "eq(interlace_type,TOPFIRST)")]) is not None
    return "top first" if is_top_first else "bottom first"


def to_picture(frame: VideoFrame) -> Picture:
    """Convert a decoded frame to an upright picture with all its bits and its alpha."""
    alpha = _has_alpha(frame.format)
    if _depth(frame.format) > 8:
        return _upright(frame, "rgba64le" if alpha else "rgb48le")
    return _upright(frame, "rgba" if alpha else "rgb24")


def to_image(frame: VideoFrame, aspect: Fraction) -> NDArray[np.uint8]:
    """Convert a decoded frame to an upright image for analysis: uint8 (H, W, 3) RGB, with square pixels.

    Args:
        frame: The decoded frame.
        aspect: Width of a pixel divided by its height, in the upright frame.
    """
    image = _upright(frame, "rgb24")
    return resize(image, true_size(image.shape[1], image.shape[0], aspect))


def to_frame(picture: Picture) -> VideoFrame:
    """Convert a picture to an RGB frame for encoding."""
    pixels = {(1, 3): "rgb24", (1, 4): "rgba", (2, 3): "rgb48le", (2, 4): "rgba64le"}
    return VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=pixels[picture.itemsize, picture.shape[2]])


def is_plain(frame: VideoFrame, aspect: Fraction) -> bool:
    """Whether :func:`to_picture` and :func:`to_image` return the same for a frame."""
    size = frame.width, frame.height
    return not _has_alpha(frame.format) and _depth(frame.format) <= 8 and true_size(*size, aspect) == size


def true_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Width and height of a picture with square pixels, of which neither is smaller than in the stored picture."""
    if abs(aspect - 1) < _LEAST_STRETCH:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def resize(picture: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Resize a picture (h, w, C) to (width, height); resizing it back restores it except for rounding."""
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4)


def with_change(picture: Picture, old: NDArray[np.uint8], new: NDArray[np.uint8]) -> Picture:
    """Apply to a stored picture the changes that were made in its image for analysis.

    Args:
        picture: The stored picture, see :func:`to_picture`.
        old: Its image, see :func:`to_image`.
        new: The changed image, uint8 of the same shape.

    Returns:
        The changed picture. Unchanged pixels, and all of alpha, are bit-identical to the given picture.
    """
    if picture is old:
        return new
    change = resize(cv2.subtract(new, old, dtype=cv2.CV_16S), (picture.shape[1], picture.shape[0]))
    rows = np.flatnonzero(change.any(axis=(1, 2)))
    if not len(rows):
        return picture
    part = slice(rows[0], rows[-1] + 1)
    most = np.iinfo(picture.dtype).max
    changed = picture.copy()
    changed[part, :, :3] = (picture[part, :, :3] + change[part].astype(np.int32) * (most // 255)).clip(0, most)
    return changed


def convert_fields(frame: VideoFrame, pixels: str, options: dict[str, int], fields: Fields | None = None) -> VideoFrame:
    """Convert an interlaced frame to another pixel format, without mixing the chroma of its two fields.

    Args:
        frame: The frame.
        pixels: The new pixel format.
        options: Options of libavfilter's filter ``scale``.
        fields: Field order of the result; None means that of the frame.
    """
    settings = {"interl": 1, "flags": _ACCURATE_FLAGS, **options}
    chain = [("scale", ":".join(f"{name}={value}" for name, value in settings.items())), ("format", pixels)]
    if fields is not None:
        chain.append(("setfield", "tff" if fields == "top first" else "bff"))
    converted = _filtered(frame, chain)
    assert converted is not None, "these filters drop no frame"
    return converted


@contextmanager
def convertible() -> Iterator[None]:
    """Raise :class:`s2l_core.errors.NotAVideo` if FFmpeg cannot convert a frame within the context."""
    try:
        yield
    except FFmpegError as error:
        raise NotAVideo(
            f"A picture of the video has colours that cannot be converted: {error.strerror}.", "Export the video again."
        ) from error


def _upright(frame: VideoFrame, pixels: str) -> NDArray[Any]:
    with convertible():
        rgb = _to_rgb(frame, pixels)
    return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), quarter_turns(frame)))


def _to_rgb(frame: VideoFrame, pixels: str) -> VideoFrame:
    if frame.format.is_rgb or frame.format.has_palette:
        return _rounded(frame) if pixels == "rgb24" and _depth(frame.format) > 8 else frame.reformat(format=pixels)
    tags = ColourTags(frame.color_range, frame.colorspace).assumed(frame.width, frame.height)
    if frame.interlaced_frame and frame.format.chroma_height(4) < 4:
        tagged = {"in_color_matrix": tags.matrix, "in_range": tags.range, "out_range": FULL_RANGE}
        return convert_fields(frame, pixels, tagged)
    return frame.reformat(
        format=pixels,
        src_colorspace=tags.matrix,
        src_color_range=tags.range,
        dst_color_range=FULL_RANGE,
        interpolation=ACCURATE,
    )


def _rounded(frame: VideoFrame) -> VideoFrame:
    """Round an RGB frame to 8 bits; libswscale would truncate."""
    deep = frame.reformat(format="rgb48le").to_ndarray().astype(np.uint32)
    return VideoFrame.from_ndarray(((deep * 255 + 32767) // 65535).astype(np.uint8), format="rgb24")


def _depth(pixels: VideoFormat) -> int:
    return max(component.bits for component in pixels.components)


def _has_alpha(pixels: VideoFormat) -> bool:
    return any(component.is_alpha for component in pixels.components)


def _filtered(frame: VideoFrame, chain: list[tuple[str, str]]) -> VideoFrame | None:
    """Apply filters of libavfilter to a frame; None if they drop it."""
    graph = Graph()
    last = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    for name, settings in [*chain, ("buffersink", None)]:
        following = graph.add(name, settings)
        last.link_to(following)
        last = following
    graph.configure()
    graph.push(frame)
    try:
        filtered = graph.pull()
    except BlockingIOError:
        return None
    assert isinstance(filtered, VideoFrame)
    return filtered
