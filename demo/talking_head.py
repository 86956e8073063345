"""An example of a head in the scene: the speaker of the demo talks while a camera moves around the head.

``python3 build.py head`` calls this. It takes the demo's results from ``--out`` and adds ``talking_head.blend``, its
movie ``talking_head.mp4``, and ``talking_head.png``, a contact sheet for judging it. A full Blender with the add-on
renders the same movie by ``blender -b talking_head.blend -E SPEECH2LIP -a``.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from demo.in_blender import install, render_animation, set_output, set_rate, show_frames_of
from demo.run import DEMO, fail, read_at, say
from demo.sheet import GAP, INK, MARGIN, MUTED, PAPER, WIDTH, font
from s2l_core.media.video import VideoInfo, probe

ARC = 20.0
"""Angle in degrees by which the camera moves around the head, centred on the footage's camera."""
SIDE = 512
"""Width and height of the movie in pixels."""
COLUMNS = 5
CELL = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) // COLUMNS


@dataclass(frozen=True)
class Shot:
    """A moment of the movie in seconds, and the angle of the camera around the head in degrees."""

    time: float
    degrees: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="build.py head", description="Move a camera around the head of the demo.")
    parser.add_argument("--speaker", default="speaker", metavar="NAME", help="speaker that the demo trained")
    parser.add_argument("--out", type=Path, default=DEMO.parent / "out" / "demo", metavar="DIR")
    parser.add_argument("--extension", type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    out = options.out.resolve()
    speaker, dubbed = out / f"{options.speaker}.s2l", out / f"{options.speaker}_dubbed.mp4"
    if not (speaker.is_file() and dubbed.is_file()):
        return fail(f"{out} does not hold {speaker.name} and {dubbed.name}. Run python3 build.py demo first.")
    movie = out / "talking_head.mp4"
    try:
        with tempfile.TemporaryDirectory() as user_folder:
            os.environ["BLENDER_USER_RESOURCES"] = user_folder
            shots, seconds = render_in_blender(options.extension.resolve(), speaker, probe(str(dubbed)), movie)
    except RuntimeError as error:  # reported by an operator or the engine
        return fail(str(error).removeprefix("Error: ").strip())
    draw_sheet(dubbed, movie, shots).save(out / "talking_head.png")
    print(
        f"A frame of {SIDE} x {SIDE} pixels took {seconds:.2f} s. The .blend file, its movie and a sheet are in {out}."
    )
    return 0


def render_in_blender(extension: Path, speaker: Path, footage: VideoInfo, movie: Path) -> tuple[list[Shot], float]:
    """Make the .blend file beside the movie and render it.

    Returns:
        The shots of the contact sheet, and the seconds per frame, without the first one.

    Raises:
        RuntimeError: Blender or an operator failed; the text is its message.
    """
    import bpy  # imported late, since it reads the user folder on import

    say(f"Putting the head of {footage.path} into Blender {bpy.app.version_string}")
    install(extension)
    scene = bpy.context.scene
    set_scene(scene, speaker, footage)
    set_output(scene, SIDE, SIDE, movie)
    bpy.ops.wm.save_as_mainfile(filepath=str(movie.with_suffix(".blend")))

    say("Rendering with the camera moving around the head")
    finished: list[float] = []

    def note_time(*_: Any) -> None:
        finished.append(time.monotonic())

    bpy.app.handlers.render_write.append(note_time)
    try:
        render_animation(scene)
    finally:
        bpy.app.handlers.render_write.remove(note_time)
    seconds = (finished[-1] - finished[0]) / (len(finished) - 1)
    return choose_shots(way_of_dolly(scene), footage.rate), seconds


def set_scene(scene: Any, speaker: Path, footage: VideoInfo) -> None:
    """Set up a scene with a head, a camera that moves around it, the sound, and the render engine."""
    import bpy

    set_rate(scene, footage.rate)
    for item in list(scene.objects):
        bpy.data.objects.remove(item)
    strips = scene.sequence_editor_create().strips
    strips.new_sound("Voice", footage.path, channel=1, frame_start=1)
    movie = strips.new_movie("Dubbed", footage.path, channel=2, frame_start=1)
    scene.sequence_editor.active_strip = movie
    show_frames_of(scene, movie)
    scene.s2l.dub.speaker_path = str(speaker)
    bpy.ops.s2l.create_head()
    bpy.ops.s2l.match_camera()
    put_on_dolly(scene, bpy.context.object)
    scene.render.engine = "SPEECH2LIP"
    scene.render.use_sequencer = False  # only the sound comes from the sequencer


def put_on_dolly(scene: Any, head: Any) -> None:
    """Move the scene's camera around the position of the head in the middle of the scene."""
    import bpy

    scene.frame_set((scene.frame_start + scene.frame_end) // 2)
    dolly = bpy.data.objects.new("Dolly", None)
    scene.collection.objects.link(dolly)
    dolly.location = head.matrix_world.translation
    scene.camera.parent = dolly
    scene.camera.matrix_parent_inverse.translation = -dolly.location
    for frame, side in ((scene.frame_start, -0.5), (scene.frame_end, 0.5)):
        dolly.rotation_euler.y = math.radians(side * ARC)
        dolly.keyframe_insert("rotation_euler", index=1, frame=frame)


def way_of_dolly(scene: Any) -> list[float]:
    """Angle in degrees of the camera around the head in each frame of a scene."""
    degrees = []
    for frame in range(scene.frame_start, scene.frame_end + 1):
        scene.frame_set(frame)
        degrees.append(math.degrees(scene.objects["Dolly"].rotation_euler.y))
    return degrees


def choose_shots(degrees: Sequence[float], rate: Fraction) -> list[Shot]:
    """Moments at equal steps of the camera's angle, which ascends from frame to frame."""
    chosen = np.searchsorted(degrees, np.linspace(degrees[0], degrees[-1], COLUMNS))
    return [Shot(float(index / rate), degrees[index]) for index in map(int, chosen)]


def draw_sheet(dubbed: Path, movie: Path, shots: Sequence[Shot]) -> Image.Image:
    """A contact sheet: frames of the dubbed movie, and below them those that the engine rendered."""
    rows = {"dubbed": dubbed, "rendered": movie}
    top = MARGIN + 120
    sheet = Image.new("RGB", (WIDTH, top + len(rows) * (CELL + 44) + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), "A camera moves around the talking head", INK, font(44))
    note = (
        f"Frames of the dubbed movie, and what the engine Speech2Lip made of them for a camera on an arc of {ARC:.0f}°."
    )
    draw.text((MARGIN, MARGIN + 68), note, MUTED, font(21))
    for row, (label, path) in enumerate(rows.items()):
        y = top + row * (CELL + 44)
        pictures = read_at(path, np.array([shot.time for shot in shots]))
        for column, (shot, picture) in enumerate(zip(shots, pictures, strict=True)):
            x = MARGIN + column * (CELL + GAP)
            place = f"{shot.time:.2f} s" if row == 0 else f"{shot.degrees:+.0f}°"
            draw.text((x, y + 13), place, INK, font(22), anchor="lm")
            draw.text((x + CELL, y + 13), label, MUTED, font(19), anchor="rm")
            sheet.paste(Image.fromarray(picture).resize((CELL, CELL), Image.Resampling.BICUBIC), (x, y + 36))
    return sheet


if __name__ == "__main__":
    sys.exit(main())
