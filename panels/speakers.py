"""The list of speakers in the sidebar of the sequencer."""

from __future__ import annotations

import bpy

from ..operators import S2L_OT_add_speaker, S2L_OT_remove_speaker, S2L_OT_revoke_consent, S2L_OT_use_speaker
from ..s2l_blender_addon import speakers
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.pictures import thumbnails
from ..s2l_blender_addon.sentences import draw_lines
from .sequencer import SequencerPanel

PICTURE_SCALE = 5.0


class S2L_UL_speakers(bpy.types.UIList):
    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.PropertyGroup,
        item: bpy.types.PropertyGroup,
        icon: int,
        active_data: bpy.types.PropertyGroup,
        active_property: str,
    ) -> None:
        row = layout.row()
        row.label(text=item.name, icon_value=thumbnails.icon(speakers.picture_path(item.path)))
        row.label(text=item.quality, icon="CANCEL" if item.has_ended else "NONE")


class S2L_PT_speakers(SequencerPanel, bpy.types.Panel):
    bl_label = "Speakers"
    bl_order = 5

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, sequencer_scene(context)
        row = layout.row()
        row.template_list(
            "S2L_UL_speakers",
            "",
            scene.s2l,
            "speakers",
            scene.s2l,
            "speaker_index",
            rows=3,
            item_dyntip_propname="path",
        )
        column = row.column(align=True)
        column.operator(S2L_OT_add_speaker.bl_idname, text="", icon="ADD")
        column.operator(S2L_OT_remove_speaker.bl_idname, text="", icon="REMOVE")
        if speaker := speakers.chosen(scene):
            if picture := thumbnails.icon(speakers.picture_path(speaker.path)):
                layout.template_icon(icon_value=picture, scale=PICTURE_SCALE)
            draw_lines(layout, speaker.facts, context.region.width)
            layout.label(text=speaker.consent, icon="CANCEL" if speaker.has_ended else "NONE")
            layout.operator(S2L_OT_use_speaker.bl_idname)
            layout.operator(S2L_OT_revoke_consent.bl_idname)


CLASSES = (S2L_UL_speakers, S2L_PT_speakers)
