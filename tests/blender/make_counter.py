"""Run by the worker's Python: write a movie of 64x64 pixels that shows the number of each frame in eight stripes.

Arguments: the path, then the time of each frame in seconds, or the rate as a fraction and the number of frames.
"""

from __future__ import annotations

import sys
from fractions import Fraction

import av
import numpy as np

STRIPES = 8


def picture(number: int) -> np.ndarray:
    """Stripes from left to right, white where the bit is set, the lowest bit first."""
    bits = [255 * (number >> bit & 1) for bit in range(STRIPES)]
    return np.broadcast_to(np.repeat(bits, 64 // STRIPES)[None, :, None], (64, 64, 3)).astype(np.uint8)


def write(path: str, times: list[Fraction], rate: Fraction) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "4", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        base = Fraction(1, 90000)
        stream.time_base = stream.codec_context.time_base = base
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture(number)), format="rgb24")
            frame.pts, frame.time_base = round(time / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    destination, *words = sys.argv[1:]
    if len(words) == 2 and "." not in words[1]:
        rate, count = Fraction(words[0]), int(words[1])
        write(destination, [number / rate for number in range(count)], rate)
    else:
        write(destination, [Fraction(word) for word in words], Fraction(25))
