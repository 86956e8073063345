"""The tab "Speech2Lip" in the sidebar of the sequencer, and its entries in the strip menus."""

from __future__ import annotations

import bpy

from ..operators import S2L_OT_check_footage, S2L_OT_create_head, S2L_OT_dub_all, S2L_OT_dub_strip, S2L_OT_train_speaker
from ..s2l_blender_addon import strips
from ..s2l_blender_addon.compat import sequencer_scene
from .queue import QueuePanel
from .sentences import draw_lines

VERDICT_ICONS = {"good": "CHECKMARK", "usable": "INFO", "poor": "ERROR"}


class SequencerPanel:
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Speech2Lip"


class S2L_PT_queue(SequencerPanel, QueuePanel, bpy.types.Panel):
    pass


class S2L_PT_footage(SequencerPanel, bpy.types.Panel):
    bl_label = "Footage"
    bl_order = 2

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, sequencer_scene(context)
        layout.use_property_split, layout.use_property_decorate = True, False
        footage = strips.footage(scene)
        layout.prop(scene.s2l, "footage_strip", icon="FILE_MOVIE", placeholder=footage.name if footage else "")
        layout.operator(S2L_OT_check_footage.bl_idname)
        check = scene.s2l.check
        if footage and check.verdict and check.footage == strips.media_path(footage):
            layout.label(text=f"The footage is {check.verdict}", icon=VERDICT_ICONS.get(check.verdict, "NONE"))
            draw_lines(layout, check.advice, context.region.width)


class S2L_PT_train(SequencerPanel, bpy.types.Panel):
    bl_label = "Train"
    bl_order = 3

    def draw(self, context: bpy.types.Context) -> None:
        layout, train = self.layout, sequencer_scene(context).s2l.train
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(train, "speaker_name")
        layout.prop(train, "preset")
        layout.prop(train, "folder", placeholder="Beside the .blend file")
        layout.operator(S2L_OT_train_speaker.bl_idname)


class S2L_PT_dub(SequencerPanel, bpy.types.Panel):
    bl_label = "Dub"
    bl_order = 4

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, sequencer_scene(context)
        layout.use_property_split, layout.use_property_decorate = True, False
        dub, footage = scene.s2l.dub, strips.footage(scene)
        layout.prop(dub, "speaker_path")
        if footage:
            layout.prop(footage.s2l, "speaker_path", text="For This Strip", placeholder="As above")
        if sound := strips.active_sound(scene):
            layout.prop(sound.s2l, "drives", icon="FILE_MOVIE", placeholder="Any")
        speech = ", ".join(strip.name for strip in strips.voices(scene))
        layout.prop(dub, "sound_strip", icon="SOUND", placeholder=speech)
        row = layout.row(align=True)
        row.operator(S2L_OT_dub_strip.bl_idname)
        row.operator(S2L_OT_dub_all.bl_idname)


class S2L_PT_output(SequencerPanel, bpy.types.Panel):
    bl_label = "Output"
    bl_parent_id = "S2L_PT_dub"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, dub = self.layout, sequencer_scene(context).s2l.dub
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(dub, "layer")
        layout.prop(dub, "format")
        if dub.format == "h264":
            layout.prop(dub, "crf")
        layout.prop(dub, "folder", placeholder="Beside the .blend file")


class S2L_PT_silence(SequencerPanel, bpy.types.Panel):
    bl_label = "Silence"
    bl_parent_id = "S2L_PT_dub"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, dub = self.layout, sequencer_scene(context).s2l.dub
        layout.use_property_split = True
        layout.prop(dub, "silence_db")
        layout.prop(dub, "rest_strength")


class S2L_MT_strip(bpy.types.Menu):
    bl_idname = "S2L_MT_strip"
    bl_label = "Speech2Lip"

    def draw(self, context: bpy.types.Context) -> None:
        for operator in (S2L_OT_check_footage, S2L_OT_train_speaker, S2L_OT_dub_strip, S2L_OT_create_head):
            self.layout.operator(operator.bl_idname)


CLASSES = (S2L_PT_queue, S2L_PT_footage, S2L_PT_train, S2L_PT_dub, S2L_PT_output, S2L_PT_silence, S2L_MT_strip)


def _draw_submenu(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.menu(S2L_MT_strip.bl_idname)


def register() -> None:
    for menu in (bpy.types.SEQUENCER_MT_strip, bpy.types.SEQUENCER_MT_context_menu):
        menu.append(_draw_submenu)


def unregister() -> None:
    for menu in (bpy.types.SEQUENCER_MT_strip, bpy.types.SEQUENCER_MT_context_menu):
        menu.remove(_draw_submenu)
