"""Presets, menus and keys."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest

# Where a key is pressed over the sequencer, Blender looks into these one after the other.
KEYMAPS = (
    "Sequencer",
    "SequencerCommon",
    "Sequencer Preview",
    "Markers",
    "Frames",
    "Screen",
    "Screen Editing",
    "Window",
)
MODIFIERS = ("ctrl", "alt", "shift", "oskey")
PRESETS = {"draft": ("draft", "auto", 23), "balanced": ("balanced", "auto", 17), "final": ("final", "prores", 17)}


def execute(name: str) -> None:
    (path,) = (path for folder in bpy.utils.preset_paths("s2l") for path in Path(folder).glob(f"{name}.py"))
    bpy.ops.script.execute_preset(filepath=str(path), menu_idname="S2L_PT_presets")


@pytest.mark.parametrize("name", PRESETS)
def test_shipped_presets_set_training_and_output(scene, name) -> None:
    scene.s2l.dub.layer, scene.s2l.dub.format = "mouth", "ffv1"
    execute(name)
    assert (scene.s2l.train.preset, scene.s2l.dub.format, scene.s2l.dub.crf) == PRESETS[name]
    assert scene.s2l.dub.layer == "picture"


def test_own_settings_are_kept_as_a_preset_and_come_back(scene) -> None:
    scene.s2l.dub.layer, scene.s2l.dub.format, scene.s2l.dub.rest_strength = "mouth", "png", 0.25
    bpy.ops.s2l.add_preset(name="Overlay")
    execute("balanced")
    execute("Overlay")
    assert (scene.s2l.dub.layer, scene.s2l.dub.format, scene.s2l.dub.rest_strength) == ("mouth", "png", 0.25)
    bpy.ops.s2l.add_preset(name="Overlay", remove_name=True)
    assert not [path for folder in bpy.utils.preset_paths("s2l") for path in Path(folder).glob("Overlay.py")]


def test_our_key_is_nobody_elses() -> None:
    (ours,) = (
        item
        for keymap in bpy.context.window_manager.keyconfigs.addon.keymaps
        for item in keymap.keymap_items
        if item.idname.startswith("s2l.")
    )
    path = Path(bpy.utils.preset_paths("keyconfig")[0]) / "keymap_data" / "blender_default.py"
    defaults = bpy.utils.execfile(str(path))
    taken = {
        (event["type"], *(event.get(modifier, 0) for modifier in MODIFIERS))
        for name, _, content in defaults.generate_keymaps(defaults.Params())
        if name in KEYMAPS
        for _, event, _ in content["items"]
    }
    assert len(taken) > 100
    assert (ours.type, *(getattr(ours, modifier) for modifier in MODIFIERS)) not in taken


def test_the_add_menu_offers_a_dubbed_strip() -> None:
    drawn = [function.__module__ for function in bpy.types.SEQUENCER_MT_add.draw._draw_funcs]
    assert any(name.endswith("panels.sequencer") for name in drawn)
