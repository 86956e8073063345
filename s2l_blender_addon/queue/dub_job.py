"""The job that dubs footage, for the settings of a scene."""

from __future__ import annotations

import bpy

from ...s2l_core.errors import BadJob
from ...s2l_core.jobs import DubJob
from ..preferences import settings
from ..sequencer import mixing, strips, timing
from . import dub_settings


def disabled_reason(scene: bpy.types.Scene) -> str:
    """Why dubbing is not possible now, as a sentence without its period; empty if it is."""
    movie = strips.footage(scene)
    if movie is not None and not speaker_path(scene, movie):
        return "Choose a speaker file, or train a speaker"
    return dub_settings.disabled_reason(scene, movie, strips.voices(scene, movie))


def speaker_path(scene: bpy.types.Scene, movie: bpy.types.Strip) -> str:
    """The speaker file for a movie strip: its own, or otherwise that of the scene."""
    return str(movie.s2l.speaker_path or scene.s2l.dub.speaker_path)


def dub_job(
    context: bpy.types.Context,
    scene: bpy.types.Scene,
    movie: bpy.types.Strip,
    sounds: list[bpy.types.Strip],
    speaker: str = "",
) -> tuple[DubJob, strips.Placement]:
    """The job that dubs a movie strip with sound strips, and the place of its result. The speaker file is that of the
    strip or of the scene, unless one is given.

    It dubs those frames of the movie strip on which the sounds are heard. If none of them is heard during the movie
    strip, the movie is played forwards and backwards for as long as they last.

    Raises:
        Speech2LipError: The strips, their files or the settings do not allow a dub.
    """
    if reason := dub_settings.disabled_reason(scene, movie, sounds):
        raise BadJob(f"{reason}.", "Then start the job again.")
    heard, seen = mixing.heard(scene, sounds), timing.visible(movie)
    shared = range(max(seen.start, heard.start), min(seen.stop, heard.stop))
    if len(shared):
        frames, moments = shared, strips.moments(scene, movie, shared)
        footage = strips.shown_media(movie, moments)
    else:
        frames, moments = heard, ()
        footage = strips.shown_media(movie, strips.moments(scene, movie, seen))
    encoding = dub_settings.encoding(scene, strips.first_file(footage))
    strips.identify(movie)
    job = DubJob(
        speaker_path=bpy.path.abspath(speaker or speaker_path(scene, movie)),
        footage=footage,
        voice=mixing.mix(scene, sounds, frames),
        output_path=dub_settings.output_path(scene, footage.path, encoding),
        rate=str(timing.frame_rate(scene)),
        moments=moments,
        encoding=encoding,
        silence_db=dub_settings.silence_db(scene, frames),
        rest_strength=dub_settings.rest_strength(scene, frames),
        device=settings(context).device,
    )
    return job, strips.placement(scene, movie, sounds, frames)


def restore(scene: bpy.types.Scene, job: DubJob, placement: strips.Placement) -> None:
    """Change the settings of a scene to those of a job: the inverse of :func:`dub_job`."""
    movie = strips.movie_of_name(scene, placement.footage)
    scene.s2l.footage_strip, scene.s2l.dub.speaker_path = placement.footage, job.speaker_path
    if movie is not None:
        strips.choose_face(scene, movie.name, job.footage.face)
        if movie.s2l.speaker_path:
            movie.s2l.speaker_path = job.speaker_path
    dub_settings.restore(scene, job, placement)
