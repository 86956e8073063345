"""The one file that reads or writes sequencer strips.

Positions on the timeline are frames of the scene, positions in media are seconds. A movie strip shows one media frame
per scene frame, whatever the two rates are, unless it was added with "Adjust Playback Rate"; a sound strip plays in
real time. Both are mapped here and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import bpy

from ..s2l_core.errors import BadJob, FileMissing
from ..s2l_core.jobs import Media

HIGHEST_CHANNEL = 128
MOVIE, SOUND = "MOVIE", "SOUND"
_SOURCES = {MOVIE: "s2l_footage", SOUND: "s2l_sound"}  # custom properties of a dubbed strip: names of its sources
_APPEARANCE = (
    "blend_type",
    "blend_alpha",
    "color_multiply",
    "color_saturation",
    "multiply_alpha",
    "use_flip_x",
    "use_flip_y",
)
_TRANSFORM = ("scale_x", "scale_y", "offset_x", "offset_y", "rotation", "origin", "filter")
_CROP = ("min_x", "max_x", "min_y", "max_y")


@dataclass(frozen=True)
class Playback:
    """Which part of its media a strip plays, and when.

    Attributes:
        strip: Name of the strip.
        path: The media file.
        first: First frame of the timeline on which the media plays, inside the handles.
        end: Frame after the last one.
        origin: Frame, also between two, on which the media would start if nothing were trimmed.
        seconds_per_frame: Media seconds that pass in one frame of the timeline.
    """

    strip: str
    path: str
    first: int
    end: int
    origin: float
    seconds_per_frame: float

    def media(self, first: int) -> Media:
        """The media from a frame of the timeline to the end of the strip."""
        start = max(0.0, (first - self.origin) * self.seconds_per_frame)
        return Media(self.path, start, (self.end - self.origin) * self.seconds_per_frame)


@dataclass(frozen=True)
class Placement:
    """Where the result of a job goes: names and numbers only, since strips may vanish while a job runs."""

    scene: str
    footage: str
    sound: str
    first: int
    end: int


def names(scene: bpy.types.Scene, kind: str) -> list[str]:
    """Names of the scene's strips of a kind, for a search field."""
    return [strip.name for strip in _of_kind(scene, kind)]


def footage(scene: bpy.types.Scene) -> bpy.types.Strip | None:
    """The movie strip of the speaker: the one that the scene names, or else the active one, or else the only one.

    A dubbed strip stands for the footage that it was made from.
    """
    if name := scene.s2l.footage_strip:
        return _find(scene, MOVIE, name)
    return _active(scene, MOVIE) or _only(scene, MOVIE)


def screened(scene: bpy.types.Scene) -> bpy.types.Strip | None:
    """The movie strip with the speaker as the audience sees it: as :func:`footage`, but an active dubbed strip stands
    for itself.
    """
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    is_dubbed = strip is not None and strip.type == MOVIE and _SOURCES[MOVIE] in strip
    return strip if is_dubbed else footage(scene)


def speech(scene: bpy.types.Scene) -> bpy.types.Strip | None:
    """The sound strip with the new words: the one that the scene names, or else the active one.

    A dubbed strip stands for the sound that it says.
    """
    name = scene.s2l.dub.sound_strip
    return _find(scene, SOUND, name) if name else _active(scene, SOUND)


def obstacle(strip: bpy.types.Strip | None, missing: str) -> str:
    """Why the media of a strip cannot be used as it plays: ``missing`` without a strip, empty where it can."""
    if strip is None:
        return missing
    if len(strip.retiming_keys):
        return f"The strip {strip.name} is retimed: clear its retiming, or render it to a file first"
    if strip.type == MOVIE and strip.use_reverse_frames:
        return f"The strip {strip.name} plays backwards: render it to a file first"
    if strip.type == SOUND and strip.sound is None:
        return f"The strip {strip.name} has no sound"
    if strip.type == SOUND and strip.sound.packed_file is not None:
        return f"The sound of the strip {strip.name} is packed: unpack it with File > External Data first"
    return ""


def media_path(strip: bpy.types.Strip) -> str:
    """Absolute path of a strip's file."""
    owner, library = (strip, strip.id_data.library) if strip.type == MOVIE else (strip.sound, strip.sound.library)
    return bpy.path.abspath(owner.filepath, library=library)


def playback(scene: bpy.types.Scene, strip: bpy.types.Strip) -> Playback:
    """How a movie or sound strip plays its media.

    Raises:
        BadJob: The strip is retimed, reversed or packed, or shows nothing of its media.
        FileMissing: Its file is not there.
    """
    if reason := obstacle(strip, "There is no strip"):
        raise BadJob(f"{reason}.", "Then start the job again.")
    path = media_path(strip)
    if not Path(path).is_file():
        raise FileMissing(f"The file of the strip {strip.name} is missing: {path}.")
    origin, seconds_per_frame = _movie_clock(scene, strip, path) if strip.type == MOVIE else _sound_clock(scene, strip)
    tolerance = 1e-3  # Blender keeps positions in single precision
    first = max(strip.frame_final_start, math.ceil(max(strip.frame_start, origin) - tolerance))
    end = min(strip.frame_final_end, math.floor(strip.frame_start + strip.frame_duration + tolerance))
    if first >= end:
        raise BadJob(f"The strip {strip.name} shows nothing of {path}.", "Move its handles over its content.")
    return Playback(strip.name, path, first, end, origin, seconds_per_frame)


def media_frames(strip: bpy.types.Strip, playback: Playback) -> list[int]:
    """Which frame of its media, counted from 0, a movie strip shows on each frame of its playback."""
    step = playback.seconds_per_frame * float(media_rate(strip))
    return [math.floor((frame - playback.origin) * step + 0.5) for frame in range(playback.first, playback.end)]


def media_rate(strip: bpy.types.Strip) -> Fraction:
    """Frames per second of a movie strip's media; 0 where it does not play."""
    return Fraction(strip.fps).limit_denominator(1001)


def frame_rate(scene: bpy.types.Scene) -> Fraction:
    """Frames per second of the timeline, e.g. 25 or 30000/1001."""
    return Fraction(scene.render.fps) / Fraction(scene.render.fps_base).limit_denominator(10000)


def insert_movie(placement: Placement, path: str) -> bpy.types.Strip | None:
    """Show a movie on the frames of a placement, above its footage and looking like it.

    Returns:
        The new strip, made active; None where the scene is gone.

    Raises:
        BadJob: Every channel above the footage is taken.
    """
    scene = bpy.data.scenes.get(placement.scene)
    if scene is None:
        return None
    editor = scene.sequence_editor or scene.sequence_editor_create()
    source = _find(scene, MOVIE, placement.footage)
    channel = _free_channel(editor, _channel(source) + 1 if source else 1, placement)
    strip = editor.strips.new_movie(f"{placement.footage} Dubbed", path, channel, placement.first)
    strip.frame_final_duration = placement.end - placement.first
    strip[_SOURCES[MOVIE]], strip[_SOURCES[SOUND]] = placement.footage, placement.sound
    if source:
        _copy_appearance(source, strip)
    for other in editor.strips_all:
        other.select = other == strip
    editor.active_strip = strip
    return strip


def _of_kind(scene: bpy.types.Scene, kind: str) -> list[bpy.types.Strip]:
    editor = scene.sequence_editor
    return [strip for strip in editor.strips_all if strip.type == kind] if editor else []


def _find(scene: bpy.types.Scene, kind: str, name: str) -> bpy.types.Strip | None:
    return next((strip for strip in _of_kind(scene, kind) if strip.name == name), None)


def _active(scene: bpy.types.Scene, kind: str) -> bpy.types.Strip | None:
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    if strip is not None and (source := strip.get(_SOURCES[kind])):
        return _find(scene, kind, source)
    return strip if strip is not None and strip.type == kind else None


def _only(scene: bpy.types.Scene, kind: str) -> bpy.types.Strip | None:
    candidates = [strip for strip in _of_kind(scene, kind) if _SOURCES[kind] not in strip]
    return candidates[0] if len(candidates) == 1 else None


def _movie_clock(scene: bpy.types.Scene, strip: bpy.types.Strip, path: str) -> tuple[float, float]:
    """``origin`` and ``seconds_per_frame`` of a movie strip's playback."""
    rate = media_rate(strip)
    if rate <= 0:
        raise BadJob(f"The strip {strip.name} cannot show {path}.", "Choose a movie that plays in the sequencer.")
    speed = rate / frame_rate(scene) if _plays_at_own_speed(strip, path) else Fraction(1)
    return float(strip.frame_start - strip.animation_offset_start / speed), float(speed / rate)


def _sound_clock(scene: bpy.types.Scene, strip: bpy.types.Strip) -> tuple[float, float]:
    """``origin`` and ``seconds_per_frame`` of a sound strip's playback."""
    rate = float(frame_rate(scene))
    return strip.frame_start - strip.animation_offset_start + strip.sound_offset * rate, 1 / rate


def _plays_at_own_speed(strip: bpy.types.Strip, path: str) -> bool:
    """Whether a movie strip was added with "Adjust Playback Rate", which only its length on the timeline tells."""
    clip = bpy.data.movieclips.load(path)
    media_frames = clip.frame_duration - strip.animation_offset_start - strip.animation_offset_end
    bpy.data.movieclips.remove(clip)
    return media_frames != strip.frame_duration


def _channel(strip: bpy.types.Strip) -> int:
    """The channel of a strip, or of the outermost meta strip that holds it."""
    while (parent := strip.parent_meta()) is not None:
        strip = parent
    return int(strip.channel)


def _free_channel(editor: bpy.types.SequenceEditor, lowest: int, placement: Placement) -> int:
    taken = {
        strip.channel
        for strip in editor.strips
        if strip.frame_final_start < placement.end and strip.frame_final_end > placement.first
    }
    for channel in range(lowest, HIGHEST_CHANNEL + 1):
        if channel not in taken:
            return channel
    raise BadJob("Every channel above the footage is taken.", "Free one and add the dubbed movie to it.")


def _copy_appearance(source: bpy.types.Strip, target: bpy.types.Strip) -> None:
    owners = (
        (source, target, _APPEARANCE),
        (source.transform, target.transform, _TRANSFORM),
        (source.crop, target.crop, _CROP),
    )
    for old, new, attributes in owners:
        for attribute in attributes:
            setattr(new, attribute, getattr(old, attribute))
