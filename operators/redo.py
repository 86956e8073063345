"""Dub the active result strip again, with the same settings or with changed ones."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.queue import dubbing
from ..s2l_blender_addon.queue.outputs import unused_path
from ..s2l_blender_addon.sequencer import results
from ..s2l_core.errors import Speech2LipError
from ..s2l_core.jobs import DubJob, StillJob
from .base import BaseOperator
from .dub_operator import DubOperator


class S2L_OT_redo(DubOperator, bpy.types.Operator):
    bl_idname = "s2l.redo"
    bl_label = "Redo"
    bl_description = "Dub the active strip again with the same settings, and mute it when the new version is ready"
    existing = "VERSION"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return _disabled_reason(context)

    def gather(self, context: bpy.types.Context) -> DubJob | StillJob:
        scene = sequencer_scene(context)
        strip = results.active(scene)
        job = results.job_of(strip)
        self._placement = results.placement_of(scene, strip)
        before = Path(job.output_path)
        stem = re.sub(r"_\d{3}$", "", before.stem)
        folder = str(before.parent) if before.parent.is_dir() else ""
        media = job.picture if isinstance(job, StillJob) else job.footage
        return dataclasses.replace(job, output_path=unused_path(folder, media.path, stem, before.suffix))


class S2L_OT_redo_with_changes(BaseOperator, bpy.types.Operator):
    bl_idname = "s2l.redo_with_changes"
    bl_label = "Redo with Changes"
    bl_description = "Copy the settings of the active strip to the panels, so that they can be changed for another dub"
    bl_options = {"UNDO"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return _disabled_reason(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = sequencer_scene(context)
        strip = results.active(scene)
        try:
            job = results.job_of(strip)
        except Speech2LipError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        dubbing.restore(scene, job, results.placement_of(scene, strip))
        button = "Dub Still" if isinstance(job, StillJob) else "Dub Strip"
        self.report({"INFO"}, f"Change the settings, then press {button}.")
        return {"FINISHED"}


def _disabled_reason(context: bpy.types.Context) -> str:
    strip = results.active(sequencer_scene(context))
    return "" if strip and results.is_dub(strip) else "Select a dubbed strip"
