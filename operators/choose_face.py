"""Find the faces in a movie or image strip, so that the face of the speaker can be chosen."""

from __future__ import annotations

import tempfile
from typing import Any

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.pictures import faces
from ..s2l_blender_addon.sequencer import stills, strips
from ..s2l_core.errors import BadJob
from ..s2l_core.jobs import FacesJob
from .quick_operator import QuickOperator


class S2L_OT_find_faces(QuickOperator, bpy.types.Operator):
    bl_idname = "s2l.find_faces"
    bl_label = "Find Faces"
    bl_description = "Find the people in the movie or image strip, so that the speaker can be chosen"
    bl_options = {"REGISTER", "UNDO"}
    _scene = _strip = ""

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        scene = sequencer_scene(context)
        return strips.unusable_reason(strips.picture_or_footage(scene), strips.missing_footage(scene))

    def gather(self, context: bpy.types.Context) -> FacesJob:
        scene = sequencer_scene(context)
        strip = strips.picture_or_footage(scene)
        is_picture = strip is not None and strips.is_picture(strip)
        media = stills.picture(scene, strip) if is_picture else strips.visible_media(scene, strip)
        self._scene, self._strip = scene.name, strip.name if strip else ""
        return FacesJob(media, tempfile.mkdtemp(prefix="s2l_faces_", dir=bpy.app.tempdir))

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        scene = bpy.data.scenes.get(self._scene)
        movie = strips.movie_of_name(scene, self._strip) if scene else None
        if movie is None:
            raise BadJob(f"The strip {self._strip} no longer exists.")
        faces.show(scene, movie, result["faces"])
        count = len(result["faces"])
        if count == 1:
            return f"There is one person in {self._strip}."
        return f"There are {count} people in {self._strip}: choose the speaker in the sidebar."
