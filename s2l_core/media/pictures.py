"""Writing sequences of pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from ..credentials.claim import Claim
from ..credentials.signing import Signature
from ..errors import CannotWrite
from ..files import write_whole
from ..jobs import Encoding
from . import srgb
from .encodings import encoder_options, pixel_format
from .raster import Picture, Raster, to_frame

_DIGITS = 6


def picture_name(number: int, encoding: Encoding) -> str:
    """File name of a picture; numbers start at 1."""
    return f"{number:0{_DIGITS}}.{encoding.format}"


def write_picture(
    path: Path, picture: Picture, encoding: Encoding, aspect: Fraction = Fraction(1), claim: Claim | None = None
) -> str:
    """Encode a picture, see :func:`encode_picture`, sign it, and write it.

    Args:
        path: The file.
        picture: See :func:`encode_picture`.
        encoding: See :func:`encode_picture`.
        aspect: See :func:`encode_picture`.
        claim: What the content credentials of the picture say; None for a picture without any.

    Returns:
        A sentence: how the picture is signed, or why it is not.

    Raises:
        SigningKeyUnusable, SigningFailed: The picture cannot be signed.
        CannotWrite, DiskFull: See :func:`s2l_core.files.write_whole`.
    """
    signature = Signature(path, claim)
    write_whole(str(path), signature.of_bytes(encode_picture(picture, encoding, aspect)), lasting=False)
    return signature.sentence


def encode_picture(picture: Picture, encoding: Encoding, aspect: Fraction = Fraction(1)) -> bytes:
    """Content of a PNG file with the bit depth of the picture, or of an OpenEXR file with half floats.

    Args:
        picture: The picture. For EXR it is made scene-linear and multiplied by its alpha, as is usual in that format.
        encoding: PNG or EXR.
        aspect: Width of a pixel divided by its height.

    Raises:
        CannotWrite: Libav cannot encode it.
    """
    height, width, channels = picture.shape
    raster = Raster(aspect, depth=8 * picture.itemsize, has_alpha=channels == 4)
    pixels = pixel_format(encoding, raster)
    if encoding.format == "exr":
        planes = np.moveaxis(_linear(picture), -1, 0)[[1, 2, 0, 3][:channels]]
        frame = VideoFrame(width, height, pixels)
        for plane, values in zip(frame.planes, planes, strict=True):
            rows = np.zeros((height, plane.line_size // 4), np.float32)
            rows[:, :width] = values
            plane.update(rows.tobytes())
    else:
        frame = to_frame(picture).reformat(format=pixels)
    return _encode(frame, encoding, raster)


def _encode(frame: VideoFrame, encoding: Encoding, raster: Raster) -> bytes:
    context = CodecContext.create(encoding.format, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    context.time_base, context.options = Fraction(1, 25), encoder_options(encoding, raster)
    if raster.aspect != 1:
        context.sample_aspect_ratio = raster.aspect
    frame.pts = 0
    try:
        return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
    except av.FFmpegError as error:
        raise CannotWrite(f"A picture cannot be encoded as {encoding.format.upper()}: {error}.") from error


def _linear(picture: Picture) -> NDArray[np.float32]:
    """Convert sRGB code values to scene-linear float32, multiplied by alpha if there is any."""
    values = picture.astype(np.float32) / np.float32(np.iinfo(picture.dtype).max)
    colour = np.asarray(srgb.to_linear(values[..., :3]), np.float32)
    if picture.shape[2] == 3:
        return colour
    alpha = values[..., 3:]
    return np.concatenate([colour * alpha, alpha], axis=-1)
