"""Render a performance to frames and join them with the sound."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from PIL import Image

from .camera import Window
from .performance import Performance
from .scene import Pose, Stage
from .voice import RATE


def render(stage: Stage, performance: Performance, folder: Path, windows: Sequence[Window] | None = None) -> list[Path]:
    """Render the frames, or what is in the window of each, that ``folder`` does not hold yet; the paths of all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{frame:05d}.png" for frame in range(len(performance))]
    missing = [frame for frame, path in enumerate(paths) if not path.exists()]
    started = time.monotonic()
    for done, frame in enumerate(missing, start=1):
        stage.render_frame(
            performance.expression(frame),
            Pose(performance.poses[frame], performance.shoulder_poses[frame]),
            paths[frame],
            performance.gaze[frame],
            None if windows is None else windows[frame],
        )
        pace = (time.monotonic() - started) / done
        left = pace * (len(missing) - done)
        print(f"frame {done} of {len(missing)}, {pace:.2f} s each, {left / 60:.0f} min left", flush=True)
    return paths


def pictures(paths: Iterable[Path]) -> Iterator[np.ndarray]:
    """The pictures uint8 (H, W, 3) in some files."""
    for path in paths:
        with Image.open(path) as image:
            yield np.asarray(image.convert("RGB"))


def mux(
    frames: Iterable[np.ndarray], path: Path, rate: Fraction, samples: np.ndarray | None = None, crf: int = 19
) -> None:
    """H.264 and AAC in MP4: the frames uint8 (H, W, 3) from time 0 and the sound (n,), if any, beside them."""
    unfinished = path.with_name(f"unfinished_{path.name}")
    with av.open(str(unfinished), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "slow"})
        video.pix_fmt = "yuv420p"
        video.codec_context.color_primaries = video.codec_context.color_trc = video.codec_context.colorspace = 1
        video.codec_context.color_range = 1
        sound = None if samples is None else _add_sound(container)
        count = 0
        for count, picture in enumerate(frames, start=1):
            if count == 1:
                video.height, video.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
            frame.pts, frame.time_base = count - 1, 1 / rate
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if samples is not None and sound is not None:
            _encode_sound(container, sound, samples[: round(count / rate * RATE)])
    unfinished.rename(path)


def _add_sound(container: OutputContainer) -> AudioStream:
    sound = container.add_stream("aac", rate=RATE, layout="mono")
    sound.bit_rate = 128_000
    return sound


def _encode_sound(container: OutputContainer, sound: AudioStream, samples: np.ndarray) -> None:
    for start in range(0, len(samples), 1024):
        block = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = RATE, start, Fraction(1, RATE)
        container.mux(sound.encode(block))
    container.mux(sound.encode(None))
