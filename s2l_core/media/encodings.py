"""What the encodings of a job mean to libav."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..jobs import Encoding, Format


@dataclass(frozen=True)
class Codec:
    """How one format is written.

    Attributes:
        suffix: Of the file's name; empty for a folder of pictures.
        container: libavformat's name of the file format.
        name: libavcodec's name of the encoder of pictures.
        pixels: Its pixel format.
        pixels_with_alpha: The same where there is alpha; empty where there cannot be.
        options: Of the encoder.
        options_with_alpha: The same where there is alpha.
        sound: libavcodec's name of the encoder of sound.
    """

    suffix: str
    container: str
    name: str
    pixels: str
    pixels_with_alpha: str = ""
    options: dict[str, str] = field(default_factory=dict)
    options_with_alpha: dict[str, str] = field(default_factory=dict)
    sound: str = ""


CODECS: dict[Format, Codec] = {
    # 4:2:0 is what every player decodes: 4:4:4 H.264 does not play in browsers, on phones or in QuickTime.
    "h264": Codec(".mp4", "mp4", "libx264", "yuv420p", options={"preset": "veryfast"}, sound="aac"),
    "prores": Codec(
        ".mov",
        "mov",
        "prores_ks",
        "yuv422p10le",
        "yuva444p10le",
        options={"profile": "hq", "vendor": "apl0"},
        options_with_alpha={"profile": "4444", "vendor": "apl0"},
        sound="pcm_s16le",
    ),
    # RGB as it was decoded: nothing is lost, not even to chroma that is stored at half its size.
    "ffv1": Codec(
        ".mkv",
        "matroska",
        "ffv1",
        "bgr0",
        "bgra",
        options={"level": "3", "slicecrc": "1"},
        options_with_alpha={"level": "3", "slicecrc": "1"},
        sound="flac",
    ),
    "png": Codec("", "", "png", "rgb24", "rgba"),
    "exr": Codec(
        "",
        "",
        "exr",
        "gbrpf32le",
        "gbrapf32le",
        options={"format": "half", "compression": "zip16"},
        options_with_alpha={"format": "half", "compression": "zip16"},
    ),
}


def codec_of(encoding: Encoding) -> Codec:
    """How an encoding is written."""
    return CODECS[encoding.format]


def is_folder(encoding: Encoding) -> bool:
    """Whether the result is a folder of pictures."""
    return not codec_of(encoding).suffix


def has_alpha(encoding: Encoding) -> bool:
    return encoding.layer == "mouth"


def pixel_format(encoding: Encoding) -> str:
    """Libav's name of the pixel format of an encoding."""
    codec = codec_of(encoding)
    return codec.pixels_with_alpha if has_alpha(encoding) else codec.pixels


def encoder_options(encoding: Encoding) -> dict[str, str]:
    """Options of the encoder of pictures."""
    codec = codec_of(encoding)
    options = codec.options_with_alpha if has_alpha(encoding) else codec.options
    return options | ({"crf": str(encoding.crf)} if encoding.format == "h264" else {})
