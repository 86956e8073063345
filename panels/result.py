"""The active result strip: its origin, what looks bad in it, and buttons to dub it again."""

from __future__ import annotations

import bpy

from ..operators import S2L_OT_redo, S2L_OT_redo_with_changes, S2L_OT_verify_result
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.queue import provenance
from ..s2l_blender_addon.sentences import draw_lines
from ..s2l_blender_addon.sequencer import results


class S2L_PT_result(bpy.types.Panel):
    bl_label = "Result"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Speech2Lip"
    bl_order = 1

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return results.active(sequencer_scene(context)) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout, strip = self.layout, results.active(sequencer_scene(context))
        made = provenance.of(strip)
        layout.label(text="Synthetic media", icon="INFO")
        for name, value in made.facts:
            row = layout.split(factor=0.35)
            row.label(text=name)
            row.label(text=value)
        if made.untouched:
            layout.label(text="Left unchanged:")
            draw_lines(layout, "\n".join(made.untouched), context.region.width)
        draw_lines(layout, "\n".join(made.warnings), context.region.width, icon="ERROR")
        draw_lines(layout, made.credentials or "How it is signed is not known: press Verify.", context.region.width)
        layout.operator(S2L_OT_redo.bl_idname)
        layout.operator(S2L_OT_redo_with_changes.bl_idname)
        layout.operator(S2L_OT_verify_result.bl_idname)
        if strip.s2l.verdict:
            icon = "CHECKMARK" if strip.s2l.is_valid else "ERROR"
            draw_lines(layout, strip.s2l.verdict, context.region.width, icon)


CLASSES = (S2L_PT_result,)
