"""The tab "Speech2Lip" in the sidebar of the sequencer, and its entries in the strip menus."""

from __future__ import annotations

import bpy

from ..operators import (
    S2L_OT_cancel_job,
    S2L_OT_check_footage,
    S2L_OT_copy_report,
    S2L_OT_dub_strip,
    S2L_OT_train_speaker,
)
from ..s2l_blender_addon import jobs, preview, strips
from ..s2l_blender_addon.compat import sequencer_scene
from .sentences import draw_lines

PREVIEW_SCALE = 8.0
VERDICT_ICONS = {"good": "CHECKMARK", "usable": "INFO", "poor": "ERROR"}


class SequencerPanel:
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Speech2Lip"


class S2L_PT_job(SequencerPanel, bpy.types.Panel):
    """The running job, or how the last one ended."""

    bl_label = "Job"
    bl_order = 0

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return jobs.current() is not None or jobs.outcome() is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        if client := jobs.current():
            layout.progress(factor=jobs.fraction(client.progress), text=jobs.describe(client.progress))
            if note := jobs.note(client.progress):
                layout.label(text=note)
            if picture := preview.icon():
                layout.template_icon(icon_value=picture.icon_id, scale=PREVIEW_SCALE)
            layout.operator(S2L_OT_cancel_job.bl_idname, icon="CANCEL")
        elif outcome := jobs.outcome():
            icon = "ERROR" if outcome.failed else "CHECKMARK"
            draw_lines(layout, outcome.text, context.region.width, icon)
            if outcome.failed:
                layout.operator(S2L_OT_copy_report.bl_idname, icon="COPYDOWN")


class S2L_PT_footage(SequencerPanel, bpy.types.Panel):
    bl_label = "Footage"
    bl_order = 1

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
    bl_order = 2

    def draw(self, context: bpy.types.Context) -> None:
        layout, train = self.layout, sequencer_scene(context).s2l.train
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(train, "speaker_name")
        layout.prop(train, "preset")
        layout.prop(train, "folder", placeholder="Beside the .blend file")
        layout.operator(S2L_OT_train_speaker.bl_idname)


class S2L_PT_dub(SequencerPanel, bpy.types.Panel):
    bl_label = "Dub"
    bl_order = 3

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, sequencer_scene(context)
        layout.use_property_split, layout.use_property_decorate = True, False
        speech = strips.speech(scene)
        layout.prop(scene.s2l.dub, "speaker_path")
        layout.prop(scene.s2l.dub, "sound_strip", icon="SOUND", placeholder=speech.name if speech else "")
        layout.prop(scene.s2l.dub, "folder", placeholder="Beside the .blend file")
        layout.operator(S2L_OT_dub_strip.bl_idname)


class S2L_MT_strip(bpy.types.Menu):
    bl_idname = "S2L_MT_strip"
    bl_label = "Speech2Lip"

    def draw(self, context: bpy.types.Context) -> None:
        for operator in (S2L_OT_check_footage, S2L_OT_train_speaker, S2L_OT_dub_strip):
            self.layout.operator(operator.bl_idname)


CLASSES = (S2L_PT_job, S2L_PT_footage, S2L_PT_train, S2L_PT_dub, S2L_MT_strip)


def _draw_submenu(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.menu(S2L_MT_strip.bl_idname)


def register() -> None:
    for menu in (bpy.types.SEQUENCER_MT_strip, bpy.types.SEQUENCER_MT_context_menu):
        menu.append(_draw_submenu)


def unregister() -> None:
    for menu in (bpy.types.SEQUENCER_MT_strip, bpy.types.SEQUENCER_MT_context_menu):
        menu.remove(_draw_submenu)
