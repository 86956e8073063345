"""The dub that a scene asks for."""

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
    """Why nothing can be dubbed now, as a sentence without its period; empty where it can."""
    movie = strips.footage(scene)
    if reason := _strip_reason(movie, strips.missing_footage(scene)):
        return reason
    if not speaker_path(scene, movie):
        return "Choose a speaker file, or train a speaker"
    sounds = strips.voices(scene)
    if not sounds:
        return "Choose the sound strip with the new words"
    if reason := next(filter(None, map(_strip_reason, sounds)), ""):
        return reason
    return _colour_mismatch_reason(movie, scene.s2l.dub.format)


def speaker_path(scene: bpy.types.Scene, movie: bpy.types.Strip) -> str:
    """The speaker file of a movie strip: its own, or else that of the scene."""
    return str(movie.s2l.speaker_path or scene.s2l.dub.speaker_path)


def dub_job(
    context: bpy.types.Context, scene: bpy.types.Scene, movie: bpy.types.Strip, sounds: list[bpy.types.Strip]
) -> tuple[DubJob, strips.Placement]:
    """The job that puts the words of sound strips into the mouth in a movie strip, and where its result goes.

    It dubs the frames of the movie strip on which the sounds are heard. Where they are heard nowhere in it, the movie
    plays forth and back under them.

    Raises:
        Speech2LipError: Something about the strips is wrong.
    """
    reasons = [*map(_strip_reason, (movie, *sounds)), _colour_mismatch_reason(movie, scene.s2l.dub.format)]
    if reason := next(filter(None, reasons), ""):
        raise BadJob(f"{reason}.", "Then start the job again.")
    heard = [timing.sounding(scene, sound) for sound in mixing.audible(scene, sounds)]
    if not heard:
        raise BadJob(f"Nothing is heard of {', '.join(sound.name for sound in sounds)}.", "Unmute it or its channel.")
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
    """A file that tells how all of the footage is stored."""
    return str(Path(footage.path, footage.pictures[0])) if footage.pictures else footage.path


def written_format(dub: bpy.types.PropertyGroup, path: str) -> Format:
    """The format that a dub of this movie is written in."""
    if dub.format != "auto":
        chosen: Format = dub.format
        return chosen
    return "prores" if dub.layer == "mouth" or appearance.has_alpha(path) else "h264"


def restore(scene: bpy.types.Scene, job: DubJob, placement: strips.Placement) -> None:
    """Let a scene ask for a job again: the opposite of :func:`dub_job`."""
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
    """Why a result in a format would have other colours than its footage; empty where it has the same."""
    space = movie.colorspace_settings.name
    if strips.has_linear_pictures(movie):
        if space == _LINEAR_SPACE:
            return ""
        return f"The colours of the strip {movie.name} are {space}: only {_LINEAR_SPACE} is known for its pictures"
    if form == "exr" and space != "sRGB":
        return f"EXR pictures are linear, and the colours of the strip {movie.name} are {space}: choose another format"
    return ""


def _restore_curve(scene: bpy.types.Scene, name: str, values: tuple[float, ...], frames: range) -> None:
    """Let a property of dubbing be what it was over these frames."""
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
    """A property of dubbing over these frames: one value, or where it is animated, one for each of them."""
    curve = fcurve(scene, f"s2l.dub.{name}")
    if curve is None:
        return (float(getattr(scene.s2l.dub, name)),)
    low, high = (-80.0, 0.0) if name == "silence_db" else (0.0, 1.0)
    return tuple(min(max(float(curve.evaluate(frame)), low), high) for frame in frames)
