"""Decoding single pictures to the code values that Blender's sequencer shows.

OpenCV decodes the formats for which Blender uses the same libraries: libjpeg, libwebp and libtiff. Scene-linear values
are converted with the transfer curve of sRGB, like with Blender's view transform Standard.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from .. import regular_files
from ..errors import FileMissing, NotAVideo
from . import srgb
from .container import MOST_PIXELS

SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".dpx", ".webp", ".bmp", ".jp2", ".j2c"])
"""Suffixes of files that are pictures."""

_OPENCV = ""
# libavcodec's name of the decoder, by the first bytes of a file.
_DECODERS = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": _OPENCV,
    b"II*\0": _OPENCV,
    b"MM\0*": _OPENCV,
    b"RIFF": _OPENCV,
    b"v/1\x01": "exr",
    b"SDPX": "dpx",
    b"XPDS": "dpx",
    b"BM": "bmp",
    b"\0\0\0\x0cjP": "jpeg2000",
    b"\xff\x4f\xff\x51": "jpeg2000",
}
_JPEG, _EXR = b"\xff\xd8\xff", b"v/1\x01"
_JPEG_END, _TRAILER = b"\xff\xd9", 1024
_EXR_HAS_PARTS_OR_TILES = 0x1A00
_DEEP = 65535
_LARGEST_FILE = 1 << 30
_HINT = "Export the picture again, or trim the sequence to exclude it."
_FORMATS = "Supported are PNG, JPEG, TIFF, OpenEXR, DPX, WebP, BMP and JPEG 2000, up to 8192 x 8192 pixels."


def decode_picture(path: Path) -> VideoFrame:
    """Decode a picture to 8 or 16 bits per channel, RGB or RGB with straight alpha.

    Raises:
        FileMissing: There is no such file, or it must not be read.
        NotAVideo: The file is not a picture in a known format, or it is truncated.
    """
    content = read_picture(path)
    try:
        frame = _decode(content)
    except (
        av.FFmpegError,
        cv2.error,
        ValueError,
        KeyError,
    ) as error:  # KeyError: an unsupported combination of channels
        raise NotAVideo(f"The picture {path} cannot be decoded.", f"{_HINT} {_FORMATS}") from error
    if not _is_whole(content):
        raise NotAVideo(f"The picture {path} is truncated.", _HINT)
    return frame


def is_opaque(frame: VideoFrame) -> bool:
    """Whether a decoded picture has no alpha, or is opaque everywhere."""
    if len(frame.format.components) == 3:
        return True
    return bool(frame.to_ndarray()[..., 3].min() == _full_scale(frame))


def without_alpha(frame: VideoFrame) -> VideoFrame:
    """A decoded picture without its alpha channel."""
    return frame if len(frame.format.components) == 3 else _from_channels(frame.to_ndarray()[..., :3])


def read_picture(path: Path) -> bytes:
    """Content of the file of a picture.

    Raises:
        FileMissing: The file cannot be read, or is not a regular file.
        NotAVideo: The file is too large.
    """
    try:
        if not regular_files.is_file(path):
            raise FileMissing(f"There is no picture {path}.")
        if path.stat().st_size > _LARGEST_FILE:
            raise NotAVideo(f"The picture {path} is too large.", _HINT)
        return path.read_bytes()
    except OSError as error:
        raise FileMissing(f"The picture {path} cannot be read: {error.strerror}.") from error


def _decode(content: bytes) -> VideoFrame:
    beginning = (decoder for beginning, decoder in _DECODERS.items() if content.startswith(beginning))
    decoder = next(beginning, None)
    if decoder is None:
        raise ValueError("unknown format")
    if decoder is _OPENCV:
        return _decode_with_opencv(content)
    context = CodecContext.create(decoder, "r")
    assert isinstance(context, VideoCodecContext)
    context.options = {"max_pixels": str(MOST_PIXELS)}
    if decoder == "exr" and (layer := re.search(rb"([^\0]*\bCombined)\.R\0", content[: 1 << 16])):
        context.options |= {
            "layer": layer[1].decode("utf-8", "replace")
        }  # of a multilayer render: the layer that Blender shows
    frames = context.decode(av.Packet(content)) + context.decode(None)
    if not frames:
        raise ValueError("no picture")
    if decoder == "exr":
        return _from_linear(_float_planes(frames[0]))
    plain = _plain(frames[0])
    if decoder == "dpx":
        return _from_linear(np.divide(plain.to_ndarray(), _full_scale(plain), dtype=np.float32))
    return plain


def _decode_with_opencv(content: bytes) -> VideoFrame:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError("no picture")
    conversion = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    image = cv2.cvtColor(image, conversion[image.shape[2] if image.ndim == 3 else 1])
    return _from_linear(image) if image.dtype.kind == "f" else _from_channels(image)


def _plain(frame: VideoFrame) -> VideoFrame:
    """Convert a frame with any integer format to RGB, with alpha if it has any, in 8 or 16 bits."""
    has_alpha = len(frame.format.components) in (2, 4)
    is_deep = frame.format.components[0].bits > 8
    name = {(False, False): "rgb24", (True, False): "rgba", (False, True): "rgb48le", (True, True): "rgba64le"}
    return frame.reformat(format=name[has_alpha, is_deep])


def _float_planes(frame: VideoFrame) -> NDArray[np.float32]:
    """Channels (H, W, 3 or 4) of a planar frame of float16 or float32: grey, or green, blue, red and alpha."""
    kind = np.float16 if "f16" in frame.format.name else np.float32
    planes = [np.frombuffer(bytes(plane), kind).reshape(frame.height, -1)[:, : frame.width] for plane in frame.planes]
    order = (0, 0, 0) if len(planes) == 1 else (2, 0, 1, 3)[: len(planes)]
    return np.stack([planes[place] for place in order], axis=-1).astype(np.float32)


def _from_linear(channels: NDArray[Any]) -> VideoFrame:
    """Convert scene-linear float32 RGB (H, W, 3), or RGB with premultiplied alpha (H, W, 4), to a frame of 16 bits."""
    channels = np.nan_to_num(channels, nan=0.0, posinf=1.0, neginf=0.0)
    colour = channels[..., :3]
    if channels.shape[2] == 4:
        alpha = channels[..., 3:].clip(0.0, 1.0)
        colour = np.divide(colour, alpha, out=colour.copy(), where=alpha > 0.0)
    colour = np.ascontiguousarray(colour.clip(0.0, 1.0))
    colour = srgb.from_linear(colour)
    coded = colour if channels.shape[2] == 3 else np.concatenate([colour, alpha], axis=-1)
    return _from_channels((_DEEP * coded + 0.5).astype(np.uint16))


def _from_channels(image: NDArray[Any]) -> VideoFrame:
    """Make a frame of an image (H, W, 3 or 4), uint8 or uint16."""
    name = {(3, 1): "rgb24", (4, 1): "rgba", (3, 2): "rgb48le", (4, 2): "rgba64le"}
    return VideoFrame.from_ndarray(np.ascontiguousarray(image), format=name[image.shape[2], image.itemsize])


def _full_scale(frame: VideoFrame) -> int:
    return 255 if frame.format.components[0].bits == 8 else _DEEP


def _is_whole(content: bytes) -> bool:
    """Whether a file is not truncated, for formats whose decoder would accept a truncated file."""
    if content.startswith(_JPEG):
        return _JPEG_END in content[-_TRAILER:]
    try:
        return not content.startswith(_EXR) or _is_whole_exr(content)
    except (ValueError, IndexError, struct.error):
        return False


def _is_whole_exr(content: bytes) -> bool:
    """Whether all scan-line blocks in the offset table are there; files with tiles or parts are not checked."""
    if struct.unpack_from("<I", content, 4)[0] & _EXR_HAS_PARTS_OR_TILES:
        return True
    place = 8
    while content[place]:
        place = content.index(b"\0", content.index(b"\0", place) + 1) + 1  # after the attribute's name and type
        place += 4 + struct.unpack_from("<I", content, place)[0]
    place, first, last = place + 1, len(content), 0
    while place < first:  # the table ends where the first block begins
        (offset,) = struct.unpack_from("<Q", content, place)
        place, first, last = place + 8, min(first, offset), max(last, offset)
    if not 0 < first <= last <= len(content) - 8:
        return False
    (size,) = struct.unpack_from("<I", content, last + 4)
    return bool(last + 8 + size <= len(content))
