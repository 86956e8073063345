"""Run by the worker's Python: write movies whose sound and pictures begin at different times, or with several tracks.

Arguments: a folder. Each second of the container's clock holds one burst of a tone, of 400 Hz and 200 more each second.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 48_000
SECONDS = 6
BLOCK = 1024


@dataclass(frozen=True)
class Layout:
    """Seconds at which pictures and sound begin, and how loud each sound track is."""

    picture: float = 0.0
    sound: float = 0.0
    codec: str = "pcm_s16le"
    loudness: tuple[float, ...] = (0.7,)
    form: str | None = None


MOVIES = {
    "both.mkv": Layout(),
    "late_sound.mkv": Layout(sound=0.5),
    "late_pictures.mkv": Layout(picture=0.48),
    "late_sound.mov": Layout(sound=0.5),
    "late_pictures.mp4": Layout(picture=0.48, codec="aac"),
    "late_sound.ts": Layout(sound=0.5, codec="mp2"),
    "both.ts": Layout(codec="mp2"),
    "both.avi": Layout(),
    "silent_first.mkv": Layout(loudness=(0.0, 0.7)),
    "quiet_first.mkv": Layout(loudness=(0.3, 0.7)),
}


def bursts() -> np.ndarray:
    time = np.arange(SECONDS * RATE) / RATE
    second = np.floor(time)
    is_on = (time - second >= 0.2) & (time - second < 0.25)
    return np.where(is_on, np.sin(2 * np.pi * (400 + 200 * second) * time), 0.0)


def write(path: Path, layout: Layout) -> None:
    samples = bursts()[round(layout.sound * RATE) :]
    with av.open(str(path), "w", format=layout.form) as container:
        codec = "mpeg4" if path.suffix == ".avi" else "libx264"
        pictures = container.add_stream(codec, rate=25, options={"bf": "2"})
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        tracks = [container.add_stream(layout.codec, rate=RATE, layout="mono") for _ in layout.loudness]
        for number, track in enumerate(tracks):
            track.disposition = 1 if number == len(tracks) - 1 else 0
        shown, heard = round(layout.picture * 25), 0
        while shown < SECONDS * 25 or heard < len(samples):
            if (shown < SECONDS * 25 and shown / 25 <= layout.sound + heard / RATE) or heard >= len(samples):
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), shown, np.uint8), format="rgb24")
                frame.pts, frame.time_base, shown = shown, Fraction(1, 25), shown + 1
                container.mux(pictures.encode(frame))
                continue
            for track, loudness in zip(tracks, layout.loudness, strict=True):
                block = np.round(samples[None, heard : heard + BLOCK] * loudness * 32767).astype(np.int16)
                sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="s16", layout="mono")
                sound.sample_rate, sound.time_base = RATE, Fraction(1, RATE)
                sound.pts = round(layout.sound * RATE) + heard
                converter = av.AudioResampler(track.codec_context.format.name, "mono", RATE)
                for converted in converter.resample(sound):
                    container.mux(track.encode(converted))
            heard += BLOCK
        for stream in (pictures, *tracks):
            container.mux(stream.encode(None))


if __name__ == "__main__":
    for name, layout in MOVIES.items():
        write(Path(sys.argv[1]) / name, layout)
