"""Dubbing of a strip, whatever it shows: a single picture is made to speak, a movie or a sequence of pictures is dubbed
as footage.
"""

from __future__ import annotations

import bpy

from ...s2l_core.consent_record import ConsentRecord
from ...s2l_core.errors import BadJob
from ...s2l_core.jobs import DubJob, StillJob
from ..sequencer import strips
from . import dub_job, still_job


def disabled_reason(scene: bpy.types.Scene) -> str:
    """Why the strip that is meant cannot be dubbed now, as a sentence without its period; empty if it can."""
    return still_job.disabled_reason(scene) if strips.picture(scene) else dub_job.disabled_reason(scene)


def job_of_scene(context: bpy.types.Context, scene: bpy.types.Scene) -> tuple[DubJob | StillJob, strips.Placement]:
    """The job for the strips that are meant in a scene, and the place of its result; raises as :func:`job`."""
    strip = strips.picture_or_footage(scene)
    if strip is None:
        raise BadJob(f"{strips.missing_footage(scene)}.", "Then start the job again.")
    return job(context, scene, strip, strips.voices(scene, strip))


def job(
    context: bpy.types.Context,
    scene: bpy.types.Scene,
    strip: bpy.types.Strip,
    sounds: list[bpy.types.Strip],
    consent: bool = False,
    record: ConsentRecord | None = None,
    trained: str = "",
) -> tuple[DubJob | StillJob, strips.Placement]:
    """The job that dubs a strip with sound strips, and the place of its result.

    Args:
        context: The context, for the preferences.
        scene: The scene with the strips and the settings.
        strip: A movie or image strip.
        sounds: The sound strips.
        consent: Whether the person in a single picture has agreed, in addition to what the strip says.
        record: Details of that consent, if there are any.
        trained: The speaker file for footage that has none, which another job writes.

    Raises:
        Speech2LipError: The strips, their files or the settings do not allow it; footage has no speaker; or the consent
            of the person in a single picture is missing.
    """
    if strips.is_picture(strip):
        return still_job.still_job(context, scene, strip, sounds, consent, record)
    if not (speaker := dub_job.speaker_path(scene, strip) or trained):
        raise BadJob(f"The strip {strip.name} has no speaker.", "Choose one in the Dub panel, or train one.")
    return dub_job.dub_job(context, scene, strip, sounds, speaker)


def restore(scene: bpy.types.Scene, job: DubJob | StillJob, placement: strips.Placement) -> None:
    """Change the settings of a scene to those of a job."""
    if isinstance(job, StillJob):
        still_job.restore(scene, job, placement)
    else:
        dub_job.restore(scene, job, placement)
