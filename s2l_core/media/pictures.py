"""Writing folders of pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from ..errors import CannotWrite
from ..files import refusal
from ..jobs import Encoding
from .encodings import encoder_options, has_alpha, pixel_format

_DIGITS = 6


def picture_name(number: int, encoding: Encoding) -> str:
    """The file name of a picture, which are counted from 1."""
    return f"{number:0{_DIGITS}}.{encoding.format}"


def write_picture(path: Path, image: np.ndarray, encoding: Encoding) -> None:
    """Write one picture as PNG, or as half floats into an OpenEXR file.

    Args:
        path: The file.
        image: uint8 (height, width, 3) RGB, or with straight alpha (height, width, 4). EXR becomes linear, and is
            multiplied by its alpha, as programs expect of it.
        encoding: PNG or EXR.

    Raises:
        CannotWrite, DiskFull: As :func:`s2l_core.files.write_whole`.
    """
    if encoding.format == "exr":
        planes = np.moveaxis(_linear(image), -1, 0)[[1, 2, 0, 3][: image.shape[2]]]
        frame = VideoFrame(image.shape[1], image.shape[0], pixel_format(encoding))
        for plane, values in zip(frame.planes, planes, strict=True):
            rows = np.zeros((image.shape[0], plane.line_size // 4), np.float32)
            rows[:, : image.shape[1]] = values
            plane.update(rows.tobytes())
    else:
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgba" if has_alpha(encoding) else "rgb24")
    try:
        path.write_bytes(_encode(frame, encoding))
    except OSError as error:
        raise refusal(path, error) from error


def _encode(frame: VideoFrame, encoding: Encoding) -> bytes:
    context = CodecContext.create(encoding.format, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    context.time_base, context.options = Fraction(1, 25), encoder_options(encoding)
    frame.pts = 0
    try:
        return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
    except av.FFmpegError as error:
        raise CannotWrite(f"A picture cannot be encoded as {encoding.format.upper()}: {error}.") from error


def _linear(image: np.ndarray) -> np.ndarray:
    """SRGB code values as scene-linear float32, multiplied by alpha where there is one."""
    values = image.astype(np.float32) / 255.0
    colour = values[..., :3]
    colour = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    if image.shape[2] == 3:
        return colour
    alpha = values[..., 3:]
    return np.concatenate([colour * alpha, alpha], axis=-1)
