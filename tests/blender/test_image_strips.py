"""Sequences of pictures in image strips are footage like movies."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from conftest import ROOT
from test_operators import reason
from versions import content_start, handles, set_content_start, trim, trim_content


@pytest.fixture
def take(scene, add_pictures, tmp_path):
    """An image strip of two seconds, half a second of it trimmed off its start, for dubbing into a folder of PNGs."""
    strip = add_pictures()
    trim(strip, start=12)
    scene.s2l.dub.speaker_path, scene.s2l.dub.folder = str(tmp_path / "Ada.s2l"), str(tmp_path)
    scene.s2l.dub.format, scene.s2l.dub.sound_strip = "png", "Line"
    scene.s2l.train.folder, scene.s2l.train.consent = str(tmp_path), scene.s2l.train.speaker_name
    return strip


@pytest.fixture
def jobs_of(module, scene):
    """The jobs for the settings of a scene."""
    strips, snapshots = module("s2l_blender_addon.sequencer.strips"), module("s2l_blender_addon.queue.snapshots")
    dub_job = module("s2l_blender_addon.queue.dub_job").dub_job
    return SimpleNamespace(
        dub=lambda: dub_job(bpy.context, scene, strips.footage(scene), strips.voices(scene)),
        train=lambda: snapshots.train_job(bpy.context, scene, strips.footage(scene), "Ada", consent=True),
        check=lambda: snapshots.check_job(bpy.context, scene, strips.footage(scene)),
    )


def nothing(strip) -> None:
    pass


def reverse(strip) -> None:
    strip.use_reverse_frames = True


def move(strip) -> None:
    set_content_start(strip, content_start(strip) + 10)


def trim_for_good(strip) -> None:
    trim_content(strip, 5, 0)


@pytest.mark.parametrize(
    ("change", "first", "last"), [(nothing, 24, 49), (reverse, 25, 0), (move, 14, 43), (trim_for_good, 29, 49)]
)
def test_the_job_names_the_pictures_and_when_they_are_shown(take, speech, jobs_of, change, first, last) -> None:
    change(take)
    job, placement = jobs_of.dub()
    assert job.footage.pictures == tuple(f"shot.{number + 1001:04}.png" for number in range(50))
    assert Path(job.footage.path, job.footage.pictures[0]).is_file()
    assert job.footage.rate == job.rate == "25"
    numbers = [round(moment * 25) for moment in job.moments]
    assert (numbers[0], numbers[-1]) == (first, last)
    assert len(numbers) == placement.end - placement.first
    assert job.footage.start == pytest.approx(min(job.moments))
    assert job.footage.end == pytest.approx(max(job.moments) + 0.04)


def test_pictures_have_the_rate_of_the_timeline(scene, take, speech, jobs_of) -> None:
    scene.render.fps, scene.render.fps_base = 24, 1.001
    job, _ = jobs_of.dub()
    assert job.footage.rate == "24000/1001"


def test_a_relative_folder_is_found(take, speech, jobs_of, tmp_path) -> None:
    shutil.copytree(bpy.path.abspath(take.directory), tmp_path / "pictures")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "edit.blend"))
    take.directory = "//pictures/"
    job, _ = jobs_of.dub()
    assert Path(job.footage.path).samefile(tmp_path / "pictures")


def test_a_picture_that_is_shown_and_missing_is_named_before_the_job_starts(
    module, take, speech, jobs_of, tmp_path
) -> None:
    errors = module("s2l_core.errors")
    shutil.copytree(bpy.path.abspath(take.directory), tmp_path / "pictures")
    take.directory = str(tmp_path / "pictures")
    (tmp_path / "pictures" / "shot.1001.png").unlink()  # trimmed off
    jobs_of.dub()
    (tmp_path / "pictures" / "shot.1031.png").unlink()
    with pytest.raises(errors.FileMissing, match=r"1 pictures .* Take are missing, such as shot.1031.png"):
        jobs_of.dub()
    shutil.rmtree(tmp_path / "pictures")
    with pytest.raises(errors.FileMissing, match="The folder of the strip Take is missing"):
        jobs_of.dub()


def test_dub_inserts_a_strip_that_is_no_footage_itself(module, scene, take, speech, fake_worker) -> None:
    strips = module("s2l_blender_addon.sequencer.strips")
    assert bpy.ops.s2l.dub_strip() == {"FINISHED"}
    dubbed = scene.sequence_editor.active_strip
    assert (dubbed.name, dubbed.type, dubbed["s2l_footage"]) == ("Take Dubbed", "IMAGE", "Take")
    assert handles(dubbed) == (125, 151)
    assert strips.sources(scene) == [take] and strips.footage(scene) == take
    assert strips.footage_or_result(scene) == dubbed


def test_training_takes_the_voice_from_the_strip_that_is_named(module, scene, take, speech, jobs_of) -> None:
    named = "Choose the Voice of the strip Take in the Footage panel"
    for operator in ("S2L_OT_train_speaker", "S2L_OT_check_footage", "S2L_OT_estimate_training"):
        assert reason(module, operator) == named
    with pytest.raises(module("s2l_core.errors").BadJob, match=named):
        jobs_of.train()
    take.s2l.voice = "Line"
    speech.name = "Renamed"
    assert take.s2l.voice == "Renamed"
    for job in (jobs_of.train(), jobs_of.check()):
        assert (job.footage.start, job.footage.end) == pytest.approx((24 / 25, 50 / 25))
        assert (job.voice.start, job.voice.end) == pytest.approx((0.0, 26 / 25))
        assert Path(job.voice.path).samefile(bpy.path.abspath(speech.sound.filepath))
    take.use_reverse_frames = True
    assert reason(module, "S2L_OT_train_speaker").startswith("The strip Take plays backwards")


def test_a_movie_can_name_a_voice_of_its_own_too(footage, speech, jobs_of) -> None:
    assert jobs_of.train().voice is None
    footage.s2l.voice = "Line"
    job = jobs_of.train()
    assert (job.footage.start, job.voice.start) == pytest.approx((24 / 25, 0.0))


def test_offset_is_measured_against_the_named_voice(module, scene, take, speech) -> None:
    take.s2l.voice = "Line"
    scene.sequence_editor.active_strip = take
    job = module("operators").S2L_OT_measure_offset.gather(SimpleNamespace(), bpy.context)
    assert len(job.footage.pictures) == 50
    assert (job.footage.start, job.voice.start) == pytest.approx((24 / 25, 0.0))


def test_sounds_drive_image_strips(module, scene, take, speech) -> None:
    strips = module("s2l_blender_addon.sequencer.strips")
    speech.s2l.drives = "Take"
    assert strips.pairs(scene) == [(take, [speech])]
    assert strips.names(scene, strips.MOVIE) == ["Take"]


def test_a_still_is_no_footage(module, scene, strips, footage, make_pictures) -> None:
    library = module("s2l_blender_addon.sequencer.strips")
    still = strips.new_image("Logo", str(next(make_pictures(50).iterdir())), 5, 1)
    scene.sequence_editor.active_strip = still
    assert library.footage(scene) == footage
    assert library.names(scene, library.MOVIE) == ["Interview"]
    strips.remove(footage)
    expected = "The strip Logo is a single picture: use Dub Still, or select a movie or a sequence of pictures"
    assert reason(module, "S2L_OT_check_footage") == reason(module, "S2L_OT_dub_strip") == expected


@pytest.mark.parametrize("kind", ["scene", "clip"])
def test_a_strip_that_blender_renders_says_what_to_do(module, scene, strips, movie, kind) -> None:
    if kind == "scene":
        strip = strips.new_scene("Set", bpy.data.scenes.new("Other"), 1, 1)
    else:
        strip = strips.new_clip("Set", bpy.data.movieclips.load(str(movie)), 1, 1)
    scene.sequence_editor.active_strip = strip
    for operator in ("S2L_OT_check_footage", "S2L_OT_find_faces", "S2L_OT_train_speaker", "S2L_OT_dub_strip"):
        assert reason(module, operator).startswith(f"The strip Set shows a {'scene' if kind == 'scene' else 'movie'}")


def test_linear_pictures_have_the_colour_space_that_blender_gives_them(module, take, speech, jobs_of) -> None:
    assert take.colorspace_settings.name == "sRGB"
    for element in take.elements:
        element.filename = element.filename.replace(".png", ".exr")
    expected = "The strip Take has the colour space sRGB: only Linear Rec.709 is supported for its pictures"
    assert reason(module, "S2L_OT_dub_strip") == expected
    with pytest.raises(module("s2l_core.errors").BadJob, match=expected):
        jobs_of.dub()
    take.colorspace_settings.name = "Linear Rec.709"
    assert reason(module, "S2L_OT_dub_strip") == ""


def test_a_head_is_made_of_movies_only(module, scene, take) -> None:
    expected = "Render the pictures of the strip Take to a movie first: a head needs a movie"
    assert reason(module, "S2L_OT_create_head") == expected


_DECODE = """
import sys
from pathlib import Path
import numpy as np
from s2l_core.media.picture_decoding import decode_picture
from s2l_core.media.video import Frame
for path in map(Path, sys.argv[1:]):
    np.save(path.with_suffix(".npy"), Frame(0.0, decode_picture(path)).image)
"""
_FORMATS = {
    "png": ("PNG", "16"),
    "jpg": ("JPEG", "8"),
    "tif": ("TIFF", "16"),
    "exr": ("OPEN_EXR", "16"),
    "dpx": ("DPX", "10"),
    "bmp": ("BMP", "8"),
    "webp": ("WEBP", "8"),
    "jp2": ("JPEG2000", "8"),
}


def test_pictures_look_to_the_engine_as_blender_shows_them(scene, strips, tmp_path) -> None:
    paths = [_write_picture(scene, tmp_path, suffix, *form) for suffix, form in _FORMATS.items()]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    program = [os.environ["S2L_WORKER_PYTHON"], "-c", _DECODE, *map(str, paths)]
    subprocess.run(program, check=True, env=environment)
    for path in paths:
        strip = strips.new_image("Picture", str(path), 1, 1)
        difference = np.abs(np.load(path.with_suffix(".npy")).astype(int) - _shown(scene, tmp_path))
        is_off = (difference > 0).mean()
        assert difference.max() <= 1 and is_off < 0.01, path.suffix  # where 16 bits lie between two of 8
        strips.remove(strip)


def _write_picture(scene, folder: Path, suffix: str, form: str, depth: str) -> Path:
    """A picture of all greys, and of colours beside them."""
    y, x = np.mgrid[0:1:64j, 0:1:64j].astype(np.float32)
    image = bpy.data.images.new("Colours", 64, 64, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    image.pixels = np.stack([x * x, y * y, np.where(y < 0.5, x * x, x * y), np.ones_like(x)], axis=-1).ravel().tolist()
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode = form, "RGB"
    if depth != "8":
        settings.color_depth = depth
    settings.quality = 100
    image.save_render(str(folder / f"{suffix}.{suffix}"), scene=scene)
    bpy.data.images.remove(image)
    return folder / f"{suffix}.{suffix}"


def _shown(scene, folder: Path) -> np.ndarray:
    """The picture that the sequencer shows on frame 1: (64, 64, 3) code values."""
    scene.view_settings.view_transform, scene.render.dither_intensity = "Standard", 0.0
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 64, 64, 100
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
    scene.render.filepath = str(folder / "shown.png")
    scene.frame_set(1)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(image.pixels[:]).reshape(64, 64, 4)[::-1, :, :3]
    bpy.data.images.remove(image)
    return np.round(pixels * 255).astype(int)


def test_faces_are_chosen_in_image_strips(module, scene, take, speech, jobs_of) -> None:
    module("s2l_blender_addon.sequencer.strips").choose_face(scene, "Take", (0.25, 0.5, 1.5))
    assert jobs_of.dub()[0].footage.face == (0.25, 0.5, 1.5)


def test_two_takes_in_one_folder_are_told_apart(module, scene, take, add_pictures, speech, fake_worker) -> None:
    library = module("s2l_blender_addon.sequencer.strips")
    take.s2l.voice = "Line"
    other = add_pictures(start=301, name="Other")
    other.elements[0].filename = "other.1001.png"
    assert library.identify(take) != library.identify(other)
    scene.sequence_editor.active_strip = take
    assert bpy.ops.s2l.check_footage() == {"FINISHED"}
    assert library.was_checked(scene, take) and not library.was_checked(scene, other)
