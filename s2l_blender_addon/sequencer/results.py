"""Result strips: the job that made them, and the replacement of earlier ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import bpy

from ...s2l_core.errors import BadJob
from ...s2l_core.jobs import DubJob, PoseJob, StillJob, from_json
from ..compat import content_duration, content_start
from . import stacking
from .strips import Placement, media_path

# What becomes of earlier results on the same frames.
Existing = Literal["KEEP", "REPLACE", "VERSION"]

JOB, RESULT, MADE = "s2l_job", "s2l_result", "s2l_made"  # custom properties, JSON each
_MOST_FRAMES = 1 << 20  # Blender's timeline ends there
_FOOTAGE, _SOUND = "s2l_footage", "s2l_sound"


def active(scene: bpy.types.Scene) -> bpy.types.Strip | None:
    """The active strip if it is a result; None otherwise."""
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    return strip if strip is not None and JOB in strip else None


def earlier(scene: bpy.types.Scene, placement: Placement) -> tuple[str, ...]:
    """The names of the unmuted results for the same footage that overlap a placement."""
    return tuple(
        strip.name
        for strip in (scene.sequence_editor.strips_all if scene.sequence_editor else ())
        if JOB in strip
        and not strip.mute
        and strip.get(_FOOTAGE) == placement.footage
        and stacking.overlaps(strip, range(placement.first, placement.end))
    )


def is_dub(strip: bpy.types.Strip) -> bool:
    """Whether a result was dubbed; False for the movie of a head."""
    return _verb(str(strip[JOB])) != PoseJob.verb


@lru_cache(maxsize=8)  # buttons ask whenever they are drawn
def _verb(job_text: str) -> str:
    try:
        return str(json.loads(job_text)["verb"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return ""


def retire(scene: bpy.types.Scene, names: tuple[str, ...], existing: Existing, replacement: bpy.types.Strip) -> None:
    """Mute or remove earlier results in favour of a new one, according to ``existing``; their files are kept."""
    if existing == "KEEP":
        return
    for strip in [strip for strip in scene.sequence_editor.strips_all if strip.name in names and JOB in strip]:
        if strip != replacement:
            _restore_footage(strip)
            if existing == "VERSION":
                strip.mute = True
            else:
                _remove(strip, replacement)


def shown(scene: bpy.types.Scene, frames: range) -> list[str]:
    """Files and folders of the results that the sequencer of a scene shows on some frames, also in scene strips."""
    return list(dict.fromkeys(_shown(scene, frames, [])))


def _shown(scene: bpy.types.Scene, frames: range, seen: list[bpy.types.Scene]) -> Iterator[str]:
    seen.append(scene)
    for strip in scene.sequence_editor.strips_all if scene.sequence_editor else ():
        if strip.mute or not stacking.overlaps(strip, frames):
            continue
        if JOB in strip:
            yield media_path(strip)
        elif strip.type == "SCENE" and strip.scene is not None and strip.scene not in seen:
            yield from _shown(strip.scene, range(-_MOST_FRAMES, _MOST_FRAMES), seen)


def is_mouth(strip: bpy.types.Strip) -> bool:
    """Whether a strip is a result that shows only a mouth."""
    return JOB in strip and is_dub(strip) and job_of(strip).encoding.layer == "mouth"


def _restore_footage(strip: bpy.types.Strip) -> None:
    """Let the effects that still use a result use the footage again."""
    level = stacking.level_of(strip)
    footage = next((other for other in level.strips if other.name == strip.get(_FOOTAGE)), None)
    for effect in stacking.effects_of(level, [strip]):
        if footage is not None:
            stacking.take_over(effect, [strip], footage)


def _remove(strip: bpy.types.Strip, replacement: bpy.types.Strip) -> None:
    """Remove a result, and move its replacement to its channel if that is lower."""
    level, channel = stacking.level_of(strip), strip.channel
    level.strips.remove(strip)
    is_beside = stacking.level_of(replacement) == level and channel < replacement.channel
    if is_beside and stacking.is_free(level, channel, stacking.span(replacement)):
        replacement.channel = channel


def label(strip: bpy.types.Strip, job_text: str, result: dict[str, Any], versions: dict[str, str]) -> None:
    """Store in a strip what it was made from.

    Args:
        strip: The result strip.
        job_text: Its job as JSON.
        result: The figures that the engine returned.
        versions: Versions of the programs that made it, by name.
    """
    strip[JOB], strip[RESULT] = job_text, json.dumps(result)
    strip[MADE] = json.dumps({"date": datetime.now().astimezone().isoformat(timespec="minutes"), **versions})


def job_of(strip: bpy.types.Strip) -> DubJob | StillJob:
    """The job that made a strip.

    Raises:
        BadJob: It cannot be read.
    """
    job = from_json(str(strip[JOB]))
    if not isinstance(job, DubJob | StillJob):
        raise BadJob(f"The strip {strip.name} was not dubbed.")
    return job


def placement_of(scene: bpy.types.Scene, strip: bpy.types.Strip) -> Placement:
    """The present placement of a result, without regard to its handles."""
    first = round(content_start(strip))
    return Placement(
        scene.name, str(strip.get(_FOOTAGE, "")), str(strip.get(_SOUND, "")), first, first + content_duration(strip)
    )
