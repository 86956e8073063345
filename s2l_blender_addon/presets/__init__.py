"""The presets that come with the add-on: scripts that set properties, in a folder as Blender expects it."""

from __future__ import annotations

from pathlib import Path

import bpy

SUBFOLDER = "s2l"


def register() -> None:
    bpy.utils.register_preset_path(_path())


def unregister() -> None:
    bpy.utils.unregister_preset_path(_path())


def _path() -> str:
    return str(Path(__file__).parents[1])
