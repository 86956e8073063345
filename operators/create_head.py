"""Add the head of the speaker in a movie strip to the scene."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.head import file as head_file
from ..s2l_blender_addon.head import scene as head_scene
from ..s2l_blender_addon.preferences import settings
from ..s2l_blender_addon.queue.outputs import unused_path
from ..s2l_blender_addon.sequencer import strips
from ..s2l_core.jobs import HeadJob, Media
from .immediate_operator import ImmediateOperator


class S2L_OT_create_head(ImmediateOperator, bpy.types.Operator):
    bl_idname = "s2l.create_head"
    bl_label = "Create Head"
    bl_description = "Add the head of the speaker in the movie strip to the scene, with its tracked pose and expression"
    bl_options = {"UNDO"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        scene = sequencer_scene(context)
        if not scene.s2l.dub.speaker_path:
            return "Choose a speaker file, or train a speaker"
        strip = strips.footage_or_result(scene)
        if (reason := strips.retimed_reason(strip, strips.missing_footage(scene))) or strip is None:
            return reason
        if strip.type == "MOVIE":
            return ""
        return f"Render the pictures of the strip {strip.name} to a movie first: a head needs a movie"

    def gather(self, context: bpy.types.Context) -> HeadJob:
        scene = sequencer_scene(context)
        strip = strips.footage_or_result(scene)
        playback = strips.playback(scene, strip)
        speaker = bpy.path.abspath(scene.s2l.dub.speaker_path)
        self._scene_name, self._name = scene.name, Path(speaker).stem
        self._source = head_scene.Source(
            speaker_path=speaker,
            media=_single_precision(playback.media(playback.first)),
            first=playback.first,
            frames=strips.media_frames(strip, playback),
            origin=playback.origin,
            seconds_per_frame=playback.seconds_per_frame,
            rate=float(strips.media_rate(strip)),
        )
        return HeadJob(
            speaker_path=speaker,
            footage=self._source.media,
            output_path=unused_path("", playback.whole.path, f"{self._name}_head", ".npz"),
            device=settings(context).device,
        )

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        path = Path(result["output_path"])
        scene = bpy.data.scenes.get(self._scene_name)
        if scene is None:
            return f"The scene no longer exists; the head is saved in {path}."
        head = head_file.read(path)
        empty = head_scene.create(scene, self._name, head, self._source)
        if scene == context.scene:
            _select_only(context, empty)
        frames = len(head_scene.tracked_pose(empty)[0].keyframe_points)
        place = "" if scene == context.scene else f" in the scene {scene.name}"
        return f"Created the head of {self._name}{place}, tracked on {frames} frames."


def _single_precision(media: Media) -> Media:
    """The span in single precision, as an object's properties store it: the engine recognises the footage by it."""
    start, end = np.array([media.start, media.end], np.float32).tolist()
    return dataclasses.replace(media, start=start, end=end)


def _select_only(context: bpy.types.Context, chosen: bpy.types.Object) -> None:
    context.view_layer.update()  # it does not contain the new objects otherwise
    for item in context.view_layer.objects:
        item.select_set(item == chosen)
    context.view_layer.objects.active = chosen
