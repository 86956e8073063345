"""Run by the worker's Python: write movies whose clocks begin anywhere, with the number of each frame burnt in.

Arguments: a folder. Each movie is 64x64 pixels, 25 frames per second, about 100 frames; see ``make_counter.py``.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from make_counter import picture

FRAMES = 100
SPAN = 1.64
RATE = 25
H264 = {"crf": "4", "g": "40", "bf": "3"}
OPEN_H264 = {"crf": "4", "x264-params": "open-gop=1:keyint=20:min-keyint=20:bframes=3:b-adapt=0:scenecut=0"}
OPEN_HEVC = {"crf": "4", "x265-params": "log-level=none:open-gop=1:keyint=20:bframes=4"}
MPEG2 = {"g": "12", "bf": "2", "b": "4M"}
MPEG4 = {"bf": "2", "b": "4M"}
VARIED = [Fraction(k, 25) + Fraction(37 * k % 23, 1000) + Fraction(k > 60, 2) for k in range(FRAMES)]
STEADY = [Fraction(k, RATE) for k in range(FRAMES)]
LATE = [time + Fraction(1, 2) for time in STEADY]


def write(path: Path, codec: str, options: dict[str, str], times: list[Fraction] = STEADY, **muxer: str) -> None:
    form = muxer.pop("form", None)
    with av.open(str(path), "w", format=form, options=muxer) as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
        base = Fraction(1, RATE) if times is STEADY else Fraction(1, 12_800)
        stream.time_base = stream.codec_context.time_base = base
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture(number)), format="rgb24")
            frame.pts, frame.time_base = round(time / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def cut(source: Path, path: Path, packet: int = 188) -> None:
    """A stream as recorded from the middle: without its first fifth, which ends inside a group of pictures."""
    data = source.read_bytes()
    path.write_bytes(data[packet * (len(data) // packet // 5) :])


def copy_from(source: Path, path: Path, first: int, zero: int) -> None:
    """Packets from key frame ``first`` on, with frame ``zero`` at time 0, as ``ffmpeg -ss`` copies them: what comes
    before is left to an edit list, or to negative times.
    """
    with av.open(str(source)) as old, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as new:
        stream = old.streams.video[0]
        copied = new.add_stream_from_template(stream)
        tick = round(1 / (RATE * stream.time_base))
        packets = [packet for packet in old.demux(stream) if packet.pts is not None]
        begin = next(n for n, packet in enumerate(packets) if packet.is_keyframe and packet.pts >= first * tick)
        for packet in packets[begin:]:
            packet.pts, packet.dts, packet.stream = packet.pts - zero * tick, packet.dts - zero * tick, copied
            new.mux(packet)


def write_all(folder: Path) -> None:
    rows: dict[str, tuple[Any, ...]] = {
        "h264.mp4": ("libx264", H264),
        "h264.mov": ("libx264", H264),
        "h264.mkv": ("libx264", H264),
        "h264.avi": ("libx264", H264),
        "h264.flv": ("libx264", H264),
        "h264.ts": ("libx264", H264),
        "open.mp4": ("libx264", OPEN_H264),
        "open.ts": ("libx264", OPEN_H264),
        "hevc.ts": ("libx265", OPEN_HEVC),
        "hevc.mkv": ("libx265", OPEN_HEVC),
        "mpeg4.avi": ("mpeg4", MPEG4),
        "mpeg4.mp4": ("mpeg4", MPEG4),
        "mpeg2.mpg": ("mpeg2video", MPEG2),
        "mpeg2.ts": ("mpeg2video", MPEG2),
        "mpeg2.mxf": ("mpeg2video", MPEG2),
        "vp9.webm": ("libvpx-vp9", {"crf": "4", "b": "0", "cpu-used": "8"}),
        "prores.mov": ("prores_ks", {}),
        "ffv1.mkv": ("ffv1", {}),
        "late.mp4": ("libx264", H264, LATE),
        "late.mkv": ("libx264", H264, LATE),
        "late.ts": ("libx264", H264, LATE),
        "varied.mp4": ("libx264", H264, VARIED),
        "varied.mkv": ("libx264", H264, VARIED),
    }
    for name, row in rows.items():
        write(folder / name, *row)
    write(folder / "h264.m2ts", "libx264", H264, form="mpegts", mpegts_m2ts_mode="1")
    write(folder / "without_edits.mp4", "libx264", H264, use_editlist="0")
    write(folder / "fragments.mp4", "libx264", H264, movflags="frag_keyframe+empty_moov")
    for name, packet in {"h264.ts": 188, "hevc.ts": 188, "mpeg2.ts": 188, "h264.m2ts": 192, "mpeg2.mpg": 2048}.items():
        cut(folder / name, folder / f"cut_{name}", packet)
    for name in ("edited.mp4", "edited.mov", "negative.mkv"):
        copy_from(folder / "h264.mp4", folder / name, 40, 47)
    copy_from(folder / "h264.mp4", folder / "empty_edit.mp4", 40, 30)
    copy_from(folder / "open.mp4", folder / "without_leading.mkv", 40, 40)


def numbers_of(path: Path) -> dict[str, list[float]]:
    """When the frames of a movie begin, as the library reads them, and their numbers; those from second SPAN on too."""
    from s2l_core.jobs import Media
    from s2l_core.media.video import Frame, probe, read_frames, slack

    def number(frame: Frame) -> int:
        return sum(1 << bit for bit, is_set in enumerate(frame.image[32, 4::8, 1] > 127) if is_set)

    frames = list(read_frames(Media(str(path))))
    return {
        "times": [frame.time for frame in frames],
        "numbers": [number(frame) for frame in frames],
        "slack": [slack(probe(str(path)).tick)],
        "span": [number(frame) for frame in read_frames(Media(str(path), SPAN))],
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write_all(folder)
    read = {path.name: numbers_of(path) for path in sorted(folder.iterdir())}
    (folder / "read.json").write_text(json.dumps(read))
