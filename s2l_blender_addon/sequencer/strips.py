"""Finds the strips that the user has selected or chosen, and the parts of their media that are used.

The timing of strips is read by ``timing.py``, and the sound of several strips is mixed by ``mixing.py``.
"""

from __future__ import annotations

import dataclasses
import math
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ...s2l_core import regular_files
from ...s2l_core.errors import BadJob, FileMissing
from ...s2l_core.jobs import Media
from ..compat import connected, content_duration, content_start, content_trim_start
from .mixing import sound_path, sound_track
from .timing import frame_rate, media_rate, media_speed, shown_frames, visible

_SPEED_TOLERANCE = 2e-3
# Kinds of strips: those with moving pictures, with a single picture, with either, and with sound.
MOVIE, PICTURE, SHOWN, SOUND = "MOVIE", "PICTURE", "SHOWN", "SOUND"
# Custom properties of a dubbed strip: names of its sources.
SOURCES = {MOVIE: "s2l_footage", PICTURE: "s2l_footage", SOUND: "s2l_sound"}
_IMAGE = "IMAGE"
_LINEAR_SUFFIXES = {".exr", ".dpx"}
_ADVICE = {
    "SCENE": "The strip {} shows a scene: render it to a movie, and select that as a movie strip",
    "MOVIECLIP": "The strip {} shows a movie clip: add its file as a movie strip, and select that",
    "META": "Open the meta strip {} and select the movie or image strip of the speaker in it",
    "IMAGE": "The strip {} is a single picture: use Dub Still, or select a movie or a sequence of pictures",
}


@dataclass(frozen=True)
class Playback:
    """The part of its media that a strip plays, and its timing.

    Attributes:
        strip: Name of the strip.
        whole: The whole media.
        first: First frame of the timeline on which the media plays, inside the handles.
        end: Frame after the last one.
        origin: Frame of the timeline, possibly fractional, at which the untrimmed media would start.
        seconds_per_frame: Seconds of the media per frame of the timeline.
    """

    strip: str
    whole: Media
    first: int
    end: int
    origin: float
    seconds_per_frame: float

    def media(self, first: int, end: int | None = None) -> Media:
        """The media from one frame of the timeline to another one, or to the end of the strip."""
        start, stop = ((frame - self.origin) * self.seconds_per_frame for frame in (first, end or self.end))
        return dataclasses.replace(self.whole, start=max(0.0, start), end=stop)


@dataclass(frozen=True)
class Placement:
    """The place of a dubbed strip: names and numbers only, since strips may be removed while a job runs.

    Attributes:
        scene: Name of the scene.
        footage: Name of the movie or image strip.
        sound: Names of the sound strips, one a line.
        first: First frame of the timeline.
        end: Frame after the last one.
    """

    scene: str
    footage: str
    sound: str
    first: int
    end: int


def placement(
    scene: bpy.types.Scene, strip: bpy.types.Strip, sounds: list[bpy.types.Strip], frames: range
) -> Placement:
    """The place of a strip that is dubbed with sound strips on frames of the timeline."""
    return Placement(scene.name, strip.name, "\n".join(sound.name for sound in sounds), frames.start, frames.stop)


def names(scene: bpy.types.Scene, kind: str) -> list[str]:
    """The names of the scene's strips of a kind, for a search field."""
    return [strip.name for strip in _of_kind(scene, kind)]


def footage(scene: bpy.types.Scene) -> bpy.types.Strip | None:
    """The movie or image strip of the speaker: the one chosen in the scene, otherwise the active one, or else
    the only one.

    If a dubbed strip is active, this is the footage that it was made from; if a meta strip is, the footage in it.
    """
    if name := scene.s2l.footage_strip:
        return _find(scene, MOVIE, name)
    return _active(scene, MOVIE) or _only(scene, MOVIE)


def picture(scene: bpy.types.Scene) -> bpy.types.Strip | None:
    """The image strip with a single picture that is active, or that alone is selected with the active sound strip; None
    if there is none.

    If a dubbed strip is active, this is the picture that it was made from.
    """
    if active_sound(scene) is not None:
        selected = [strip for strip in _of_kind(scene, SHOWN) if strip.select and not scene.s2l.footage_strip]
        return selected[0] if len(selected) == 1 and selected[0] in pictures(scene) else None
    return None if _active(scene, MOVIE) else _active(scene, PICTURE)


def picture_or_footage(scene: bpy.types.Scene) -> bpy.types.Strip | None:
    """The strip that a dub or a still is made from: :func:`picture`, or else :func:`footage`."""
    return picture(scene) or footage(scene)


def is_picture(strip: bpy.types.Strip) -> bool:
    """Whether a strip is an image strip with a single picture."""
    return _is_of_kind(strip, PICTURE)


def missing_footage(scene: bpy.types.Scene) -> str:
    """What to select if there is no footage, as a sentence without its period."""
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    if strip is None or strip.type not in _ADVICE or SOURCES[MOVIE] in strip:
        return "Select the movie or image strip of the speaker"
    return _ADVICE[strip.type].format(strip.name)


def footage_or_result(scene: bpy.types.Scene) -> bpy.types.Strip | None:
    """As :func:`footage`, but the dubbed strip itself if one is active."""
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    is_dubbed = strip is not None and _is_of_kind(strip, MOVIE) and SOURCES[MOVIE] in strip
    return strip if is_dubbed else footage(scene)


def voices(scene: bpy.types.Scene, movie: bpy.types.Strip | None = None) -> list[bpy.types.Strip]:
    """The sound strips with the new speech: the one chosen in the scene, otherwise those that drive the footage,
    otherwise the active one and those selected with it, or those selected with an active image strip.

    If a dubbed strip is active, these are the sound strips that it was made from.

    Args:
        scene: The scene of the strips.
        movie: The footage, or the picture; None for the scene's.
    """
    if name := scene.s2l.dub.sound_strip:
        return list(filter(None, [_find(scene, SOUND, name)]))
    if driving := driving_strips(scene, movie or picture_or_footage(scene)):
        return driving
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    if strip is not None and (sources := strip.get(SOURCES[SOUND])):
        return list(filter(None, (_find(scene, SOUND, source) for source in sound_names(str(sources)))))
    if strip is None or strip.type not in (SOUND, _IMAGE):  # a movie is selected together with its own sound
        return []
    return [other for other in _of_kind(scene, SOUND) if other.select or other == strip]


def active_sound(scene: bpy.types.Scene) -> bpy.types.Strip | None:
    """The active strip if it is a sound strip; None otherwise."""
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    return strip if strip is not None and strip.type == SOUND else None


def driving_strips(scene: bpy.types.Scene, movie: bpy.types.Strip | None) -> list[bpy.types.Strip]:
    """The sound strips that drive a movie or image strip."""
    if movie is None or not movie.s2l.identifier:
        return []
    return [strip for strip in _of_kind(scene, SOUND) if strip.s2l.drives_identifier == movie.s2l.identifier]


def pairs(scene: bpy.types.Scene) -> list[tuple[bpy.types.Strip, list[bpy.types.Strip]]]:
    """The movie and image strips that are driven by sound strips, each with these."""
    driven = [(movie, driving_strips(scene, movie)) for movie in sources(scene) + pictures(scene)]
    return [(movie, sounds) for movie, sounds in driven if sounds]


def has_any(scene: bpy.types.Scene) -> bool:
    """Whether there is anything in the sequencer of a scene."""
    return bool(scene.sequence_editor and scene.sequence_editor.strips_all)


def sources(scene: bpy.types.Scene) -> list[bpy.types.Strip]:
    """The movie strips and the image strips with several pictures that are not results."""
    return [strip for strip in _of_kind(scene, MOVIE) if SOURCES[MOVIE] not in strip]


def pictures(scene: bpy.types.Scene) -> list[bpy.types.Strip]:
    """The image strips with a single picture that are not results."""
    return [strip for strip in _of_kind(scene, PICTURE) if SOURCES[PICTURE] not in strip]


def driven(sound: bpy.types.Strip) -> str:
    """The present name of the movie or image strip that a sound strip drives; empty if there is none."""
    movie = _of_identifier(sound.id_data, SHOWN, sound.s2l.drives_identifier)
    return movie.name if movie else ""


def drive(sound: bpy.types.Strip, name: str) -> None:
    """Let a sound strip drive the movie or image strip of a name, also after renaming; none if the name is empty."""
    movie = _find(sound.id_data, SHOWN, name)
    sound.s2l.drives_identifier = identify(movie) if movie else ""


def voice(movie: bpy.types.Strip) -> bpy.types.Strip | None:
    """The sound strip that is chosen as the voice of a movie or image strip; None if none is."""
    return _of_identifier(movie.id_data, SOUND, movie.s2l.voice_identifier)


def give_voice(movie: bpy.types.Strip, name: str) -> None:
    """Choose the sound strip of a name as the voice of a strip, also after renaming; none if the name is empty."""
    sound = _find(movie.id_data, SOUND, name)
    movie.s2l.voice_identifier = identify(sound) if sound else ""


def let_drive(scene: bpy.types.Scene, movie: str, sounds: list[str]) -> None:
    """Let these sound strips and no others drive the movie strip of a name."""
    for sound in _of_kind(scene, SOUND):
        if sound.name in sounds:
            drive(sound, movie)
        elif driven(sound) == movie:
            drive(sound, "")


def sound_names(text: str) -> list[str]:
    """The names of the sound strips in :attr:`Placement.sound`."""
    return text.splitlines()


def owner_of(group: bpy.types.PropertyGroup) -> bpy.types.Strip:
    """The strip that a group of properties belongs to."""
    strips = group.id_data.sequence_editor.strips_all
    return next(strip for strip in strips if strip.s2l == group)


def identify(strip: bpy.types.Strip) -> str:
    """The identifier of a strip, which survives renaming."""
    others = {other.s2l.identifier for other in strip.id_data.sequence_editor.strips_all if other != strip}
    if not strip.s2l.identifier or strip.s2l.identifier in others:  # a copy has the identifier of its original
        strip.s2l.identifier = uuid.uuid4().hex
    return str(strip.s2l.identifier)


def movie_of_name(scene: bpy.types.Scene, name: str) -> bpy.types.Strip | None:
    """The movie or image strip of a name; None if there is none."""
    return _find(scene, SHOWN, name)


def choose_face(scene: bpy.types.Scene, name: str, face: tuple[float, ...]) -> None:
    """Store which face in a movie or image strip is the speaker's, see :class:`s2l_core.jobs.Media`."""
    if strip := _find(scene, SHOWN, name):
        store_face(strip, face)


def store_face(owner: bpy.types.Strip | bpy.types.Object, face: tuple[float, ...]) -> None:
    """Store in a strip or a head which face in its movie is the speaker's; empty for the largest one."""
    owner.s2l.has_face = bool(face)
    if face:
        owner.s2l.face, owner.s2l.face_since = face[:2], face[2] if len(face) > 2 else 0.0


def chosen_face(owner: bpy.types.Strip | bpy.types.Object) -> tuple[float, ...]:
    """The face of the speaker in the movie of a strip or a head; empty for the largest one."""
    return (*owner.s2l.face, owner.s2l.face_since) if owner.s2l.has_face else ()


def own_sound(scene: bpy.types.Scene, movie: bpy.types.Strip | None) -> bpy.types.Strip | None:
    """The sound strip with the voice that was filmed: the one that the movie strip names, or else the active one, or
    else one of the same file, preferably connected to the movie strip.
    """
    if movie is not None and (named := voice(movie)) is not None:
        return named
    if (active := active_sound(scene)) is not None or movie is None:
        return active
    sounds = [strip for strip in [*connected(movie), *_of_kind(scene, SOUND)] if strip.type == SOUND and strip.sound]
    return next((strip for strip in sounds if sound_path(strip) == media_path(movie)), None)


def delay_sound(scene: bpy.types.Scene, name: str, seconds: float) -> bool:
    """Delay the sound of a sound strip, without moving its handles; returns False if the strip does not exist.

    Args:
        scene: The scene of the strip.
        name: The name of the strip.
        seconds: The delay; negative values play the sound earlier.
    """
    strip = _find(scene, SOUND, name)
    if strip is not None:
        strip.sound_offset += seconds
    return strip is not None


def unusable_reason(strip: bpy.types.Strip | None, missing: str) -> str:
    """Why the media of a strip cannot be used: ``missing`` without a strip; empty if they can."""
    if strip is None:
        return missing
    if strip.type == SOUND and strip.sound is None:
        return f"The strip {strip.name} has no sound"
    if strip.type == SOUND and strip.sound.packed_file is not None:
        return f"The sound of the strip {strip.name} is packed: unpack it with File > External Data first"
    return ""


def retimed_reason(strip: bpy.types.Strip | None, missing: str) -> str:
    """As :func:`unusable_reason`, also if a strip is retimed or plays backwards."""
    if (reason := unusable_reason(strip, missing)) or strip is None:
        return reason
    if len(strip.retiming_keys):
        return f"The strip {strip.name} is retimed: clear its retiming, or render it to a file first"
    if _is_of_kind(strip, MOVIE) and strip.use_reverse_frames:
        return f"The strip {strip.name} plays backwards: render it to a file first"
    return ""


def missing_voice_reason(strip: bpy.types.Strip | None, missing: str) -> str:
    """As :func:`unusable_reason`, also if there is no usable sound with the voice of the speaker in a strip."""
    if (reason := unusable_reason(strip, missing)) or strip is None:
        return reason
    if (sound := voice(strip)) is not None:
        return retimed_reason(strip, "") or retimed_reason(sound, "")
    return f"Choose the Voice of the strip {strip.name} in the Footage panel" if strip.type == _IMAGE else ""


def media_path(strip: bpy.types.Strip) -> str:
    """The absolute path of a strip's file, or of the folder with its pictures."""
    if strip.type == SOUND:
        return sound_path(strip)
    if strip.type == _IMAGE:
        return str(Path(bpy.path.abspath(strip.directory, library=strip.id_data.library)))
    return bpy.path.abspath(strip.filepath, library=strip.id_data.library)


def first_path(strip: bpy.types.Strip) -> str:
    """The absolute path of a strip's file, or of its first picture."""
    path = media_path(strip)
    return str(Path(path, strip.elements[0].filename)) if strip.type == _IMAGE else path


def has_linear_pictures(strip: bpy.types.Strip) -> bool:
    """Whether a strip shows pictures of a scene-linear format."""
    return strip.type == _IMAGE and Path(strip.elements[0].filename).suffix.lower() in _LINEAR_SUFFIXES


def first_file(media: Media) -> str:
    """The path of a movie, or of the first picture of a sequence."""
    return str(Path(media.path, media.pictures[0])) if media.pictures else media.path


def was_checked(scene: bpy.types.Scene, strip: bpy.types.Strip) -> bool:
    """Whether the last check of a scene was of the media of a strip."""
    return bool(scene.s2l.check.footage == first_path(strip))


def existing_path(strip: bpy.types.Strip) -> str:
    """As :func:`media_path`.

    Raises:
        FileMissing: The file or folder does not exist.
    """
    path = media_path(strip)
    if strip.type == _IMAGE and not regular_files.is_folder(path):
        raise FileMissing(f"The folder of the strip {strip.name} is missing: {path}.")
    if strip.type != _IMAGE and not regular_files.is_file(path):
        raise FileMissing(f"The file of the strip {strip.name} is missing: {path}.")
    return path


def whole_media(strip: bpy.types.Strip) -> Media:
    """The whole media of a strip, including trimmed parts, with the chosen face and sound track."""
    if strip.type == SOUND:
        return Media(media_path(strip), track=sound_track(strip), clock="sound")
    if strip.type == MOVIE:
        return Media(media_path(strip), face=chosen_face(strip), track=sound_track(strip))
    pictures = tuple(element.filename for element in strip.elements)
    return Media(media_path(strip), face=chosen_face(strip), pictures=pictures, rate=str(media_rate(strip)))


def moments(scene: bpy.types.Scene, strip: bpy.types.Strip, frames: range) -> tuple[float, ...]:
    """The time in its media, in seconds, that a movie or image strip shows on each of these frames of the timeline.

    Raises:
        BadJob: The media do not play in the sequencer, or the retiming cannot be read.
        FileMissing: The file of the strip does not exist.
    """
    numbers = shown_frames(scene, strip, existing_path(strip), frames)
    return tuple((numbers / float(media_rate(strip))).tolist())


def shown_media(strip: bpy.types.Strip, seconds: tuple[float, ...]) -> Media:
    """The span of a strip's media that contains these times in seconds.

    Raises:
        FileMissing: A picture in the span does not exist.
    """
    rate = float(media_rate(strip))
    media = dataclasses.replace(whole_media(strip), start=min(seconds), end=max(seconds) + 1.0 / rate)
    shown = media.pictures[round(min(seconds) * rate) : round(max(seconds) * rate) + 1]
    if missing := [name for name in shown if not regular_files.is_file(Path(media.path) / name)]:
        raise FileMissing(f"{len(missing)} pictures of the strip {strip.name} are missing, such as {missing[0]}.")
    return media


def visible_media(scene: bpy.types.Scene, strip: bpy.types.Strip | None) -> Media:
    """The visible span of a strip's media; raises as :func:`moments` and :func:`shown_media`."""
    if strip is None or (reason := unusable_reason(strip, "")):
        raise BadJob(f"{reason if strip else 'There is no strip'}.", "Then start the job again.")
    return shown_media(strip, moments(scene, strip, visible(strip)))


def playback(scene: bpy.types.Scene, strip: bpy.types.Strip) -> Playback:
    """The timing of a movie, image or sound strip.

    Raises:
        BadJob: The strip is retimed, reversed or packed, or shows no part of its media.
        FileMissing: The file of the strip does not exist.
    """
    if reason := retimed_reason(strip, "There is no strip"):
        raise BadJob(f"{reason}.", "Then start the job again.")
    path = existing_path(strip)
    origin, seconds_per_frame = _sound_clock(scene, strip) if strip.type == SOUND else _movie_clock(scene, strip, path)
    tolerance = 1e-3  # Blender keeps positions in single precision
    inside = visible(strip)
    first = max(inside.start, math.ceil(max(content_start(strip), origin) - tolerance))
    end = min(inside.stop, math.floor(content_start(strip) + content_duration(strip) + tolerance))
    if first >= end:
        raise BadJob(f"The strip {strip.name} shows no part of {path}.", "Move its handles over its content.")
    return Playback(strip.name, whole_media(strip), first, end, origin, seconds_per_frame)


def synchronous_media(scene: bpy.types.Scene, movie: bpy.types.Strip, sound: bpy.types.Strip) -> tuple[Media, Media]:
    """The parts of the media of a movie or image strip and of a sound strip that play at the same time.

    Raises:
        BadJob: As :func:`playback`, or the strips do not play at the same time, or at different speeds.
        FileMissing: The file of a strip does not exist.
    """
    pictures, voice = playback(scene, movie), playback(scene, sound)
    first, end = max(pictures.first, voice.first), min(pictures.end, voice.end)
    if first >= end:
        raise BadJob(f"{movie.name} and {sound.name} do not play at the same time.")
    if abs(pictures.seconds_per_frame / voice.seconds_per_frame - 1.0) > _SPEED_TOLERANCE:
        raise BadJob(
            f"{movie.name} plays faster or slower than {sound.name} was recorded.",
            "Set the frame rate of the scene to that of the movie.",
        )
    return pictures.media(first, end), voice.media(first, end)


def filmed(scene: bpy.types.Scene, strip: bpy.types.Strip | None) -> tuple[Media, Media | None]:
    """The visible part of a strip, and the recording of its speaker's voice; None if that is in the same file.

    Raises:
        BadJob: As :func:`visible_media` and :func:`synchronous_media`, or no voice is chosen for an image strip.
        FileMissing: The file of a strip does not exist.
    """
    if (reason := missing_voice_reason(strip, "There is no strip")) or strip is None:
        raise BadJob(f"{reason}.", "Then start the job again.")
    sound = voice(strip)
    return (visible_media(scene, strip), None) if sound is None else synchronous_media(scene, strip, sound)


def media_frames(strip: bpy.types.Strip, playback: Playback) -> list[int]:
    """The frame of its media, counted from 0, that a movie or image strip shows on each frame of its playback."""
    step = playback.seconds_per_frame * float(media_rate(strip))
    return [math.floor((frame - playback.origin) * step + 0.5) for frame in range(playback.first, playback.end)]


def mark_untouched(strip: bpy.types.Strip, spans: list[dict[str, Any]]) -> None:
    """Add a marker at every span of a result that was left unchanged, named after the reason."""
    scene = strip.id_data
    first = round(content_start(strip))
    for span in spans:
        scene.timeline_markers.new(str(span["reason"]).capitalize(), frame=first + int(span["first"]))


def _of_kind(scene: bpy.types.Scene, kind: str) -> list[bpy.types.Strip]:
    editor = scene.sequence_editor
    return [strip for strip in editor.strips_all if _is_of_kind(strip, kind)] if editor else []


def _is_of_kind(strip: bpy.types.Strip, kind: str) -> bool:
    """Whether a strip is of a kind; an image strip with several pictures counts as a movie."""
    own = strip.type
    if own == _IMAGE:
        own = MOVIE if len(strip.elements) > 1 else PICTURE
    return bool(own == kind or (kind == SHOWN and own in (MOVIE, PICTURE)))


def _find(scene: bpy.types.Scene, kind: str, name: str) -> bpy.types.Strip | None:
    return next((strip for strip in _of_kind(scene, kind) if strip.name == name), None)


def _of_identifier(scene: bpy.types.Scene, kind: str, identifier: str) -> bpy.types.Strip | None:
    strips = _of_kind(scene, kind) if identifier else []
    return next((strip for strip in strips if strip.s2l.identifier == identifier), None)


def _active(scene: bpy.types.Scene, kind: str) -> bpy.types.Strip | None:
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    if strip is not None and (source := strip.get(SOURCES[kind])):
        return _find(scene, kind, source)
    if strip is not None and strip.type == "META":
        filmed = [inner for inner in strip.strips if _is_of_kind(inner, kind) and SOURCES[kind] not in inner]
        return filmed[0] if len(filmed) == 1 else None
    return strip if strip is not None and _is_of_kind(strip, kind) else None


def _only(scene: bpy.types.Scene, kind: str) -> bpy.types.Strip | None:
    candidates = [strip for strip in _of_kind(scene, kind) if SOURCES[kind] not in strip]
    return candidates[0] if len(candidates) == 1 else None


def _movie_clock(scene: bpy.types.Scene, strip: bpy.types.Strip, path: str) -> tuple[float, float]:
    """``origin`` and ``seconds_per_frame`` for the playback of a movie or image strip."""
    speed = media_speed(scene, strip, path)
    return float(content_start(strip) - content_trim_start(strip) / speed), float(speed / media_rate(strip))


def _sound_clock(scene: bpy.types.Scene, strip: bpy.types.Strip) -> tuple[float, float]:
    """``origin`` and ``seconds_per_frame`` for the playback of a sound strip."""
    rate = float(frame_rate(scene))
    return content_start(strip) - content_trim_start(strip) + strip.sound_offset * rate, 1 / rate
