"""The sound of sound strips as a mix: the parts of their files, with times, volumes and pans."""

from __future__ import annotations

import dataclasses

import bpy
import numpy as np

from ...s2l_core import regular_files
from ...s2l_core.errors import BadJob, FileMissing
from ...s2l_core.jobs import Mix, Sound
from ..compat import ANIMATION_DELAY, meta_volume, stream_index
from . import curves, timing


def is_muted(scene: bpy.types.Scene, strip: bpy.types.Strip) -> bool:
    """Whether a strip, a meta strip that holds it, or the channel of one of them is muted."""
    owner = strip.parent_meta()
    channels = owner.channels if owner else scene.sequence_editor.channels
    return strip.mute or channels[strip.channel].mute or (owner is not None and is_muted(scene, owner))


def audible(scene: bpy.types.Scene, strips: list[bpy.types.Strip]) -> list[bpy.types.Strip]:
    """Those of the sound strips that can be heard on any frame."""
    return [strip for strip in strips if not is_muted(scene, strip) and len(timing.sounding(scene, strip))]


def heard(scene: bpy.types.Scene, strips: list[bpy.types.Strip]) -> range:
    """The frames of the timeline from the first one on which any of the sound strips is heard to the last one.

    Raises:
        BadJob: None of them can be heard.
    """
    spans = [timing.sounding(scene, strip) for strip in audible(scene, strips)]
    if not spans:
        raise BadJob(
            f"{', '.join(strip.name for strip in strips)} cannot be heard.", "Unmute the strip or its channel."
        )
    return range(min(span.start for span in spans), max(span.stop for span in spans))


def mix(scene: bpy.types.Scene, strips: list[bpy.types.Strip], frames: range) -> Mix:
    """The mix of sound strips on frames of the timeline, as the sequencer plays it.

    Raises:
        BadJob: None of them can be heard on these frames, or a retiming cannot be read.
        FileMissing: The file of a strip does not exist.
    """
    sounds = [
        _sound(scene, strip, heard)
        for strip in audible(scene, strips)
        if len(heard := _common(timing.sounding(scene, strip), frames))
    ]
    if not sounds:
        names = ", ".join(strip.name for strip in strips)
        raise BadJob(f"{names} cannot be heard.", "Unmute the strip or its channel, or move its handles.")
    at = frames.start / float(timing.frame_rate(scene))
    placed = tuple(dataclasses.replace(sound, at=max(0.0, sound.at - at)) for sound in sounds)
    return Mix(len(frames) / float(timing.frame_rate(scene)), placed)


def sound_path(strip: bpy.types.Strip) -> str:
    """The absolute path of a sound strip's file."""
    return bpy.path.abspath(strip.sound.filepath, library=strip.sound.library)


def sound_track(strip: bpy.types.Strip) -> int | None:
    """The number of the sound track that a strip uses, counted from 1; None if no track has been chosen."""
    index = stream_index(strip) if strip.type == "SOUND" else 0
    return strip.s2l.track or (index + 1 if index else None)


def _sound(scene: bpy.types.Scene, strip: bpy.types.Strip, frames: range) -> Sound:
    """A sound strip on these frames of a timeline that starts at frame 0."""
    path = sound_path(strip)
    if not regular_files.is_file(path):
        raise FileMissing(f"The file of the strip {strip.name} is missing: {path}.")
    rate = float(timing.frame_rate(scene))
    ends = [frames.start, frames.stop] if not len(strip.retiming_keys) else range(frames.start, frames.stop + 1)
    return Sound(
        path=path,
        at=frames.start / rate,
        seconds=len(frames) / rate,
        moments=tuple(timing.heard_seconds(scene, strip, np.array(ends, np.float64)).tolist()),
        volumes=tuple(volume * _volume_of_meta(strip) for volume in _curve(strip, "volume", frames)),
        pans=_curve(strip, "pan", frames),
        mono=strip.sound.use_mono,
        track=sound_track(strip),
    )


def _volume_of_meta(strip: bpy.types.Strip) -> float:
    """The factor of the volume of a strip that its meta strip applies; Blender ignores those of outer meta strips."""
    meta = strip.parent_meta()
    return meta_volume(meta) if meta else 1.0


def _curve(strip: bpy.types.Strip, name: str, frames: range) -> tuple[float, ...]:
    """A property of a strip over these frames: a single value, or one at each edge of them if it is animated."""
    curve = curves.find(strip, name)
    if curve is None:
        return (float(getattr(strip, name)),)
    return tuple(float(curve.evaluate(frame - ANIMATION_DELAY)) for frame in range(frames.start, frames.stop + 1))


def _common(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))
