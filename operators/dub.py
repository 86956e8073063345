"""Put the words of a sound strip into the mouth in a movie strip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy

from ..s2l_blender_addon import strips
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.outputs import unused_path
from ..s2l_blender_addon.preferences import settings
from ..s2l_core.jobs import DubJob, to_json
from .job_operator import JobOperator


class S2L_OT_dub_strip(JobOperator, bpy.types.Operator):
    bl_idname = "s2l.dub_strip"
    bl_label = "Dub Strip"
    bl_description = "Make the speaker in the movie strip say the words of the sound strip, in a new strip above"
    bl_options = {"UNDO"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        scene = sequencer_scene(context)
        if not scene.s2l.dub.speaker_path:
            return "Choose a speaker file, or train a speaker"
        return strips.obstacle(strips.footage(scene), "Select the movie strip of the speaker") or strips.obstacle(
            strips.speech(scene), "Choose the sound strip with the new words"
        )

    def gather(self, context: bpy.types.Context) -> DubJob:
        scene = sequencer_scene(context)
        footage = strips.playback(scene, strips.footage(scene))
        speech = strips.playback(scene, strips.speech(scene))
        overlaps = footage.first <= speech.first < footage.end
        dub = scene.s2l.dub
        self._placement = strips.Placement(scene.name, footage.strip, speech.strip, speech.first, speech.end)
        self._job = DubJob(
            speaker_path=bpy.path.abspath(dub.speaker_path),
            footage=footage.media(speech.first if overlaps else footage.first),
            voice=speech.media(speech.first),
            output_path=unused_path(dub.folder, footage.path, f"{Path(footage.path).stem}_dubbed", ".mp4"),
            rate=str(strips.frame_rate(scene)),
            device=settings(context).device,
        )
        return self._job

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        path = result["output_path"]
        strip = strips.insert_movie(self._placement, path)
        if strip is None:
            return f"The scene is gone; the dubbed movie is kept in {path}."
        strip["s2l_job"] = to_json(self._job)
        strip["s2l_result"] = json.dumps(result)
        return f"Dubbed {result['frames_written']} frames into {path}."
