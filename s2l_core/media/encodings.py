"""Parameters of libav for the encodings of a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..errors import BadJob
from ..jobs import Encoding, Format
from .raster import ORDINARY, Raster


@dataclass(frozen=True)
class Codec:
    """Parameters of libav for a format.

    Attributes:
        container: libavformat's name of the file format; empty for a folder of pictures.
        name: libavcodec's name of the encoder of pictures.
        pixels: Pixel format.
        alpha: Pixel format with alpha; empty if alpha is not supported.
        deep: Pixel format for more than 8 bits; empty if it is the same as ``pixels``.
        deep_alpha: Pixel format for more than 8 bits with alpha; empty if it is the same as ``alpha``.
        full_chroma: Pixel format for chroma at full resolution without alpha; empty if it is the same as ``pixels``.
        options: Options of the encoder.
        options_of_444: Options of the encoder for pixel formats with full chroma.
        sound: libavcodec's name of the encoder of sound.
    """

    container: str
    name: str
    pixels: str
    alpha: str = ""
    deep: str = ""
    deep_alpha: str = ""
    full_chroma: str = ""
    options: dict[str, str] = field(default_factory=dict)
    options_of_444: dict[str, str] = field(default_factory=dict)
    sound: str = ""


CODECS: dict[Format, Codec] = {
    # Every player decodes 8 bits with 4:2:0; browsers, phones and QuickTime play no other H.264.
    "h264": Codec("mp4", "libx264", "yuv420p", options={"preset": "veryfast"}, sound="aac"),
    "prores": Codec(
        "mov",
        "prores_ks",
        "yuv422p10le",
        alpha="yuva444p10le",
        full_chroma="yuv444p10le",
        options={"profile": "hq", "vendor": "apl0"},
        options_of_444={"profile": "4444", "vendor": "apl0"},
        sound="pcm_s16le",
    ),
    # RGB as decoded: nothing is lost, not even through chroma subsampling.
    "ffv1": Codec(
        "matroska",
        "ffv1",
        "bgr0",
        alpha="bgra",
        deep="gbrp16le",
        deep_alpha="gbrap16le",
        options={"level": "3", "slicecrc": "1"},
        sound="flac",
    ),
    "png": Codec("", "png", "rgb24", alpha="rgba", deep="rgb48be", deep_alpha="rgba64be"),
    "exr": Codec("", "exr", "gbrpf32le", alpha="gbrapf32le", options={"format": "half", "compression": "zip16"}),
}
_ORDERS = {"top first": "tb", "bottom first": "bt"}
"""libav's names for interleaved fields, with the first row belonging to the upper one."""


def codec_of(encoding: Encoding) -> Codec:
    """Parameters of libav for an encoding."""
    return CODECS[encoding.format]


def is_folder(encoding: Encoding) -> bool:
    """Whether the result is a folder of pictures."""
    return not encoding.suffix


def has_alpha(encoding: Encoding, raster: Raster = ORDINARY) -> bool:
    """Whether pictures are written with alpha."""
    return encoding.layer == "mouth" or raster.has_alpha


def pixel_format(encoding: Encoding, raster: Raster = ORDINARY) -> str:
    """Name of the pixel format in which pictures of a source are written."""
    codec = codec_of(encoding)
    if has_alpha(encoding, raster):
        return (raster.is_deep and codec.deep_alpha) or codec.alpha
    return (raster.has_full_chroma and codec.full_chroma) or (raster.is_deep and codec.deep) or codec.pixels


def stores_planes(encoding: Encoding) -> bool:
    """Whether whole pictures are written in 8-bit YUV with 4:2:0 subsampling, see
    :class:`s2l_core.media.planes.Planes`.
    """
    return codec_of(encoding).pixels == "yuv420p" and not has_alpha(encoding)


def encoder_options(encoding: Encoding, raster: Raster = ORDINARY) -> dict[str, str]:
    """Options of the video encoder."""
    codec = codec_of(encoding)
    options = codec.options_of_444 if "444" in pixel_format(encoding, raster) else codec.options
    if encoding.format == "h264":
        options = options | {"crf": str(encoding.crf)} | _repeatable()
    if raster.fields != "progressive":
        options = options | {"flags": "+ildct+ilme", "field_order": _ORDERS[raster.fields]}
    return options


def refuse_other_name(encoding: Encoding, path: str) -> None:
    """Raise :class:`BadJob` if the name of a result does not end as those of its format do."""
    if encoding.suffix and Path(path).suffix.lower() != encoding.suffix:
        raise BadJob(
            f"{path} does not end in {encoding.suffix}.",
            f"The format {encoding.format} is written to {encoding.suffix} files.",
        )


def refuse_loss(encoding: Encoding, path: str, raster: Raster) -> None:
    """Raise an error if a format cannot store the pictures of a source.

    Args:
        encoding: File format of the result.
        path: The source.
        raster: Storage format of its pictures.

    Raises:
        BadJob: The source has alpha or is interlaced, which the format does not support.
    """
    name = encoding.format.upper()
    if has_alpha(encoding, raster) and not codec_of(encoding).alpha:
        hint = "Choose ProRes, FFV1, PNG or EXR, or Mouth Overlay, which leaves the footage as it is."
        raise BadJob(f"H.264 cannot keep the alpha of {path}.", hint)
    if is_folder(encoding) and raster.fields != "progressive":
        hint = "Choose H.264, ProRes or FFV1, or deinterlace the footage first."
        raise BadJob(f"{path} is interlaced, which {name} pictures cannot store.", hint)


def _repeatable() -> dict[str, str]:
    """Options with which libx264 writes the same bytes each time.

    Its AVX-512 code for macroblock trees does not: 7 of 3000 encodings of the same 16 pictures of 64 x 48 pixels
    differed (without weighted prediction 223 of 2000), and none of 10 000 with AVX2, at the same speed. Requesting
    instructions that a processor does not have would crash libx264, so AVX2 is requested only if there is AVX-512.
    """
    return {"x264-params": "asm=avx2"} if torch.backends.cpu.get_cpu_capability() == "AVX512" else {}
