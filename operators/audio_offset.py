"""Measure the offset between a strip's sound and its lips, and correct it by moving the sound."""

from __future__ import annotations

from typing import Any

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.preferences import settings
from ..s2l_blender_addon.sequencer import strips
from ..s2l_core.errors import BadJob
from ..s2l_core.jobs import OffsetJob
from .base import BaseOperator
from .quick_operator import QuickOperator

_LEAST_SECONDS = 0.02
"""Smaller offsets can neither be seen nor measured."""


class S2L_OT_measure_offset(QuickOperator, bpy.types.Operator):
    bl_idname = "s2l.measure_offset"
    bl_label = "Measure Offset"
    bl_description = "Measure how far the sound of the movie strip is ahead of or behind its lips"
    bl_options = {"REGISTER", "UNDO"}
    _scene = _sound = ""

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        scene = sequencer_scene(context)
        movie = strips.footage(scene)
        return strips.retimed_reason(movie, strips.missing_footage(scene)) or strips.retimed_reason(
            strips.own_sound(scene, movie), "Select the sound strip with the speaker's own voice"
        )

    def gather(self, context: bpy.types.Context) -> OffsetJob:
        scene = sequencer_scene(context)
        movie = strips.footage(scene)
        sound = strips.own_sound(scene, movie)
        if movie is None or sound is None:
            raise BadJob("There is no strip.")
        self._scene, self._sound = scene.name, sound.name
        footage, voice = strips.synchronous_media(scene, movie, sound)
        return OffsetJob(footage, voice, device=settings(context).device)

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        scene = bpy.data.scenes.get(self._scene)
        if scene is None:
            raise BadJob("The scene no longer exists.")
        offset = scene.s2l.offset
        offset.sound, offset.seconds = self._sound, result["offset_seconds"]
        offset.confidence, offset.is_reliable = result["confidence"], result["is_reliable"]
        return f"{describe(offset)}."


class S2L_OT_fix_offset(BaseOperator, bpy.types.Operator):
    bl_idname = "s2l.fix_offset"
    bl_label = "Fix Offset"
    bl_description = "Move the sound within its strip so that it is in sync with the lips"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        offset = sequencer_scene(context).s2l.offset
        if not offset.sound:
            return "Measure the offset first"
        if not offset.is_reliable or abs(offset.seconds) < _LEAST_SECONDS:
            return "There is no clear offset to fix"
        return ""

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = sequencer_scene(context)
        offset = scene.s2l.offset
        if not strips.delay_sound(scene, offset.sound, -offset.seconds):
            self.report({"ERROR"}, f"The strip {offset.sound} no longer exists.")
            return {"CANCELLED"}
        when = "later" if offset.seconds < 0 else "earlier"
        self.report({"INFO"}, f"{offset.sound} plays {abs(offset.seconds):.2f} s {when}.")
        offset.seconds = 0.0
        return {"FINISHED"}


def describe(offset: bpy.types.PropertyGroup) -> str:
    """The measured offset, in a line."""
    if not offset.is_reliable:
        return "The lips do not clearly move with this sound"
    if abs(offset.seconds) < _LEAST_SECONDS:
        return "The sound is in sync with the lips"
    when = "late" if offset.seconds > 0 else "early"
    return f"The sound is {abs(offset.seconds):.2f} s {when} (confidence {offset.confidence:.0%})"
