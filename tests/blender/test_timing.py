"""The timing of strips is that of Blender: it is compared with renders of footage with burnt-in frame numbers."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
import versions
from test_strips import PCM_16, heard_seconds, loudest_seconds
from versions import add_movie_at_its_own_speed, content_duration, handles, sequencer_override

FRAMES = 120
STRIPES = 8
START = 11
# Every third picture comes late, and one is held for half a second.
VARIED = [
    str(round(0.04 * number + 0.012 * (number % 3) + (0.5 if number > 60 else 0.0), 4)) for number in range(FRAMES)
]

Change = Callable[[Any], Any]


@pytest.fixture(scope="session")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes movies that show the numbers of their frames, of a rate such as ``"30000/1001"``, or ``"varied"``."""
    folder = tmp_path_factory.mktemp("counters")

    def make(rate: str) -> Path:
        path = folder / f"{rate.replace('/', '_')}.mp4"
        words = VARIED if rate == "varied" else [rate, str(FRAMES)]
        if not path.exists():
            program = Path(__file__).with_name("make_counter.py")
            subprocess.run([os.environ["S2L_WORKER_PYTHON"], program, path, *words], check=True)
        return path

    return make


@pytest.fixture
def shown_number(tmp_path: Path) -> Callable[[Any, int], int]:
    """Returns the number that Blender shows on a frame of a scene."""

    def shown_number(scene: Any, frame: int) -> int:
        scene.view_settings.view_transform = "Standard"
        scene.render.filepath = str(tmp_path / "shown.png")
        scene.frame_set(frame)
        with sequencer_override(scene):
            bpy.ops.sequencer.refresh_all()  # its cache takes the nearest frame for the one before
        bpy.ops.render.render(write_still=True)
        return number_in(tmp_path / "shown.png")

    return shown_number


def nothing(strip) -> None:
    pass


def trim(strip) -> None:
    versions.trim(strip, 12, 9)


def trim_for_good(strip) -> None:
    versions.trim_content(strip, 12, 5)


def hold_beyond_the_ends(strip) -> None:
    versions.trim(strip, -6, -4)


def move(strip) -> None:
    versions.set_content_start(strip, versions.content_start(strip) + 37)


def reverse(strip) -> None:
    strip.use_reverse_frames = True


def strobe(strip) -> None:
    strip.strobe = 3.5


def reverse_trimmed(strip) -> None:
    trim(strip)
    reverse(strip)


def put_into_meta(strip) -> None:
    """Inside a meta strip, which is inside another one whose handles trim it."""
    editor = strip.id_data.sequence_editor
    for _ in range(2):
        editor.active_strip = strip
        strip.select = True
        with sequencer_override(strip.id_data):
            bpy.ops.sequencer.meta_make()
        strip = editor.active_strip
    versions.trim(strip, 20, 15)


def retime(speed: float, key: int = 41) -> Change:
    """Change the speed from the strip's start up to a key."""

    def change(strip) -> None:
        strip.id_data.sequence_editor.active_strip = strip
        with sequencer_override(strip.id_data):
            bpy.ops.sequencer.retiming_key_add(timeline_frame=handles(strip)[0] + key)
            bpy.ops.sequencer.select_all(action="DESELECT")
            strip.select_right_handle = False
            strip.select = True
            bpy.ops.sequencer.retiming_segment_speed_set(speed=speed)

    change.__name__ = f"retime to {speed:g} %"
    return change


def trim_and_retime(strip) -> None:
    retime(50.0)(strip)
    versions.trim(strip, 7, 11)


def freeze(strip) -> None:
    strip.id_data.sequence_editor.active_strip = strip
    with sequencer_override(strip.id_data):
        bpy.ops.sequencer.retiming_key_add(timeline_frame=START + 41)
        bpy.ops.sequencer.select_all(action="SELECT")
        bpy.ops.sequencer.retiming_freeze_frame_add(duration=10)


RATES = ["24000/1001", "24", "25", "30000/1001", "30", "50", "60", "varied"]
CHANGES: list[Change] = [
    nothing, trim, trim_for_good, hold_beyond_the_ends, move, reverse, reverse_trimmed, put_into_meta,
    retime(50.0), retime(200.0), trim_and_retime, freeze, strobe,
]  # fmt: skip
SCENES = [(25, 1.0), (24, 1.001), (30, 1.001), (60, 1.0), (24, 1.0), (30, 1.0), (50, 1.0)]
# Every rate of media with every change, the timeline's rate and "Adjust Playback Rate" going round beside them.
ROWS = [
    (rate, SCENES[(number + place) % len(SCENES)], bool((number + place // 2) % 2), change)
    for number, rate in enumerate(RATES)
    for place, change in enumerate(CHANGES)
]


@pytest.mark.parametrize(
    ("rate", "scene_rate", "own_speed", "change"),
    ROWS,
    ids=lambda value: getattr(value, "__name__", str(value)).replace("_", " "),
)
def test_dub_sees_the_frames_that_blender_shows(
    module, scene, strips, counter, shown_number, rate, scene_rate, own_speed, change
) -> None:
    path = counter(rate)
    scene.render.fps, scene.render.fps_base = scene_rate
    scene.render.resolution_x, scene.render.resolution_y = 64, 64  # a strip is fitted to it when it is added
    strip = add_movie_at_its_own_speed(scene, path, START) if own_speed else strips.new_movie("M", str(path), 1, START)
    change(strip)
    library = module("s2l_blender_addon.sequencer.strips")
    frames = module("s2l_blender_addon.sequencer.timing").visible(strip)
    seconds = library.moments(scene, strip, frames)
    assert len(seconds) == len(frames) > 0
    times = [float(time) for time in VARIED] if rate == "varied" else None
    for place in sorted({0, 1, len(frames) // 3, len(frames) // 2 + 1, len(frames) - 2, len(frames) - 1}):
        shown = shown_number(scene, frames[place])
        assert number_at(seconds[place], rate, times) == shown, f"frame {frames[place]} of {frames}"


@pytest.mark.parametrize("scene_rate", [(25, 1.0), (24, 1.001)], ids=str)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.replace("_", " "))
def test_dub_sees_the_pictures_of_a_sequence_that_blender_shows(
    module, scene, add_pictures, shown_number, scene_rate, change
) -> None:
    scene.render.fps, scene.render.fps_base = scene_rate
    scene.render.resolution_x, scene.render.resolution_y = 64, 64
    strip = add_pictures(FRAMES, START)
    change(strip)
    library = module("s2l_blender_addon.sequencer.strips")
    frames = module("s2l_blender_addon.sequencer.timing").visible(strip)
    seconds = library.moments(scene, strip, frames)
    rate = scene_rate[0] / scene_rate[1]
    assert len(seconds) == len(frames) > 0
    for place in sorted({0, 1, len(frames) // 3, len(frames) // 2 + 1, len(frames) - 2, len(frames) - 1}):
        assert round(seconds[place] * rate) == shown_number(scene, frames[place]), f"frame {frames[place]} of {frames}"


def number_at(second: float, rate: str, times: list[float] | None) -> int:
    """The frame that has last begun, as the library finds it."""
    if times is None:
        numerator, _, denominator = rate.partition("/")
        times = [number * int(denominator or 1) / int(numerator) for number in range(FRAMES)]
    return max((number for number, time in enumerate(times) if time <= second + 1e-3), default=0)


MOVIES = [
    "h264.mp4",
    "h264.mov",
    "h264.mkv",
    "h264.avi",
    "h264.flv",
    "h264.ts",
    "h264.m2ts",
    "open.mp4",
    "open.ts",
    "hevc.ts",
    "hevc.mkv",
    "mpeg4.avi",
    "mpeg4.mp4",
    "mpeg2.mpg",
    "mpeg2.ts",
    "mpeg2.mxf",
    "vp9.webm",
    "prores.mov",
    "ffv1.mkv",
    "late.mp4",
    "late.mkv",
    "late.ts",
    "varied.mp4",
    "varied.mkv",
    "without_edits.mp4",
    "fragments.mp4",
    "cut_h264.ts",
    "cut_hevc.ts",
    "cut_mpeg2.ts",
    "cut_h264.m2ts",
    "cut_mpeg2.mpg",
    "edited.mp4",
    "edited.mov",
    "empty_edit.mp4",
    "negative.mkv",
    "without_leading.mkv",
]


@pytest.fixture(scope="session")
def streams(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Movies whose timestamps start anywhere, and their frames as the library reads them."""
    folder = tmp_path_factory.mktemp("streams")
    program = Path(__file__).with_name("make_streams.py")
    subprocess.run([os.environ["S2L_WORKER_PYTHON"], program, folder], check=True, cwd=program.parents[2])
    return folder, json.loads((folder / "read.json").read_text())


@pytest.mark.parametrize("name", MOVIES)
def test_media_frames_are_those_that_blender_plays(scene, strips, streams, tmp_path, name) -> None:
    """Blender renders the movie; its frame k is what the library finds on screen at second k / rate."""
    folder, read = streams
    scene.render.resolution_x, scene.render.resolution_y = 64, 64
    strip = strips.new_movie("M", str(folder / name), 1, 1)
    length = content_duration(strip)
    shown = played_numbers(scene, length, tmp_path)
    times, (slack,) = np.array(read[name]["times"]), read[name]["slack"]
    moments = np.arange(length) / float(Fraction(strip.fps).limit_denominator(1001))
    places = (np.searchsorted(times, moments + slack, side="right") - 1).clip(0)
    assert [read[name]["numbers"][place] for place in places] == shown
    first = max(int(np.searchsorted(times, 1.64 + slack, side="right")) - 1, 0)
    assert read[name]["span"] == read[name]["numbers"][first:]  # also where the library seeks


def played_numbers(scene: Any, count: int, folder: Path) -> list[int]:
    """The numbers burnt into the first frames of a scene, as they are rendered one after the other."""
    scene.view_settings.view_transform = "Standard"
    scene.frame_start, scene.frame_end, scene.render.filepath = 1, count, str(folder / "played_")
    bpy.ops.render.render(animation=True)
    return [number_in(folder / f"played_{frame:04}.png") for frame in range(1, count + 1)]


def number_in(path: Path) -> int:
    """The number that a rendered picture shows."""
    image = bpy.data.images.load(str(path))
    row = [image.pixels[4 * (32 * 64 + 8 * bit + 4)] for bit in range(STRIPES)]
    bpy.data.images.remove(image)
    assert all(value < 0.3 or value > 0.7 for value in row), "no number is shown"
    return sum(1 << bit for bit, value in enumerate(row) if value > 0.5)


def delay(strip) -> None:
    strip.sound_offset = 0.3


def cut_before_the_click(strip) -> None:
    versions.trim(strip, start=15)


# Blender 4.5 leaves the speed of a retimed sound unwritten for the frames before its strip, reads it nevertheless, and
# divides by zero where chance has put a large number there. A strip on the first frame has none before it.
SOUND_START = START if bpy.app.version >= (5, 0) else 1


@pytest.mark.parametrize(
    "change",
    [nothing, cut_before_the_click, trim_for_good, delay, move, put_into_meta, retime(50.0), retime(200.0)],
    ids=lambda change: change.__name__.replace("_", " "),
)
@pytest.mark.parametrize("scene_rate", [(25, 1.0), (30, 1.001), (50, 1.0)], ids=str)
def test_dub_hears_the_sound_when_blender_plays_it(
    module, scene, strips, sound, tmp_path, mixdown_apart, scene_rate, change
) -> None:
    scene.render.fps, scene.render.fps_base = scene_rate
    strip = strips.new_sound("Speech", str(sound), 1, SOUND_START)
    change(strip)
    mixing, timing = module("s2l_blender_addon.sequencer.mixing"), module("s2l_blender_addon.sequencer.timing")
    rate = float(timing.frame_rate(scene))
    scene.frame_start, scene.frame_end = 1, handles(strip)[1] + 40
    (part,) = mixing.mix(scene, [strip], range(1, scene.frame_end + 1)).sounds
    steps = len(part.moments) - 1
    click = next(
        part.at + part.seconds * (step + (1.2 - before) / (after - before)) / steps
        for step, (before, after) in enumerate(zip(part.moments, part.moments[1:], strict=False))
        if before <= 1.2 < after
    )
    is_retimed, path = len(strip.retiming_keys) > 0, tmp_path / "mix.wav"
    if is_retimed:
        mixdown_apart(path, **PCM_16)
    heard = loudest_seconds(path) if is_retimed else heard_seconds(path)
    is_blurred = bpy.app.version >= (5, 0) and is_retimed  # by the correction of its pitch
    tolerance = 0.1 if is_blurred else 1.5 / rate
    assert click == pytest.approx(heard, abs=tolerance)
