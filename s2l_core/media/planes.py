"""Pictures that stay in YUV as they were decoded, of which only rectangles are converted to RGB and back.

Converting a whole picture takes longer than decoding it, and rounds pixels that nobody changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from ..geometry.camera import Rectangle
from .raster import ACCURATE, FULL_RANGE, ColourTags, Picture, convertible, quarter_turns, to_frame

MARGIN = 8
"""Pixels around a rectangle that determine its colours: chroma has half the resolution, and is interpolated."""

_FORMATS = ("yuv420p", "yuvj420p")  # the latter is an old name of the former with full range
_SIZES = 8
"""Number of sizes of rectangles whose conversions are kept prepared."""

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """A rectangle of an image.

    Attributes:
        pixels: uint8 (height, width, 3) RGB.
        box: The rectangle, within the image.
        size: Width and height of the whole image.
    """

    pixels: NDArray[np.uint8]
    box: Rectangle
    size: tuple[int, int]

    @classmethod
    def of(cls, image: NDArray[np.uint8], box: Rectangle | None = None) -> Part:
        """A rectangle of an image (H, W, 3), or all of it."""
        height, width = image.shape[:2]
        box = box or Rectangle(0, 0, width, height)
        return cls(image[box.top : box.top + box.height, box.left : box.left + box.width], box, (width, height))

    def contains(self, box: Rectangle) -> bool:
        """Whether a rectangle of the image lies in this one."""
        mine = self.box
        inside = mine.left <= box.left and box.left + box.width <= mine.left + mine.width
        return inside and mine.top <= box.top and box.top + box.height <= mine.top + mine.height

    def part(self, box: Rectangle) -> Part:
        """A rectangle of the image that lies in this one."""
        left, top = box.left - self.box.left, box.top - self.box.top
        return Part(self.pixels[top : top + box.height, left : left + box.width], box, self.size)

    def within(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of an image (H, W, 3) with these pixels in the rectangle."""
        image, box = image.copy(), self.box
        image[box.top : box.top + box.height, box.left : box.left + box.width] = self.pixels
        return image


class Converter:
    """Converts rectangles of the frames of one stream, with the same result as converting whole frames.

    What libswscale prepares for a size is kept for the next rectangle of that size.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._to_rgb: OrderedDict[tuple[int, int], tuple[VideoFrame, VideoReformatter]] = OrderedDict()
        self._to_yuv: OrderedDict[tuple[int, int], VideoReformatter] = OrderedDict()

    def to_rgb(self, frame: VideoFrame, tags: ColourTags, box: Rectangle) -> NDArray[np.uint8]:
        """RGB (height, width, 3) of a rectangle with even position and size, exact up to 3 pixels from its border,
        except at the border of the frame.
        """
        with self._lock:
            whole = (box.width, box.height) == (frame.width, frame.height)
            # The template has properties of the stream that PyAV cannot set, such as the position of chroma samples.
            template, reformatter = _kept(
                self._to_rgb,
                (box.width, box.height),
                lambda: (
                    frame.reformat(width=box.width, height=box.height, interpolation=Interpolation.POINT),
                    VideoReformatter(),
                ),
            )
            if not whole:
                for target, source, (rows, columns) in zip(
                    planes_of(template), planes_of(frame), _slices(box), strict=True
                ):
                    target[:] = source[rows, columns]
            with convertible():
                rgb = reformatter.reformat(
                    frame if whole else template,
                    format="rgb24",
                    src_colorspace=tags.matrix,
                    src_color_range=tags.range,
                    dst_color_range=FULL_RANGE,
                    interpolation=ACCURATE,
                    threads=1,
                )
            return np.asarray(rgb.to_ndarray(), np.uint8)

    def to_yuv(self, pixels: NDArray[np.uint8], tags: ColourTags) -> list[NDArray[np.uint8]]:
        """Planes of RGB pixels (height, width, 3) of even size, exact up to 4 pixels from their border, except at the
        border of the frame.
        """
        with self._lock:
            height, width = pixels.shape[:2]
            yuv = _kept(self._to_yuv, (width, height), VideoReformatter).reformat(
                to_frame(pixels),
                format="yuv420p",
                src_color_range=FULL_RANGE,
                dst_colorspace=tags.matrix,
                dst_color_range=tags.range,
                interpolation=ACCURATE,
                threads=1,
            )
            return [plane.copy() for plane in planes_of(yuv)]


@dataclass(frozen=True)
class Planes:
    """A picture in 8-bit YUV with 4:2:0 subsampling: progressive, upright and of even size, with square pixels.

    Attributes:
        frame: The picture, which must not be changed, because the decoder may still refer to it.
        tags: Its range and matrix.
        converter: The converter of its stream.
    """

    frame: VideoFrame
    tags: ColourTags
    converter: Converter

    @classmethod
    def of(cls, decoded: VideoFrame, converter: Converter) -> Planes | None:
        """The planes of a decoded frame with square pixels; None if it is stored in another way."""
        width, height = decoded.width, decoded.height
        ordinary = decoded.format.name in _FORMATS and not decoded.interlaced_frame and not quarter_turns(decoded)
        if not ordinary or width % 2 or height % 2:
            return None
        return cls(decoded, ColourTags(decoded.color_range, decoded.colorspace).assumed(width, height), converter)

    @property
    def image(self) -> NDArray[np.uint8]:
        """The whole picture in RGB, as :func:`s2l_core.media.raster.to_image` gives it. That takes a third longer, and
        starts threads, because it prepares the conversion of each frame anew.
        """
        return self.converter.to_rgb(self.frame, self.tags, Rectangle(0, 0, self.frame.width, self.frame.height))

    def part(self, box: Rectangle) -> Part:
        """A rectangle of the picture in RGB, with the values that :func:`s2l_core.media.raster.to_image` gives."""
        width, height = self.frame.width, self.frame.height
        wide = evenly_around(box, width, height)
        pixels = self.converter.to_rgb(self.frame, self.tags, wide)
        left, top = box.left - wide.left, box.top - wide.top
        return Part(pixels[top : top + box.height, left : left + box.width], box, (width, height))

    def with_part(self, part: Part, changed: NDArray[np.bool_]) -> Planes:
        """The picture with changed pixels.

        Args:
            part: A rectangle with even position and size of the picture, with unchanged pixels up to a distance of
                :data:`MARGIN` from the changed ones, or up to the border of the picture.
            changed: bool (height, width) pixels that are changed. Code values of luma are changed there, those of
                chroma where all four pixels are; all others stay the same.
        """
        copy = self.copied()
        luma, *chroma = self.converter.to_yuv(part.pixels, self.tags)
        targets = [plane[rows] for plane, rows in zip(planes_of(copy), _slices(part.box), strict=True)]
        np.copyto(targets[0], luma, where=changed)
        whole = changed[::2, ::2] & changed[1::2, ::2] & changed[::2, 1::2] & changed[1::2, 1::2]
        for target, new in zip(targets[1:], chroma, strict=True):
            np.copyto(target, new, where=whole)
        return Planes(copy, self.tags, self.converter)

    def copied(self) -> VideoFrame:
        """A frame with the same planes, but without the decoder's notes, such as the type of the frame."""
        copy = VideoFrame(self.frame.width, self.frame.height, "yuv420p")
        for target, source in zip(planes_of(copy), planes_of(self.frame), strict=True):
            target[:] = source
        return copy

    def to_image(self) -> NDArray[np.uint8]:
        """The whole picture in RGB (H, W, 3)."""
        return self.part(Rectangle(0, 0, self.frame.width, self.frame.height)).pixels


def in_rgb(picture: Picture | Planes) -> Picture:
    """A picture in RGB."""
    return picture.to_image() if isinstance(picture, Planes) else picture


def evenly_around(box: Rectangle, width: int, height: int) -> Rectangle:
    """The rectangle with even position and size that contains the pixels up to :data:`MARGIN` around another one,
    within a picture of even size.
    """
    left, top = (max(0, first - MARGIN) // 2 * 2 for first in (box.left, box.top))
    right = min(width, -(-(box.left + box.width + MARGIN) // 2) * 2)
    bottom = min(height, -(-(box.top + box.height + MARGIN) // 2) * 2)
    return Rectangle(left, top, right - left, bottom - top)


def planes_of(frame: VideoFrame) -> list[NDArray[np.uint8]]:
    """The planes of an 8-bit YUV frame, uint8 (rows, columns) each, which share its memory."""
    return [
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]  # type: ignore[call-overload]
        for plane in frame.planes
    ]


def _slices(box: Rectangle) -> list[tuple[slice, slice]]:
    """Rows and columns of a rectangle with even position and size in the three planes."""
    luma = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    rows, columns = (slice(each.start // 2, each.stop // 2) for each in luma)
    return [luma, (rows, columns), (rows, columns)]


def _kept(kept: OrderedDict[tuple[int, int], T], size: tuple[int, int], make: Callable[[], T]) -> T:
    """What is kept for a size, or is made for it in place of what was not used for longest."""
    if size not in kept:
        kept[size] = make()
        if len(kept) > _SIZES:
            kept.popitem(last=False)
    kept.move_to_end(size)
    return kept[size]
