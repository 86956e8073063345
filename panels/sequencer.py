"""The tab "Speech2Lip" in the sidebar of the sequencer, and its entries in the strip menus."""

from __future__ import annotations

import bpy
from bl_ui.utils import PresetPanel

from ..operators import (
    S2L_OT_add_label,
    S2L_OT_add_preset,
    S2L_OT_check_footage,
    S2L_OT_create_head,
    S2L_OT_dub_all,
    S2L_OT_dub_still,
    S2L_OT_dub_strip,
    S2L_OT_estimate_dub,
    S2L_OT_estimate_still,
    S2L_OT_estimate_training,
    S2L_OT_find_faces,
    S2L_OT_fix_offset,
    S2L_OT_measure_offset,
    S2L_OT_preview_frame,
    S2L_OT_preview_still,
    S2L_OT_submit,
    S2L_OT_train_speaker,
)
from ..operators.audio_offset import describe
from ..operators.train import draw_consent
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.pictures import faces
from ..s2l_blender_addon.pictures import frame as frame_picture
from ..s2l_blender_addon.presets import SUBFOLDER
from ..s2l_blender_addon.sentences import draw_lines
from ..s2l_blender_addon.sequencer import strips
from .queue import QueuePanel

PICTURE_SCALE = 8.0
FACE_SCALE, FACE_POPUP_SCALE = 4.0, 5.0
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
        if footage:
            own = "Sound of the movie" if footage.type == "MOVIE" else ""
            layout.prop(footage.s2l, "voice", icon="SOUND", placeholder=own)
        layout.operator(S2L_OT_check_footage.bl_idname)
        if not strips.picture(scene):  # of which the button, in the panel Still, finds the people
            _draw_faces(layout, scene, footage)
        check = scene.s2l.check
        if footage and check.verdict and strips.was_checked(scene, footage):
            layout.label(text=f"The footage is {check.verdict}", icon=VERDICT_ICONS.get(check.verdict, "NONE"))
            draw_lines(layout, check.advice, context.region.width)


class S2L_PT_offset(SequencerPanel, bpy.types.Panel):
    bl_label = "Audio Offset"
    bl_parent_id = "S2L_PT_footage"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, offset = self.layout, sequencer_scene(context).s2l.offset
        row = layout.row(align=True)
        row.operator(S2L_OT_measure_offset.bl_idname, text="Measure")
        row.operator(S2L_OT_fix_offset.bl_idname, text="Fix")
        if offset.sound:
            layout.label(text=offset.sound, icon="SOUND")
            draw_lines(layout, describe(offset), context.region.width)


class S2L_PT_track(SequencerPanel, bpy.types.Panel):
    bl_label = "Sound Track"
    bl_parent_id = "S2L_PT_footage"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, sequencer_scene(context)
        layout.use_property_split, layout.use_property_decorate = True, False
        for strip in filter(None, (strips.footage(scene), strips.active_sound(scene))):
            layout.label(text=strip.name, icon="SOUND")
            layout.prop(strip.s2l, "track")


class S2L_PT_presets(PresetPanel, bpy.types.Panel):
    bl_label = "Presets"
    preset_subdir = SUBFOLDER
    preset_operator = "script.execute_preset"
    preset_add_operator = S2L_OT_add_preset.bl_idname


class S2L_PT_train(SequencerPanel, bpy.types.Panel):
    bl_label = "Train"
    bl_order = 3

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        S2L_PT_presets.draw_panel_header(self.layout)

    def draw(self, context: bpy.types.Context) -> None:
        layout, train = self.layout, sequencer_scene(context).s2l.train
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(train, "speaker_name")
        layout.prop(train, "preset")
        layout.prop(train, "any_sound")
        layout.prop(train, "folder", placeholder="Beside the .blend file")
        row = layout.row(align=True)
        row.operator(S2L_OT_train_speaker.bl_idname)
        row.operator(S2L_OT_estimate_training.bl_idname, text="", icon="TIME")
        if train.estimate:
            draw_lines(layout, train.estimate, context.region.width)


class S2L_PT_consent(SequencerPanel, bpy.types.Panel):
    """Details of the consent of the speaker to be trained."""

    bl_label = "Consent"
    bl_parent_id = "S2L_PT_train"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        train = sequencer_scene(context).s2l.train
        draw_consent(self.layout, train, train.speaker_name)


class S2L_PT_dub(SequencerPanel, bpy.types.Panel):
    bl_label = "Dub"
    bl_order = 4

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, sequencer_scene(context)
        layout.use_property_split, layout.use_property_decorate = True, False
        dub, picture = scene.s2l.dub, strips.picture(scene)
        if not picture:
            _draw_speaker(layout, dub, strips.footage(scene))
        if sound := strips.active_sound(scene):
            layout.prop(sound.s2l, "drives", icon="FILE_MOVIE", placeholder="Any")
        speech = ", ".join(strip.name for strip in strips.voices(scene, picture))
        layout.prop(dub, "sound_strip", icon="SOUND", placeholder=speech)
        if picture:
            layout.prop(picture.s2l, "consent")
        row = layout.row(align=True)
        row.operator((S2L_OT_dub_still if picture else S2L_OT_dub_strip).bl_idname)
        row.operator(S2L_OT_dub_all.bl_idname)
        row.operator(S2L_OT_submit.bl_idname)
        row.operator(S2L_OT_estimate_dub.bl_idname, text="", icon="TIME")
        if dub.estimate:
            draw_lines(layout, dub.estimate, context.region.width)
        layout.operator(S2L_OT_preview_frame.bl_idname)
        if picture := frame_picture.icon():
            layout.template_icon(icon_value=picture, scale=PICTURE_SCALE)


class S2L_PT_still(SequencerPanel, bpy.types.Panel):
    """The settings of stills, and the buttons for those of footage: a single picture has them in the panel Dub."""

    bl_label = "Still"
    bl_parent_id = "S2L_PT_dub"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, sequencer_scene(context)
        layout.use_property_split, layout.use_property_decorate = True, False
        still, picture, strip = scene.s2l.still, strips.picture(scene), strips.picture_or_footage(scene)
        _draw_speaker(layout, still, strip, "Built-in")
        layout.prop(still, "blinks")
        layout.prop(still, "head_motion")
        if picture:
            _draw_faces(layout, scene, picture)
        elif strip:
            layout.prop(strip.s2l, "consent")
            row = layout.row(align=True)
            row.operator(S2L_OT_dub_still.bl_idname)
            row.operator(S2L_OT_estimate_still.bl_idname, text="", icon="TIME")
            if still.estimate:
                draw_lines(layout, still.estimate, context.region.width)
            layout.operator(S2L_OT_preview_still.bl_idname)


class S2L_PT_still_consent(SequencerPanel, bpy.types.Panel):
    """Details of the consent of the person in the picture that is to speak."""

    bl_label = "Consent"
    bl_parent_id = "S2L_PT_still"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return strips.picture_or_footage(sequencer_scene(context)) is not None

    def draw(self, context: bpy.types.Context) -> None:
        strip: bpy.types.Strip = strips.picture_or_footage(sequencer_scene(context))
        draw_consent(self.layout, strip.s2l, strip.name)


class S2L_PT_output(SequencerPanel, bpy.types.Panel):
    bl_label = "Output"
    bl_parent_id = "S2L_PT_dub"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, dub = self.layout, sequencer_scene(context).s2l.dub
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(dub, "layer")
        layout.prop(dub, "format")
        if dub.format in ("auto", "h264"):
            layout.prop(dub, "crf")
        layout.prop(dub, "folder", placeholder="Beside the .blend file")


class S2L_PT_silence(SequencerPanel, bpy.types.Panel):
    bl_label = "Silence"
    bl_parent_id = "S2L_PT_dub"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, dub = self.layout, sequencer_scene(context).s2l.dub
        layout.use_property_split = True
        layout.prop(dub, "use_silence_level")
        level = layout.row()
        level.active = dub.use_silence_level
        level.prop(dub, "silence_db")
        layout.prop(dub, "rest_strength")


class S2L_MT_strip(bpy.types.Menu):
    bl_idname = "S2L_MT_strip"
    bl_label = "Speech2Lip"

    def draw(self, context: bpy.types.Context) -> None:
        groups: tuple[tuple[type[bpy.types.Operator], ...], ...] = (
            (S2L_OT_check_footage, S2L_OT_find_faces, S2L_OT_measure_offset, S2L_OT_fix_offset),
            (
                S2L_OT_train_speaker,
                S2L_OT_preview_frame,
                S2L_OT_dub_strip,
                S2L_OT_dub_still,
                S2L_OT_dub_all,
                S2L_OT_submit,
            ),
            (S2L_OT_add_label, S2L_OT_create_head),
        )
        for number, operators in enumerate(groups):
            if number:
                self.layout.separator()
            for operator in operators:
                self.layout.operator(operator.bl_idname)


CLASSES = (
    S2L_PT_queue,
    S2L_PT_footage,
    S2L_PT_offset,
    S2L_PT_track,
    S2L_PT_presets,
    S2L_PT_train,
    S2L_PT_consent,
    S2L_PT_dub,
    S2L_PT_still,
    S2L_PT_still_consent,
    S2L_PT_output,
    S2L_PT_silence,
    S2L_MT_strip,
)


def _draw_speaker(
    layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup, strip: bpy.types.Strip | None, default: str = ""
) -> None:
    """The speaker of the scene, or of a strip; without either it is the one of the ``default``."""
    layout.prop(settings, "speaker_path", placeholder=default)
    if strip:
        layout.prop(strip.s2l, "speaker_path", text="For This Strip", placeholder="As above")


def _draw_faces(layout: bpy.types.UILayout, scene: bpy.types.Scene, strip: bpy.types.Strip | None) -> None:
    """The choice among the people in a strip."""
    layout.operator(S2L_OT_find_faces.bl_idname)
    if faces.shown_for(scene, strip):
        layout.template_icon_view(scene.s2l, "face", show_labels=True, scale=FACE_SCALE, scale_popup=FACE_POPUP_SCALE)
    elif strip and strip.s2l.has_face:
        layout.label(text="A face has been chosen", icon="USER")


def _draw_submenu(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.menu(S2L_MT_strip.bl_idname)


def _draw_addition(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.operator(S2L_OT_dub_strip.bl_idname, text="Dubbed Strip", icon="OUTLINER_OB_SPEAKER")


def register() -> None:
    bpy.types.SEQUENCER_MT_add.append(_draw_addition)
    for menu in (bpy.types.SEQUENCER_MT_strip, bpy.types.SEQUENCER_MT_context_menu):
        menu.append(_draw_submenu)


def unregister() -> None:
    bpy.types.SEQUENCER_MT_add.remove(_draw_addition)
    for menu in (bpy.types.SEQUENCER_MT_strip, bpy.types.SEQUENCER_MT_context_menu):
        menu.remove(_draw_submenu)
