"""The visible label of synthetic parts, in the sidebar of the sequencer."""

from __future__ import annotations

import bpy

from ..operators import S2L_OT_add_label
from ..s2l_blender_addon.compat import sequencer_scene
from .sequencer import SequencerPanel


class S2L_PT_label(SequencerPanel, bpy.types.Panel):
    bl_label = "Label"
    bl_order = 6
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, label = self.layout, sequencer_scene(context).s2l.label
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(label, "language")
        layout.prop(label, "position")
        layout.prop(label, "is_throughout")
        row = layout.row()
        row.active = not label.is_throughout
        row.prop(label, "seconds")
        layout.operator(S2L_OT_add_label.bl_idname, icon="FONT_DATA")


CLASSES = (S2L_PT_label,)
