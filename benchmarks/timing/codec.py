"""The codec alone: decoding a clip, and encoding the same pictures as a dub does, with nothing in between. No dub can
be faster on the same cores.
"""

from __future__ import annotations

import math
from pathlib import Path

from av.video.frame import PictureType
from av.video.stream import VideoStream

from s2l_core.errors import NotAVideo
from s2l_core.jobs import Encoding, Media
from s2l_core.media.container import decode_video, find_video, open_container
from s2l_core.media.encodings import codec_of, encoder_options, pixel_format
from s2l_core.media.video import probe
from s2l_core.media.writing import open_output

_ENCODING = Encoding()


def transcode(media: Media, target: str) -> int:
    """Write the pictures of a clip with the default encoding, without converting them. Returns their number.

    Args:
        media: The clip, from its beginning.
        target: The file to write.
    """
    info, count = probe(media), 0
    most = math.inf if media.end is None else round(media.end * info.rate)
    with open_container(media.path, NotAVideo) as container, Path(target).open("w+b") as file:
        stream = find_video(container)
        assert stream is not None
        with open_output(file, _ENCODING, info.rate, "") as output:
            encoder = output.add_stream(codec_of(_ENCODING).name, rate=info.rate)
            assert isinstance(encoder, VideoStream)
            encoder.width, encoder.height, encoder.pix_fmt = info.width, info.height, pixel_format(_ENCODING)
            encoder.codec_context.options = encoder_options(_ENCODING)
            encoder.codec_context.time_base = encoder.time_base = 1 / info.rate
            for frame in decode_video(container, stream):
                if count == most:
                    break
                frame.pts, frame.time_base, frame.pict_type = count, 1 / info.rate, PictureType.NONE
                output.mux(encoder.encode(frame))
                count += 1
            output.mux(encoder.encode(None))
    return count
