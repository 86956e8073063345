"""The part of its media that a strip plays on each frame of the timeline.

Positions on the timeline are frames of the scene, positions in media are seconds. A movie strip shows one media frame
per scene frame, whatever the two rates are, unless it was added with "Adjust Playback Rate"; an image strip shows one
picture per scene frame, so that its pictures have the rate of the timeline; a sound strip plays in real time. Retiming
keys change all of this.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import aud
import bpy
import numpy as np
from numpy.typing import NDArray

from ...s2l_core import regular_files
from ...s2l_core.errors import BadJob
from ..compat import content_duration, content_start, content_trim_end, content_trim_start
from . import retiming, stacking

_TOLERANCE = 1e-3  # Blender keeps positions in single precision


def frame_rate(scene: bpy.types.Scene) -> Fraction:
    """Frames per second of the timeline, e.g. 25 or 30000/1001."""
    return Fraction(scene.render.fps) / Fraction(scene.render.fps_base).limit_denominator(10000)


def media_rate(strip: bpy.types.Strip) -> Fraction:
    """Frames per second of the media of a movie or image strip; 0 if Blender cannot play it."""
    if strip.type == "IMAGE":
        return frame_rate(strip.id_data)
    return Fraction(strip.fps).limit_denominator(1001)


def visible(strip: bpy.types.Strip) -> range:
    """The frames of the timeline inside the handles of a strip and inside those of its meta strips.

    Raises:
        BadJob: A meta strip shows no part of the strip.
    """
    frames, meta = stacking.span(strip), strip.parent_meta()
    while meta is not None:
        outer = stacking.span(meta)
        frames = range(max(frames.start, outer.start), min(frames.stop, outer.stop))
        meta = meta.parent_meta()
    if not frames:
        raise BadJob(f"The meta strip of {strip.name} shows no part of it.", "Move its handles over its content.")
    return frames


def sounding(scene: bpy.types.Scene, strip: bpy.types.Strip) -> range:
    """The frames of the timeline on which a sound strip has sound, as :func:`visible`; empty if all is trimmed away."""
    inside = visible(strip)
    end = math.ceil(content_start(strip) + content_duration(strip) - _TOLERANCE)
    return range(max(inside.start, math.floor(content_start(strip) + _TOLERANCE)), min(inside.stop, end))


def unknown_time_reason(strip: bpy.types.Strip) -> str:
    """Why the timing of a strip cannot be determined, as a sentence without its period; empty if it can."""
    holder = strip
    while holder is not None:
        if any(effect.type == "SPEED" and not effect.mute for effect in stacking.fed_by(holder)):
            return f"A Speed Control effect changes the speed of the strip {holder.name}: retime the strip instead"
        holder = holder.parent_meta()
    return retiming.unreadable_reason(strip)


def shown_frames(scene: bpy.types.Scene, strip: bpy.types.Strip, path: str, frames: range) -> NDArray[np.int64]:
    """The frame of its media, counted from 0, that a movie or image strip shows on each of these frames.

    Args:
        scene: The scene of the strip.
        strip: A movie or image strip.
        path: Its file, or the folder with its pictures.
        frames: Frames of the timeline. Beyond the ends of the media the first and the last frame are held.

    Raises:
        BadJob: The media do not play in the sequencer, or its retiming cannot be read.
    """
    bent = retiming.read(strip)
    speed = float(media_speed(scene, strip, path))
    length = media_length(strip, path)
    moments = np.arange(frames.start, frames.stop, dtype=np.float64)
    if strip.use_reverse_frames:
        positions = content_start(strip) + content_duration(strip) - 1 - moments
    else:
        positions = moments - content_start(strip)
    indices = np.maximum(positions, 0.0) * speed
    if bent:
        indices = bent.shown(indices, length)
    indices = indices.clip(0, length - 1)
    if strip.strobe > 1.0:
        indices -= np.fmod(indices, strip.strobe)
    return np.floor(indices + 0.5).astype(np.int64) + content_trim_start(strip)


def media_speed(scene: bpy.types.Scene, strip: bpy.types.Strip, path: str) -> Fraction:
    """Frames of the media per frame of the timeline, without retiming.

    Whether a strip was added with "Adjust Playback Rate" follows only from its length on the timeline.

    Raises:
        BadJob: The media do not play in the sequencer, or its retiming cannot be read.
    """
    rate = media_rate(strip)
    if rate <= 0:
        raise BadJob(f"The strip {strip.name} cannot show {path}.", "Choose a movie that plays in the sequencer.")
    own = rate / frame_rate(scene)
    if bent := retiming.read(strip):
        return own if abs(bent.speed - own) < abs(bent.speed - 1) else Fraction(1)
    return own if media_length(strip, path) != content_duration(strip) else Fraction(1)


def media_length(strip: bpy.types.Strip, path: str) -> int:
    """The number of frames of the media of a movie or image strip, without those that were trimmed permanently."""
    if strip.type == "IMAGE":
        length = len(strip.elements)
    else:
        length = _movie_length(path, Path(path).stat().st_mtime_ns if regular_files.is_file(path) else 0)
    return max(1, int(length - content_trim_start(strip) - content_trim_end(strip)))


@lru_cache(maxsize=64)  # panels and jobs call this several times for each movie
def _movie_length(path: str, changed: int) -> int:
    """The number of frames of a movie that was last modified at this time in nanoseconds."""
    clip = bpy.data.movieclips.load(path)
    length = int(clip.frame_duration)
    bpy.data.movieclips.remove(clip)
    return length


def heard_seconds(scene: bpy.types.Scene, strip: bpy.types.Strip, moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """The time in its file, in seconds, that a sound strip plays at each of these frames of the timeline (n,).

    Raises:
        BadJob: Its retiming cannot be read.
    """
    rate = float(frame_rate(scene))
    positions = moments - content_start(strip)
    if bent := retiming.read(strip):
        positions = bent.shown(positions, _sound_length(strip, rate))
    return (positions + content_trim_start(strip)) / rate - strip.sound_offset


def _sound_length(strip: bpy.types.Strip, rate: float) -> float:
    """The length of a sound in frames of the timeline, without what was trimmed permanently."""
    sound = aud.Sound(bpy.path.abspath(strip.sound.filepath, library=strip.sound.library))
    return round(sound.length / sound.specs[0] * rate) - content_trim_start(strip) - content_trim_end(strip)
