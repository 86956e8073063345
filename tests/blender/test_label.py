"""Add Label: a visible note over everything synthetic, whatever lies around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from versions import handles, new_effect, set_format, set_handles

SIZE = 240


@pytest.fixture
def dubbed(scene: Any, strips: Any) -> Any:
    """A result on frames 101 to 150: a green picture."""
    return result(strips, "Dubbed", 3, 101, 151)


def result(strips: Any, name: str, channel: int, first: int, end: int) -> Any:
    strip = new_effect(strips, name, "COLOR", channel, first, end)
    strip.color, strip["s2l_job"] = (0.0, 0.5, 0.0), "{}"
    return strip


def labels(scene: Any) -> list[Any]:
    return [strip for strip in scene.sequence_editor.strips_all if "s2l_label" in strip]


def spans(scene: Any) -> list[tuple[int, int]]:
    return sorted(handles(strip) for strip in labels(scene))


def render(scene: Any, frame: int, folder: Path) -> np.ndarray:
    """The picture of a frame, (SIZE, 2 * SIZE, 3) in [0, 1] from the top."""
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 2 * SIZE, SIZE, 100
    scene.view_settings.view_transform = "Standard"
    set_format(scene, "PNG")
    scene.frame_current, scene.render.filepath = frame, str(folder / f"{frame}.png")
    bpy.ops.render.render(write_still=True, scene=scene.name)
    image = bpy.data.images.load(scene.render.filepath)
    values = np.array(image.pixels[:]).reshape(SIZE, 2 * SIZE, -1)[::-1, :, :3]
    bpy.data.images.remove(image)
    return values


def test_nothing_synthetic_needs_no_label(scene: Any, strips: Any) -> None:
    new_effect(strips, "Colour", "COLOR", 1, 1, 50)
    assert not bpy.ops.s2l.add_label.poll()


def test_the_render_shows_the_label_above_the_synthetic_part_alone(
    scene: Any, strips: Any, dubbed: Any, tmp_path: Path
) -> None:
    new_effect(strips, "Title", "COLOR", 5, 90, 200).blend_alpha = 0.0
    scene.render.resolution_x, scene.render.resolution_y = 2 * SIZE, SIZE
    assert bpy.ops.s2l.add_label() == {"FINISHED"}
    (label,) = labels(scene)
    assert (label.channel, handles(label), label.text) == (6, (101, 151), "AI MODIFIED")
    shown, after = render(scene, 120, tmp_path), render(scene, 160, tmp_path)
    corner, rest = shown[: SIZE // 4, :SIZE], shown[SIZE // 4 :]
    assert corner.max() > 0.95 and corner[..., 1].min() < 0.4  # letters, and the box behind them
    assert np.ptp(rest.reshape(-1, 3), axis=0).max() < 0.01
    assert np.ptp(after.reshape(-1, 3), axis=0).max() < 0.01


def test_a_second_click_replaces_the_labels_and_nothing_else(scene: Any, strips: Any, dubbed: Any) -> None:
    own = new_effect(strips, "AI Label", "TEXT", 8, 101, 151)
    bpy.ops.s2l.add_label()
    scene.s2l.label.language, scene.s2l.label.position = "de", "BOTTOM_RIGHT"
    bpy.ops.s2l.add_label()
    (label,) = labels(scene)
    assert (label.text, label.channel) == ("AI · MIT KI VERÄNDERT", 9)
    assert (label.anchor_x, label.anchor_y) == ("RIGHT", "BOTTOM")
    assert own.name == "AI Label" and handles(own) == (101, 151)


def test_labels_go_when_nothing_is_synthetic_any_more(scene: Any, strips: Any, dubbed: Any) -> None:
    bpy.ops.s2l.add_label()
    strips.remove(dubbed)
    bpy.ops.s2l.add_label()
    assert spans(scene) == []
    assert not bpy.ops.s2l.add_label.poll()


def test_parts_that_touch_have_one_label_and_others_their_own(scene: Any, strips: Any, dubbed: Any) -> None:
    result(strips, "Next", 2, 151, 171)
    result(strips, "Over", 4, 140, 160)
    result(strips, "Later", 2, 300, 400)
    result(strips, "Muted", 2, 500, 600).mute = True
    bpy.ops.s2l.add_label()
    assert spans(scene) == [(101, 171), (300, 400)]
    scene.s2l.label.is_throughout, scene.s2l.label.seconds = False, 2.0
    bpy.ops.s2l.add_label()
    assert spans(scene) == [(101, 151), (300, 350)]


def test_results_in_meta_strips_are_labelled_where_the_meta_strip_shows_them(
    scene: Any, strips: Any, dubbed: Any
) -> None:
    meta = strips.new_meta("Meta", 6, 101)
    set_handles(meta, 101, 151)
    dubbed.move_to_meta(meta)
    set_handles(meta, 111, 141)
    bpy.ops.s2l.add_label()
    (label,) = labels(scene)
    assert (handles(label), label.channel, label.parent_meta()) == ((111, 141), 7, None)
    meta.mute = True
    bpy.ops.s2l.add_label()
    assert spans(scene) == []


def test_transitions_are_labelled_as_far_as_the_result_is_seen(scene: Any, strips: Any, dubbed: Any) -> None:
    other = new_effect(strips, "Other", "COLOR", 2, 141, 200)
    new_effect(strips, "Cross", "CROSS", 4, 141, 151, dubbed, other)
    bpy.ops.s2l.add_label()
    assert spans(scene) == [(101, 151)]


def test_a_scene_with_a_head_is_labelled(scene: Any, strips: Any) -> None:
    shown = bpy.data.scenes.new("Stage")
    head = bpy.data.objects.new("Head", None)
    shown.collection.objects.link(head)
    strips.new_scene("Stage", shown, 1, 1)
    assert not bpy.ops.s2l.add_label.poll()
    head.s2l.is_head = True
    assert bpy.ops.s2l.add_label() == {"FINISHED"}
    assert len(labels(scene)) == 1


def test_every_language_has_words(module: Any) -> None:
    visible = module("s2l_blender_addon.sequencer.visible_label")
    texts = {visible.text_in(language) for language in visible.LANGUAGES}
    assert len(texts) == len(visible.LANGUAGES) == 24
    assert all(text.startswith("AI") for text in texts)
