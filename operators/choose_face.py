"""Find the faces in a movie strip, so that the speaker's can be chosen."""

from __future__ import annotations

import tempfile
from typing import Any

import bpy

from ..s2l_blender_addon import faces, strips
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_core.jobs import FacesJob
from .quick_operator import QuickOperator


class S2L_OT_find_faces(QuickOperator, bpy.types.Operator):
    bl_idname = "s2l.find_faces"
    bl_label = "Find Faces"
    bl_description = "Look for the people in the movie strip, to choose which of them is the speaker"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return strips.obstacle(strips.footage(sequencer_scene(context)), "Select the movie strip of the speaker")

    def gather(self, context: bpy.types.Context) -> FacesJob:
        scene = sequencer_scene(context)
        strip = strips.footage(scene)
        self._scene, self._strip = scene.name, strip.name
        playback = strips.playback(scene, strip)
        folder = tempfile.mkdtemp(prefix="s2l_faces_", dir=bpy.app.tempdir)
        return FacesJob(footage=playback.media(playback.first), output_path=folder)

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        faces.show(self._scene, self._strip, result["faces"])
        count = len(result["faces"])
        return f"Found {count} {'face' if count == 1 else 'faces'} in {self._strip}."
