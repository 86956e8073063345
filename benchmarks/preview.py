"""Time that Preview Frame takes in Blender, from pressing the button to the picture; see ``docs/dubbing.md``."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import build

DEMO = build.ROOT / "demo"
FRAMES = (30, 60, 90, 120, 150, 180, 210)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="build.py bench preview", description=__doc__)
    parser.add_argument("speaker", type=Path, help="the speaker's .s2l file")
    parser.add_argument("--footage", type=Path, default=DEMO / "speaker.mp4", help="video of that speaker")
    parser.add_argument("--voice", type=Path, default=DEMO / "line.flac", help="the words to say")
    options = parser.parse_args(arguments)
    if build.zip_extension([]) != 0:
        return 1
    (extension,) = build.DIST.glob("*.zip")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BLENDER_USER_RESOURCES"] = os.environ["XDG_CACHE_HOME"] = folder  # an empty cache
        os.environ["S2L_WORKER_PYTHON"] = sys.executable
        measured = measure(extension, options.speaker.resolve(), options.footage, options.voice, folder)
    table = Table("preview", "seconds, median", "seconds, most")
    for name, seconds in measured.items():
        table.add_row(name, f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}")
    Console().print(table)
    return 0


def measure(extension: Path, speaker: Path, footage: Path, voice: Path, folder: str) -> dict[str, list[float]]:
    """Seconds of each press, by the state before it."""
    from demo.in_blender import install  # imported late, since Blender reads the user folder on import

    install(extension)
    import bpy

    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 25, 1.0
    strips = scene.sequence_editor_create().strips
    movie, line = strips.new_movie("Interview", str(footage), 2, 1), strips.new_sound("Line", str(voice), 1, 1)
    scene.s2l.footage_strip, scene.s2l.dub.sound_strip = movie.name, line.name
    scene.s2l.dub.speaker_path, scene.s2l.dub.folder = str(speaker), folder

    def press(frame: int) -> float:
        scene.frame_set(frame)
        begun = time.monotonic()
        bpy.ops.s2l.preview_frame()
        return time.monotonic() - begun

    measured = {"first, starts the engine": [press(FRAMES[0])]}
    measured["warm, new footage"] = [press(frame) for frame in FRAMES[1:]]
    bpy.ops.s2l.dub_strip()
    measured["warm, dubbed footage"] = [press(frame) for frame in FRAMES]
    return measured


if __name__ == "__main__":
    sys.exit(main())
