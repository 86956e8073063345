"""The dubbing job for the settings of a scene."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...s2l_core.errors import BadJob
from ...s2l_core.jobs import DubJob, Encoding, Format, Media
from ..compat import fcurve, fcurve_collections
from ..preferences import settings
from ..sequencer import appearance, mixing, strips, timing
from .outputs import unused_path

_LINEAR_SPACE = "Linear Rec.709"


def disabled_reason(scene: bpy.types.Scene) -> str:
    """Why dubbing is not possible now, as a sentence without its period; empty if it is."""
    movie = strips.footage(scene)
    if reason := _strip_reason(movie, strips.missing_footage(scene)):
        return reason
    if not speaker_path(scene, movie):
        return "Choose a speaker file, or train a speaker"
    sounds = strips.voices(scene)
    if not sounds:
        return "Choose the sound strip with the new speech"
    if reason := next(filter(None, map(_strip_reason, sounds)), ""):
        return reason
    return _colour_mismatch_reason(movie, scene.s2l.dub.format)


def speaker_path(scene: bpy.types.Scene, movie: bpy.types.Strip) -> str:
    """The speaker file for a movie strip: its own, or otherwise that of the scene."""
    return str(movie.s2l.speaker_path or scene.s2l.dub.speaker_path)


def dub_job(
    context: bpy.types.Context, scene: bpy.types.Scene, movie: bpy.types.Strip, sounds: list[bpy.types.Strip]
) -> tuple[DubJob, strips.Placement]:
    """The job that dubs a movie strip with sound strips, and the place of its result.

    It dubs those frames of the movie strip on which the sounds are heard. If none of them is heard during the movie
    strip, the movie is played forwards and backwards for as long as they last.

    Raises:
        Speech2LipError: The strips, their files or the settings do not allow a dub.
    """
    reasons = [*map(_strip_reason, (movie, *sounds)), _colour_mismatch_reason(movie, scene.s2l.dub.format)]
    if reason := next(filter(None, reasons), ""):
        raise BadJob(f"{reason}.", "Then start the job again.")
    heard = [timing.sounding(scene, sound) for sound in mixing.audible(scene, sounds)]
    if not heard:
        raise BadJob(
            f"{', '.join(sound.name for sound in sounds)} cannot be heard.", "Unmute the strip or its channel."
        )
    frames = range(min(span.start for span in heard), max(span.stop for span in heard))
    seen = timing.visible(movie)
    shared = range(max(seen.start, frames.start), min(seen.stop, frames.stop))
    if len(shared):
        frames, moments = shared, strips.moments(scene, movie, shared)
        footage = strips.shown_media(movie, moments)
    else:
        moments = ()
        footage = strips.shown_media(movie, strips.moments(scene, movie, seen))
    dub = scene.s2l.dub
    encoding = Encoding(written_format(dub, shown_file(footage)), dub.crf, dub.layer)
    ending = "mouth" if dub.layer == "mouth" else "dubbed"
    names = "\n".join(sound.name for sound in sounds)
    strips.identify(movie)
    job = DubJob(
        speaker_path=bpy.path.abspath(speaker_path(scene, movie)),
        footage=footage,
        voice=mixing.mix(scene, sounds, frames),
        output_path=unused_path(dub.folder, footage.path, f"{Path(footage.path).stem}_{ending}", encoding.suffix),
        rate=str(timing.frame_rate(scene)),
        moments=moments,
        encoding=encoding,
        silence_db=_curve(scene, "silence_db", frames) if dub.use_silence_level else (),
        rest_strength=_curve(scene, "rest_strength", frames),
        device=settings(context).device,
    )
    return job, strips.Placement(scene.name, movie.name, names, frames.start, frames.stop)


def shown_file(footage: Media) -> str:
    """The footage's file, or its first picture, which is stored like the others."""
    return str(Path(footage.path, footage.pictures[0])) if footage.pictures else footage.path


def written_format(dub: bpy.types.PropertyGroup, path: str) -> Format:
    """The format of a dub of the file at ``path``."""
    if dub.format != "auto":
        chosen: Format = dub.format
        return chosen
    return "prores" if dub.layer == "mouth" or appearance.has_alpha(path) else "h264"


def restore(scene: bpy.types.Scene, job: DubJob, placement: strips.Placement) -> None:
    """Change the settings of a scene to those of a job: the inverse of :func:`dub_job`."""
    dub, movie = scene.s2l.dub, strips.movie_of_name(scene, placement.footage)
    scene.s2l.footage_strip, dub.speaker_path = placement.footage, job.speaker_path
    if movie is not None:
        strips.choose_face(scene, movie.name, job.footage.face)
        if movie.s2l.speaker_path:
            movie.s2l.speaker_path = job.speaker_path
    sounds = strips.sound_names(placement.sound)
    dub.sound_strip = placement.sound if len(sounds) == 1 else ""
    if len(sounds) > 1:
        strips.let_drive(scene, placement.footage, sounds)
    dub.folder = str(Path(job.output_path).parent)
    dub.layer, dub.format, dub.crf = job.encoding.layer, job.encoding.format, job.encoding.crf
    frames = range(placement.first, placement.end)
    dub.use_silence_level = bool(job.silence_db)
    if job.silence_db:
        _restore_curve(scene, "silence_db", job.silence_db, frames)
    _restore_curve(scene, "rest_strength", job.rest_strength, frames)


def _strip_reason(strip: bpy.types.Strip | None, missing: str = "There is no strip") -> str:
    """Why a strip cannot be dubbed or used as speech; ``missing`` without a strip, empty if it can."""
    return strips.unusable_reason(strip, missing) or timing.unknown_time_reason(strip)


def _colour_mismatch_reason(movie: bpy.types.Strip, form: str) -> str:
    """Why a result would have other colours than its footage; empty if it would have the same.

    Args:
        movie: The footage.
        form: The format of the result.
    """
    space = movie.colorspace_settings.name
    if strips.has_linear_pictures(movie):
        if space == _LINEAR_SPACE:
            return ""
        return (
            f"The strip {movie.name} has the colour space {space}: only {_LINEAR_SPACE} is supported for its pictures"
        )
    if form == "exr" and space != "sRGB":
        return (
            f"EXR pictures are linear, but the strip {movie.name} has the colour space {space}: choose another format"
        )
    return ""


def _restore_curve(scene: bpy.types.Scene, name: str, values: tuple[float, ...], frames: range) -> None:
    """Set a property of dubbing to values on frames, with keys if they differ."""
    if _curve(scene, name, frames) == values:
        return
    path = f"s2l.dub.{name}"
    for curves in fcurve_collections(scene):
        if curve := curves.find(path):
            curves.remove(curve)
    setattr(scene.s2l.dub, name, values[0])
    for frame, value in zip(frames, values if len(values) > 1 else (), strict=False):
        setattr(scene.s2l.dub, name, value)
        scene.keyframe_insert(path, frame=frame)


def _curve(scene: bpy.types.Scene, name: str, frames: range) -> tuple[float, ...]:
    """The values of a property of dubbing: a single one, or one for each of the frames if it is animated."""
    curve = fcurve(scene, f"s2l.dub.{name}")
    if curve is None:
        return (float(getattr(scene.s2l.dub, name)),)
    limits = scene.s2l.dub.bl_rna.properties[name]
    values = (float(curve.evaluate(frame)) for frame in frames)
    return tuple(min(max(value, limits.hard_min), limits.hard_max) for value in values)
