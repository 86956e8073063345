"""Save the present settings of training and dubbing as a preset."""

from __future__ import annotations

import bpy
from bl_operators.presets import AddPresetBase

from ..s2l_blender_addon.presets import SUBFOLDER


class S2L_OT_add_preset(AddPresetBase, bpy.types.Operator):
    bl_idname = "s2l.add_preset"
    bl_label = "Add Preset"
    bl_description = "Save the settings of training and dubbing as a preset, or remove a preset"
    preset_menu = "S2L_PT_presets"
    preset_subdir = SUBFOLDER
    preset_defines = (
        "settings = getattr(bpy.context, 'sequencer_scene', None) or bpy.context.scene",
        "settings = settings.s2l",
    )
    preset_values = (
        "settings.train.preset",
        "settings.dub.layer",
        "settings.dub.format",
        "settings.dub.crf",
        "settings.dub.use_silence_level",
        "settings.dub.silence_db",
        "settings.dub.rest_strength",
        "settings.still.blinks",
        "settings.still.head_motion",
    )
