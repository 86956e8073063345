"""The keyboard shortcuts of the add-on in the sequencer."""

from __future__ import annotations

import bpy

PREVIEW_KEY = "D"

_items: list[tuple[bpy.types.KeyMap, bpy.types.KeyMapItem]] = []


def register() -> None:
    keymaps = bpy.context.window_manager.keyconfigs.addon
    if keymaps is None:  # Blender has no window
        return
    keymap = keymaps.keymaps.new(name="Sequencer", space_type="SEQUENCE_EDITOR")
    _items.append((keymap, keymap.keymap_items.new("s2l.preview_frame", PREVIEW_KEY, "PRESS", ctrl=True, alt=True)))


def unregister() -> None:
    for keymap, item in _items:
        keymap.keymap_items.remove(item)
    _items.clear()
