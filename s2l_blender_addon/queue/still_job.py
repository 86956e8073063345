"""The job that makes a picture speak, for the settings of a scene."""

from __future__ import annotations

import bpy

from ...s2l_core.consent_record import ConsentRecord
from ...s2l_core.errors import BadJob
from ...s2l_core.jobs import StillJob, refuse_without_consent
from ..preferences import settings
from ..sequencer import mixing, stills, strips, timing
from . import dub_settings
from .consent_details import consent_details


def disabled_reason(scene: bpy.types.Scene) -> str:
    """Why no picture can be made to speak now, as a sentence without its period; empty if one can."""
    strip = strips.picture_or_footage(scene)
    if (reason := dub_settings.disabled_reason(scene, strip, strips.voices(scene, strip))) or strip is None:
        return reason
    if reason := stills.unseen_reason(scene, strip):
        return reason
    return "" if stills.has_consent(strip) else f"Confirm in the Dub panel that the speaker in {strip.name} agreed"


def job_of_scene(context: bpy.types.Context, scene: bpy.types.Scene) -> tuple[StillJob, strips.Placement]:
    """The job for the strips that are meant in a scene, and the place of its result; raises as :func:`still_job`."""
    strip = strips.picture_or_footage(scene)
    if strip is None:
        raise BadJob(f"{strips.missing_footage(scene)}.", "Then start the job again.")
    return still_job(context, scene, strip, strips.voices(scene, strip))


def still_job(
    context: bpy.types.Context,
    scene: bpy.types.Scene,
    strip: bpy.types.Strip,
    sounds: list[bpy.types.Strip],
    consent: bool = False,
    record: ConsentRecord | None = None,
) -> tuple[StillJob, strips.Placement]:
    """The job that makes the picture of a strip speak with sound strips, and the place of its result.

    The result covers those frames of the strip on which the sounds are heard. If none of them is heard during the
    strip, it covers the frames of the sounds.

    Args:
        context: The context, for the preferences.
        scene: The scene with the strips and the settings.
        strip: An image strip, or a strip of which the frame under the playhead is to speak.
        sounds: The sound strips.
        consent: Whether the person in the picture has agreed, in addition to what the strip says.
        record: Details of the consent, instead of those that the strip has.

    Raises:
        Speech2LipError: The strips, their files or the settings do not allow it, or the consent is missing.
    """
    if reason := dub_settings.disabled_reason(scene, strip, sounds):
        raise BadJob(f"{reason}.", "Then start the job again.")
    heard, seen = mixing.heard(scene, sounds), timing.visible(strip)
    frames = range(max(seen.start, heard.start), min(seen.stop, heard.stop)) or heard
    picture = stills.picture(scene, strip)
    encoding = dub_settings.encoding(scene, strips.first_file(picture))
    still = scene.s2l.still
    strips.identify(strip)
    job = StillJob(
        picture=picture,
        voice=mixing.mix(scene, sounds, frames),
        output_path=dub_settings.output_path(scene, picture.path, encoding),
        rate=str(timing.frame_rate(scene)),
        encoding=encoding,
        speaker_path=bpy.path.abspath(strip.s2l.speaker_path or still.speaker_path),
        blinks=still.blinks,
        head_motion=still.head_motion,
        silence_db=dub_settings.silence_db(scene, frames),
        rest_strength=dub_settings.rest_strength(scene, frames),
        device=settings(context).device,
        consent=consent or stills.has_consent(strip),
        consent_record=record or consent_details(strip.s2l, strip.name),
    )
    refuse_without_consent(job)
    return job, strips.placement(scene, strip, sounds, frames)


def restore(scene: bpy.types.Scene, job: StillJob, placement: strips.Placement) -> None:
    """Change the settings of a scene, except for the consent, to those of a job: the inverse of :func:`still_job`."""
    still, strip = scene.s2l.still, strips.movie_of_name(scene, placement.footage)
    still.speaker_path, still.blinks, still.head_motion = job.speaker_path, job.blinks, job.head_motion
    if strip is not None:
        strips.store_face(strip, job.picture.face)
        if strip.s2l.speaker_path:
            strip.s2l.speaker_path = job.speaker_path
        if not strips.is_picture(strip):
            scene.s2l.footage_strip = strip.name
        stills.show(scene, strip, job.picture)
    dub_settings.restore(scene, job, placement)
