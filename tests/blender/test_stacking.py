"""The render before and after a dub differs in the mouth only, whatever lies around the footage.

The expected pictures are Blender's own render of the same stack, in which the footage itself shows the dubbed pictures.
"""

from __future__ import annotations

import ctypes
import os
import random
from pathlib import Path

import bpy
import numpy as np
import pytest
from versions import content_start, handles, new_effect, sequencer_override, set_duration, set_format, set_handles, trim

SIZE, LENGTH = 48, 60
TOLERANCE = 2.5 / 255
SEEDS = range(*map(int, os.environ.get("S2L_STACKS", "0,20").split(",")))
"""Of the random stacks; more are tried with the environment variable."""
MOUTH = (slice(6, 16), slice(14, 34))
"""Rows, from the bottom, and columns of the mouth in the footage."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> dict[str, Path]:
    """Folders of the same pictures as they were filmed, and twice with another mouth; and soft at their border."""
    names = ("filmed", "dubbed", "again", "mouth", "filmed_soft", "dubbed_soft", "again_soft")
    folders = {name: tmp_path_factory.mktemp(name) for name in names}
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    for number in range(LENGTH):
        phase = number / LENGTH
        picture = np.dstack([(rows + phase) % 1.0, columns * (1.0 - phase), 0.3 + 0.4 * rows * columns, rows * 0 + 1.0])
        for name, colour in (("filmed", ()), ("dubbed", (0.9, 0.1, 0.2)), ("again", (0.1, 0.9, 0.8))):
            painted = picture.copy()
            if colour:
                painted[MOUTH][..., :3] = colour
            save(painted, folders[name] / f"{number:04}.png")
            painted[..., 3] = np.clip(2.5 - 5.0 * np.hypot(rows - 0.5, columns - 0.5), 0.0, 1.0)
            save(painted, folders[f"{name}_soft"] / f"{number:04}.png", "RGBA")
        mouth = np.zeros((SIZE, SIZE, 4))
        mouth[MOUTH] = (0.9, 0.1, 0.2, 1.0)
        save(mouth, folders["mouth"] / f"{number:04}.png", "RGBA")
    return folders


def save(picture: np.ndarray, path: Path, mode: str = "RGB") -> None:
    settings = bpy.context.scene.render.image_settings
    image = bpy.data.images.new("Picture", SIZE, SIZE, alpha=mode == "RGBA")
    image.pixels.foreach_set(picture.astype(np.float32).ravel())
    set_format(bpy.context.scene, "PNG")
    settings.color_mode, settings.compression = mode, 0
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


@pytest.fixture(scope="module")
def takes(pictures) -> dict[str, Path]:
    """Those pictures as lossless movies."""
    return {name: film(folder, "RGBA" if "soft" in name else "RGB") for name, folder in pictures.items()}


def film(folder: Path, mode: str) -> Path:
    scene = bpy.data.scenes.new("Film")
    arrange_render(scene)
    scene.frame_start, scene.frame_end = 1, LENGTH
    strips = scene.sequence_editor_create().strips
    files = sorted(folder.iterdir())
    strip = strips.new_image("Pictures", str(files[0]), 1, 1)
    strip.blend_type = "REPLACE"
    for file in files[1:]:
        strip.elements.append(file.name)
    set_format(scene, "FFMPEG")
    scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "MKV", "PNG"
    scene.render.image_settings.color_mode = mode
    scene.render.filepath, scene.render.use_file_extension = str(folder.with_suffix(".mkv")), False
    bpy.ops.render.render(animation=True, scene=scene.name)
    bpy.data.scenes.remove(scene)
    return folder.with_suffix(".mkv")


def arrange_render(scene) -> None:
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = SIZE, SIZE, 100
    render.fps, render.fps_base = 25, 1.0
    scene.view_settings.view_transform = "Standard"


@pytest.fixture
def edit(module, scene, takes, pictures, sound, fake_worker, monkeypatch, tmp_path):
    """An editor's timeline, with helpers to add to it, dub in it, and look at it."""
    arrange_render(scene)
    fake_worker("dub_pictures")
    return Edit(module, scene, takes, pictures, sound, monkeypatch, tmp_path)


class Edit:
    def __init__(self, module, scene, takes, pictures, sound, monkeypatch, folder: Path) -> None:
        self.module = module
        self.scene, self.takes, self.pictures, self.sound = scene, takes, pictures, sound
        self.monkeypatch, self.folder = monkeypatch, folder
        self.strips, self.kind = scene.sequence_editor.strips, ""
        dub = scene.s2l.dub
        dub.speaker_path, dub.folder, dub.format = str(folder / "Ada.s2l"), str(folder), "png"

    def movie(self, name: str, channel: int, start: int = 1, take: str = "filmed", strips=None):
        return (strips or self.strips).new_movie(name, str(self.takes[take]), channel, start)

    def effect(self, name: str, kind: str, channel: int, first: int = 1, end: int = LENGTH + 1, *inputs, strips=None):
        return new_effect(strips or self.strips, name, kind, channel, first, end, *inputs)

    def curve(self, strip, name: str):
        return self.module("s2l_blender_addon.sequencer.curves").find(strip, name)

    def voice(self, first: int, end: int, channel: int = 40):
        strip = self.strips.new_sound("Line", str(self.sound), channel, first)
        set_duration(strip, end - first)
        return strip

    def dub(self, footage, first: int, end: int, take: str = "dubbed", existing: str = "KEEP"):
        """Dub frames of a footage with a fake worker that hands out the pictures of a take."""
        voice = self.voice(first, end)
        self.monkeypatch.setenv("S2L_FAKE_PICTURES", str(self.pictures[take + self.kind]))
        self.scene.s2l.footage_strip, self.scene.s2l.dub.sound_strip = footage.name, voice.name
        assert bpy.ops.s2l.dub_strip(existing=existing) == {"FINISHED"}
        self.strips.remove(voice)
        return self.scene.sequence_editor.active_strip

    def look(self, frame: int) -> np.ndarray:
        """What Blender renders of a frame, as (height, width, 4) from 0 to 1, multiplied by its alpha."""
        scene, path = self.scene, self.folder / "look.png"
        set_format(scene, "PNG")
        scene.render.image_settings.color_mode = "RGBA"
        scene.render.filepath = str(path)
        scene.frame_set(frame)
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(str(path))
        picture = np.array(image.pixels[:]).reshape(SIZE, SIZE, 4)
        bpy.data.images.remove(image)
        picture[..., :3] *= picture[..., 3:]
        return picture

    def expected(self, footage, frame: int, take: str) -> np.ndarray:
        """The render of a frame in which the footage itself shows another take."""
        filmed, footage.filepath = footage.filepath, str(self.takes[take + self.kind])
        picture = self.look(frame)
        footage.filepath = filmed
        return picture


def key(owner, name: str, **values) -> None:
    """Animate a property: ``at_12=0.5`` is its value at frame 12."""
    for at, value in values.items():
        setattr(owner, name, value)
        owner.keyframe_insert(name, frame=int(at.removeprefix("at_")))


def assert_looks(edit: Edit, truth: dict[int, np.ndarray]) -> None:
    differences = {frame: float(np.abs(edit.look(frame) - picture).max()) for frame, picture in truth.items()}
    assert max(differences.values()) <= TOLERANCE, differences


ONE = ["GAUSSIAN_BLUR", "GLOW"] + (["TRANSFORM"] if bpy.app.version < (5, 0) else [])
TWO = ["CROSS", "CROSS", "GAMMA_CROSS", "WIPE", "WIPE", "MULTIPLY", "ADD", "SUBTRACT", "ALPHA_OVER", "COLORMIX"]


def random_stack(edit: Edit, choose: random.Random):
    """A stack as an editor builds one; returns its footage."""
    for number in range(1, 12):
        channel = edit.scene.sequence_editor.channels[number]
        channel.lock, channel.mute = choose.random() < 0.15, choose.random() < 0.1
    channels = iter(sorted(choose.sample(range(1, 12), 9)))
    strips = edit.strips
    edit.effect("Back", "COLOR", next(channels)).color = (0.1, 0.3, 0.8)
    other = edit.movie("Other", next(channels), choose.choice([-20, 31, 46]), "again")
    edit.kind = choose.choice(["", "", "", "_soft"])
    footage = edit.movie("Interview", next(channels), take=f"filmed{edit.kind}")
    if choose.random() < 0.2:
        other.channel, footage.channel = 30, other.channel
        other.channel = 29 if choose.random() < 0.5 else other.channel
    with bpy.context.temp_override(sequencer_scene=edit.scene):
        decorate(edit, footage, choose)
    taken, effects = footage, choose.choice([[], [], [choose.choice(TWO + ONE)], [choose.choice(TWO + ONE), "GLOW"]])
    for kind in effects if footage.blend_type != "REPLACE" else []:  # what that then hides follows no rule in Blender
        both = (taken, other) if choose.random() < 0.7 else (other, taken)
        taken = edit.effect("Effect", kind, next(channels), 1, LENGTH, *(both if kind in TWO else [taken]))
    above = {
        "TEXT": lambda channel: title(edit, channel),
        "ADJUSTMENT": lambda channel: setattr(edit.effect("Grade", "ADJUSTMENT", channel), "color_saturation", 0.3),
        "MULTICAM": lambda channel: multicam(edit, channel, choose),
        "COLOR": lambda channel: setattr(edit.effect("Tint", "COLOR", channel, 10, 50), "blend_alpha", 0.4),
    }
    for name in choose.sample(sorted(above), choose.randint(0, 3)):
        above[name](next(channels))
    if choose.random() < 0.25:
        meta = strips.new_meta("Scene", 50, 1)
        for strip in list(strips):
            if strip not in (meta, *strips[:1]) and strip.parent_meta() is None:
                strip.move_to_meta(meta)
        first, end = handles(footage)
        set_duration(footage, end - first + 1)
        set_duration(footage, end - first)
        set_handles(meta, int(content_start(meta)), LENGTH + 1)
        meta.blend_alpha = choose.choice([1.0, 0.5])
    return footage


def decorate(edit: Edit, strip, choose: random.Random) -> None:
    """Fade, grade and move a strip."""

    def may(chance: float) -> bool:
        return choose.random() < chance

    if may(0.3):
        key(strip, "blend_alpha", at_1=0.0, at_25=1.0)
    if may(0.25):
        strip.blend_type = choose.choice(["REPLACE", "ADD", "MULTIPLY", "CROSS", "SCREEN"])
    if may(0.2):
        strip.blend_alpha = 0.6
    if may(0.3):
        key(strip.transform, "scale_x", at_1=0.5, at_60=1.4)
    if may(0.2):
        strip.transform.rotation, strip.transform.offset_x = 0.3, 3.5
    if may(0.2):
        strip.crop.min_x, strip.crop.max_y = 5, 7
    if may(0.2):
        strip.color_saturation, strip.color_multiply, strip.use_flip_x = 0.4, 0.8, True
    if may(0.2):
        strip.modifiers.new("Grade", "BRIGHT_CONTRAST").bright = 20
        key(strip.modifiers["Grade"], "contrast", at_1=0.0, at_60=40.0)
    if may(0.1):
        mask = strip.modifiers.new("Mask", "MASK")
        mask.input_mask_strip = edit.effect("Half", "COLOR", 60)
        mask.input_mask_strip.color, mask.input_mask_strip.mute = (0.5, 0.5, 0.5), True
    if may(0.15):
        strip.strobe = 4
    if may(0.15):
        strip.use_reverse_frames = True
    if may(0.15):
        trim(strip, start=4)
    if may(0.1):
        strip.mute = True


def title(edit: Edit, channel: int) -> None:
    text = edit.effect("Title", "TEXT", channel)
    text.text, text.font_size, text.location, text.use_box = "ANNA", 12, (0.5, 0.3), True
    text.box_color = (0.8, 0.1, 0.1, 1.0)


def multicam(edit: Edit, channel: int, choose: random.Random) -> None:
    selector = edit.effect("Cut", "MULTICAM", channel)
    selector.multicam_source = choose.randint(1, max(1, channel - 1))
    if choose.random() < 0.4:
        key(selector, "multicam_source", at_1=choose.randint(1, channel), at_30=choose.randint(1, channel))
        for curve in [edit.curve(selector, "multicam_source")]:
            for point in curve.keyframe_points:
                point.interpolation = "CONSTANT"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dub_changes_nothing_but_the_mouth_in_any_stack(edit, seed) -> None:
    choose = random.Random(seed)
    footage = random_stack(edit, choose)
    seen = range(*handles(footage))
    first = choose.choice([seen.start, choose.randint(seen.start, 30)])
    end = choose.choice([min(seen.stop, first + 50), choose.randint(first + 5, first + 25)])
    existing = choose.choice(["", "", "KEEP", "VERSION", "REPLACE"])
    again = range(choose.randint(first, end - 3), end) if existing else range(0)
    frames = sorted({1, first - 1, first, (first + end) // 2, end - 1, end, 55} & set(range(1, LENGTH + 1)))
    takes = {frame: take_shown(frame, range(first, end), again, existing) for frame in frames}
    truth = {frame: edit.expected(footage, frame, take) for frame, take in takes.items()}
    edit.dub(footage, first, end)
    if again:
        edit.dub(footage, again.start, again.stop, "again", existing)
    assert_looks(edit, truth)


def take_shown(frame: int, dubbed: range, again: range, existing: str) -> str:
    """The render after a second dub of some of the same frames."""
    if frame in again:
        return "again"
    return "dubbed" if frame in dubbed and existing in ("", "KEEP") else "filmed"


def test_it_lies_between_its_footage_and_what_lay_over_that(edit) -> None:
    footage, later = edit.movie("Interview", 2), edit.movie("Later", 5, 61)
    text, tint = edit.effect("Title", "TEXT", 3), edit.effect("Tint", "COLOR", 4)
    channels = edit.scene.sequence_editor.channels
    channels[3].name, channels[3].lock, channels[4].mute = "Titles", True, True
    dubbed = edit.dub(footage, 10, 40)
    assert [strip.channel for strip in (footage, dubbed, text, tint, later)] == [2, 3, 4, 5, 6]
    assert handles(dubbed) == (10, 40)
    assert [(channels[n].name, channels[n].lock, channels[n].mute) for n in (3, 4, 5, 6)] == [
        ("Channel 3", False, False), ("Titles", True, False), ("Channel 5", False, True), ("Channel 6", False, False),
    ]  # fmt: skip


def test_a_free_channel_above_is_used_as_it_is(edit) -> None:
    footage, title = edit.movie("Interview", 1), edit.effect("Title", "TEXT", 2, 45)
    assert edit.dub(footage, 10, 40).channel == 2
    assert title.channel == 2


@pytest.mark.parametrize("setting", ["mute", "lock"])
def test_it_is_not_put_into_a_channel_that_is_muted_or_locked(edit, setting) -> None:
    footage = edit.movie("Interview", 2)
    channels = edit.scene.sequence_editor.channels
    setattr(channels[3], setting, True)
    dubbed = edit.dub(footage, 1, 40)
    assert dubbed.channel == 3
    assert not getattr(channels[3], setting)
    assert getattr(channels[4], setting)


def test_footage_that_is_not_seen_gets_a_dub_that_is_not_seen(edit) -> None:
    footage = edit.movie("Interview", 2)
    edit.scene.sequence_editor.channels[2].mute = True
    assert edit.dub(footage, 1, 40).mute


def test_a_multicam_selector_shows_the_dub_where_it_showed_the_footage(edit) -> None:
    edit.movie("Other", 2, take="again")
    footage, selector = edit.movie("Interview", 1), edit.effect("Cut", "MULTICAM", 3)
    key(selector, "multicam_source", at_1=1, at_20=2)
    edit.dub(footage, 10, 40)
    edit.scene.frame_set(1)
    assert (selector.channel, selector.multicam_source) == (4, 2)
    edit.scene.frame_set(20)
    assert selector.multicam_source == 3


def test_it_moves_and_fades_as_its_footage(edit) -> None:
    footage = edit.movie("Interview", 1)
    key(footage, "blend_alpha", at_40=1.0, at_60=0.0)
    key(footage.transform, "scale_x", at_1=1.0, at_41=3.0)
    driver = footage.transform.driver_add("rotation").driver
    driver.expression = "frame / 100"
    edit.curve(footage, "blend_alpha").modifiers.new("NOISE").strength = 0.0
    dubbed = edit.dub(footage, 1, 40)
    for frame in (5, 30, 50):
        edit.scene.frame_set(frame)
        assert dubbed.blend_alpha == footage.blend_alpha
        assert dubbed.transform.scale_x == footage.transform.scale_x != 1.0
        assert dubbed.transform.rotation == pytest.approx(frame / 100)


def test_it_has_the_look_of_its_footage(edit) -> None:
    footage = edit.movie("Interview", 1)
    footage.colorspace_settings.name, footage.color_tag, footage.use_proxy = "Non-Color", "COLOR_03", True
    footage.proxy.build_50, footage.proxy.quality = True, 77
    footage.proxy.use_proxy_custom_file, footage.proxy.filepath = True, "/nowhere/interview_proxy.avi"
    mask = bpy.data.masks.new("Hole")
    with bpy.context.temp_override(sequencer_scene=edit.scene):
        grade = footage.modifiers.new("Grade", "CURVES")
    grade.curve_mapping.curves[3].points.new(0.3, 0.7)
    grade.input_mask_type, grade.input_mask_id = "ID", mask
    dubbed = edit.dub(footage, 1, 40)
    assert dubbed.colorspace_settings.name == "Non-Color"
    assert (dubbed.color_tag, dubbed.use_proxy, dubbed.proxy.build_50) == ("COLOR_03", True, True)
    assert (dubbed.proxy.quality, dubbed.proxy.use_proxy_custom_file) == (77, False)
    copied = dubbed.modifiers["Grade"]
    assert (copied.input_mask_type, copied.input_mask_id) == ("ID", mask)
    points = [tuple(point.location) for point in copied.curve_mapping.curves[3].points]
    assert points == [tuple(point.location) for point in grade.curve_mapping.curves[3].points]
    assert len(points) == 3


def test_a_mask_that_moves_with_its_footage_does_so_in_the_dub(edit) -> None:
    edit.effect("Back", "COLOR", 1).color = (0.1, 0.3, 0.8)
    footage, mask = edit.movie("Interview", 2), bpy.data.masks.new("Window")
    layer = mask.layers.new(name="Window")
    spline = layer.splines.new()
    spline.points.add(3)
    for point, place in zip(spline.points, ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)), strict=True):
        point.co, point.handle_type = place, "VECTOR"
    spline.use_cyclic = True
    for frame, alpha in ((0, 0.0), (60, 1.0)):
        layer.alpha = alpha
        layer.keyframe_insert("alpha", frame=frame)
    with bpy.context.temp_override(sequencer_scene=edit.scene):
        modifier = footage.modifiers.new("Window", "MASK")
    modifier.input_mask_type, modifier.input_mask_id = "ID", mask
    assert modifier.mask_time == "RELATIVE"
    truth = {frame: edit.expected(footage, frame, "dubbed") for frame in (25, 40)}
    assert np.abs(truth[25] - truth[40]).max() > 0.1
    edit.dub(footage, 20, 50)
    for frame, picture in truth.items():  # Blender draws a mask with a pixel that is not always the same
        assert np.abs(edit.look(frame) - picture).mean() < 1e-3


@pytest.mark.parametrize("kind", ["CROSS", "GAMMA_CROSS", "WIPE"])
def test_it_takes_the_place_of_its_footage_in_a_transition_that_it_covers(edit, kind) -> None:
    footage, other = edit.movie("Interview", 1), edit.movie("Other", 2, 46, "again")
    transition = edit.effect("Transition", kind, 3, 46, 61, footage, other)
    truth = {frame: edit.expected(footage, frame, "dubbed") for frame in (30, 50, 60)}
    dubbed = edit.dub(footage, 20, 61)
    assert (transition.input_1, transition.input_2) == (dubbed, other)
    assert handles(transition) == (46, 61)
    assert_looks(edit, truth)
    again = edit.dub(footage, 20, 61, "again", "REPLACE")
    assert (transition.input_1, again.channel) == (again, 2)
    edit.dub(footage, 20, 40, "dubbed", "REPLACE")
    assert transition.input_1 == footage


def test_an_effect_on_more_than_was_dubbed_takes_a_meta_strip_with_both(edit) -> None:
    footage = edit.movie("Interview", 1)
    blur = edit.effect("Blur", "GAUSSIAN_BLUR", 2, 1, 61, footage)
    dubbed = edit.dub(footage, 10, 40)
    meta = dubbed.parent_meta()
    assert blur.input_1 == meta == footage.parent_meta()
    assert (meta.channel, *handles(meta)) == (1, 1, 61)
    assert (blur.channel, *handles(blur)) == (2, 1, 61)
    assert dubbed.channel == footage.channel + 1


def test_footage_inside_a_meta_strip_is_dubbed_inside_it(edit) -> None:
    footage = edit.movie("Interview", 1)
    meta = edit.strips.new_meta("Scene", 5, 1)
    set_duration(meta, LENGTH)
    footage.move_to_meta(meta)
    dubbed = edit.dub(footage, 10, 40)
    assert (dubbed.parent_meta(), dubbed.channel) == (meta, 2)
    assert list(edit.strips) == [meta]


def test_both_sides_of_a_transition_can_be_dubbed(edit) -> None:
    one, other = edit.movie("Interview", 1), edit.movie("Answer", 2, 46)
    transition = edit.effect("Cross", "CROSS", 3, 46, 61, one, other)
    one.filepath = other.filepath = str(edit.takes["dubbed"])
    truth = {frame: edit.look(frame) for frame in (30, 50, 60, 70)}
    one.filepath = other.filepath = str(edit.takes["filmed"])
    both = edit.dub(one, 20, 61), edit.dub(other, 46, 90)
    assert (transition.input_1, transition.input_2) == both
    assert_looks(edit, truth)


def test_a_meta_strip_stands_for_the_footage_in_it(edit, module) -> None:
    footage = edit.movie("Interview", 1)
    edit.movie("Other", 5)
    key(footage, "blend_alpha", at_1=0.0, at_20=1.0)
    meta = edit.dub(footage, 1, 30).parent_meta()
    edit.scene.s2l.footage_strip, edit.scene.sequence_editor.active_strip = "", meta
    assert module("s2l_blender_addon.sequencer.strips").footage(edit.scene) == footage


def test_a_new_version_takes_the_place_of_a_result_whose_footage_is_gone(edit) -> None:
    footage = edit.movie("Interview", 1)
    footage.color_saturation = 0.5
    title, first = edit.effect("Title", "TEXT", 2), edit.dub(footage, 1, 30)
    edit.strips.remove(footage)
    edit.scene.sequence_editor.active_strip = first
    assert bpy.ops.s2l.redo() == {"FINISHED"}
    again = edit.scene.sequence_editor.active_strip
    assert [strip.channel for strip in (first, again, title)] == [2, 3, 4]
    assert (first.mute, again.mute, again.color_saturation) == (True, False, 0.5)


def test_one_undo_takes_a_dub_back(edit) -> None:
    footage = edit.movie("Interview", 1)
    edit.effect("Blur", "GAUSSIAN_BLUR", 2, 1, 61, footage)
    edit.effect("Title", "TEXT", 3)

    def stack() -> list:
        return [(s.name, s.channel, s.type, s.blend_type) for s in bpy.context.scene.sequence_editor.strips_all]

    voice = edit.voice(10, 40)
    edit.monkeypatch.setenv("S2L_FAKE_PICTURES", str(edit.pictures["dubbed"]))
    edit.scene.s2l.footage_strip, edit.scene.s2l.dub.sound_strip = footage.name, voice.name
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.ed.undo_push(message="Edit")
        before = stack()
        assert bpy.ops.s2l.dub_strip() == {"FINISHED"}
        assert stack() != before
        bpy.ops.ed.undo()
    assert stack() == before


@pytest.mark.parametrize("change", ["fade", "blur", "cross", "tint", "plain"])
def test_a_mouth_lies_over_its_footage_whatever_becomes_of_that(edit, change) -> None:
    edit.scene.s2l.dub.layer = "mouth"
    edit.effect("Back", "COLOR", 1).color = (0.1, 0.3, 0.8)
    footage = edit.movie("Interview", 2)
    match change:
        case "fade":
            key(footage, "blend_alpha", at_1=0.0, at_40=1.0)
        case "blur":
            edit.effect("Blur", "GAUSSIAN_BLUR", 3, 1, 61, footage).size_x = 3
        case "cross":
            edit.effect("Cross", "CROSS", 4, 31, 61, footage, edit.movie("Other", 3, 31, "again"))
        case "tint":
            footage.blend_type = "MULTIPLY"
    truth = {frame: edit.expected(footage, frame, "dubbed" if frame < 50 else "filmed") for frame in (5, 20, 45, 55)}
    edit.dub(footage, 1, 50, "mouth")
    assert_looks(edit, truth)


def test_a_dub_of_words_outside_the_footage_lies_above_it(edit) -> None:
    footage = edit.movie("Interview", 3)
    dubbed = edit.dub(footage, 81, 101)
    assert (dubbed.channel, *handles(dubbed)) == (4, 81, 101)


def test_a_result_is_inserted_although_its_footage_is_gone(edit, module, movie) -> None:
    library = module("s2l_blender_addon.sequencer.strips")
    edit.scene.sequence_editor.channels[1].mute = True
    strip = module("s2l_blender_addon.sequencer.placing").insert_result(
        library.Placement(edit.scene.name, "Gone", "Gone", 5, 25), str(movie), module("s2l_core.jobs").Encoding()
    )
    assert (strip.channel, *handles(strip)) == (2, 5, 25)


def test_a_full_sequencer_gets_a_sentence_and_stays_as_it_is(edit, module) -> None:
    footage = edit.movie("Interview", 1)
    for channel in range(2, 129):
        edit.effect("Colour", "COLOR", channel)
    before = [(strip.name, strip.channel) for strip in edit.strips]
    placement = module("s2l_blender_addon.sequencer.strips").Placement(edit.scene.name, footage.name, "Line", 1, 31)
    with pytest.raises(module("s2l_core.errors").BadJob, match="channel"):
        module("s2l_blender_addon.sequencer.placing").insert_result(
            placement, str(edit.takes["dubbed"]), module("s2l_core.jobs").Encoding()
        )
    assert [(strip.name, strip.channel) for strip in edit.strips] == before


def speed_up(edit, footage) -> None:
    edit.effect("Faster", "SPEED", 2, 1, 61, footage)


def speed_up_its_meta(edit, footage) -> None:
    meta = edit.strips.new_meta("Scene", 5, 1)
    set_duration(meta, LENGTH)
    footage.move_to_meta(meta)
    edit.effect("Faster", "SPEED", 6, 1, 61, meta)


def change_its_speed_smoothly(edit, footage) -> None:
    """Set the flag that marks the end of a transition: without a window no operator selects keys to add one."""
    edit.scene.sequence_editor.active_strip = footage
    with sequencer_override(edit.scene):
        bpy.ops.sequencer.retiming_key_add(timeline_frame=30)
    flag_offset = edit.module("s2l_blender_addon.sequencer.retiming")._FLAG_OFFSET
    ctypes.c_int.from_address(footage.retiming_keys[1].as_pointer() + flag_offset).value |= 1


def change_its_colours(edit, footage) -> None:
    edit.scene.s2l.dub.format, footage.colorspace_settings.name = "exr", "Non-Color"


def show_a_scene(edit, footage) -> None:
    edit.strips.remove(footage)
    edit.scene.s2l.footage_strip = ""
    edit.scene.sequence_editor.active_strip = edit.strips.new_scene("Take", bpy.data.scenes.new("Set"), 3, 1)


def show_a_clip(edit, footage) -> None:
    edit.strips.remove(footage)
    edit.scene.s2l.footage_strip = ""
    clip = bpy.data.movieclips.load(str(edit.takes["filmed"]))
    edit.scene.sequence_editor.active_strip = edit.strips.new_clip("Take", clip, 3, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (speed_up, "Speed Control"),
        (speed_up_its_meta, "Speed Control"),
        (change_its_speed_smoothly, "changes smoothly: remove the transition"),
        (change_its_colours, "EXR pictures are linear"),
        (show_a_scene, "shows a scene: render it to a movie"),
        (show_a_clip, "shows a movie clip: add its file as a movie strip"),
    ],
)
def test_what_a_dub_cannot_follow_is_said_before_it_starts(edit, module, change, words) -> None:
    footage = edit.movie("Interview", 1)
    edit.scene.s2l.footage_strip, edit.scene.s2l.dub.sound_strip = footage.name, edit.voice(1, 30).name
    change(edit, footage)
    assert words in module("operators").S2L_OT_dub_strip.disabled_reason(bpy.context)
