"""Measure by how much a strip's sound and its lips are apart, and move the sound into step."""

from __future__ import annotations

from typing import Any

import bpy

from ..s2l_blender_addon import strips
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_core.jobs import OffsetJob
from .quick_operator import QuickOperator


class S2L_OT_measure_offset(QuickOperator, bpy.types.Operator):
    bl_idname = "s2l.measure_offset"
    bl_label = "Measure Offset"
    bl_description = "Find out by how much the sound of the movie strip comes before or after its lips"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        scene = sequencer_scene(context)
        footage = strips.footage(scene)
        return strips.obstacle(footage, "Select the movie strip of the speaker") or strips.obstacle(
            strips.own_sound(scene, footage), "Select the sound strip with the speaker's own voice"
        )

    def gather(self, context: bpy.types.Context) -> OffsetJob:
        scene = sequencer_scene(context)
        footage, sound = (
            strips.playback(scene, strip)
            for strip in (strips.footage(scene), strips.own_sound(scene, strips.footage(scene)))
        )
        self._scene, self._sound = scene.name, sound.strip
        first = max(footage.first, sound.first)
        return OffsetJob(footage=footage.media(first), voice=sound.media(first))

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        scene = bpy.data.scenes.get(self._scene)
        if scene is None:
            return "The scene is gone."
        offset = scene.s2l.offset
        offset.sound, offset.seconds = self._sound, result["offset_seconds"]
        offset.confidence, offset.is_reliable = result["confidence"], result["is_reliable"]
        return describe(offset) + "."


class S2L_OT_fix_offset(bpy.types.Operator):
    bl_idname = "s2l.fix_offset"
    bl_label = "Fix Offset"
    bl_description = "Move the sound strip so that it is in step with the lips"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        offset = sequencer_scene(context).s2l.offset
        if not offset.sound or not offset.is_reliable or offset.seconds == 0.0:
            cls.poll_message_set("Measure an offset first" if not offset.sound else "There is no clear offset to fix")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = sequencer_scene(context)
        offset = scene.s2l.offset
        if not strips.shift_sound(scene, offset.sound, -offset.seconds):
            self.report({"ERROR"}, f"The strip {offset.sound} is gone.")
            return {"CANCELLED"}
        self.report({"INFO"}, f"Moved {offset.sound} by {-offset.seconds:+.2f} s.")
        offset.seconds = 0.0
        return {"FINISHED"}


def describe(offset: bpy.types.PropertyGroup) -> str:
    """What was measured, in a line."""
    if not offset.is_reliable:
        return "The lips do not clearly move with this sound"
    if offset.seconds == 0.0:
        return "The sound is in step with the lips"
    when = "late" if offset.seconds > 0 else "early"
    return f"The sound is {abs(offset.seconds):.2f} s {when} (confidence {offset.confidence:.0%})"
