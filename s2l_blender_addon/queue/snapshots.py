"""New entries of the queue from the present settings of a scene. They are complete: nothing is looked up later."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import bpy

from ...s2l_core.consent_record import ConsentRecord
from ...s2l_core.jobs import CheckJob, Job, PoseJob, RenderJob, StillJob, TrainJob
from ..preferences import settings
from ..sequencer import results, strips
from . import dubbing
from .consent_details import consent_details
from .entries import Entry, Target, camera_path_beside, output_of, record_beside
from .outputs import unused_path


def check_job(context: bpy.types.Context, scene: bpy.types.Scene, movie: bpy.types.Strip | None) -> CheckJob:
    """The check of the visible part of a movie or image strip; raises as :func:`strips.filmed`."""
    footage, voice = strips.filmed(scene, movie)
    return CheckJob(footage, voice, device=settings(context).device)


def train_job(
    context: bpy.types.Context,
    scene: bpy.types.Scene,
    movie: bpy.types.Strip | None,
    name: str,
    consent: bool,
    record: ConsentRecord | None = None,
) -> TrainJob:
    """The training on the visible part of a movie or image strip.

    Args:
        context: The context, for the preferences.
        scene: The scene with the strip and the settings.
        movie: The strip.
        name: Name of the speaker.
        consent: Whether the speaker agreed.
        record: Details of the consent, instead of those in the settings of the scene.

    Raises:
        BadJob: The details of the consent in the settings are not valid.
        Speech2LipError: As :func:`strips.filmed`.
    """
    train, (footage, voice) = scene.s2l.train, strips.filmed(scene, movie)
    return TrainJob(
        footage=footage,
        speaker_path=unused_path(train.folder, footage.path, name, ".s2l"),
        name=name,
        voice=voice,
        preset=train.preset,
        device=settings(context).device,
        consent=consent,
        any_sound=train.any_sound,
        consent_record=record or consent_details(train, name),
    )


def target_of(scene: bpy.types.Scene) -> Target:
    """A scene as the place of a result."""
    return Target(scene.name, bpy.data.filepath, scene_id=scene.session_uid)


def snapshot(subject: str, job: Job, target: Target) -> Entry:
    """A new entry of the queue.

    Args:
        subject: The object of the job's verb, e.g. ``"Interview"`` for the entry "Dub Interview".
        job: The complete job.
        target: The place of its result.
    """
    verb = "Dub" if isinstance(job, StillJob) else "Render" if isinstance(job, PoseJob) else job.verb.title()
    name = f"{verb} {subject}"
    # The records of jobs without an output are written to the folder of the others.
    media = job.footage.path if isinstance(job, CheckJob) else ""
    output = output_of(job) or unused_path("", media, name.lower().replace(" ", "_"), "")
    return Entry(name, job, target, record_beside(output))


def dub_entry(
    context: bpy.types.Context,
    scene: bpy.types.Scene,
    strip: bpy.types.Strip,
    sounds: list[bpy.types.Strip],
    consent: bool = False,
    record: ConsentRecord | None = None,
    trained: str = "",
) -> Entry:
    """The dub of a movie or image strip, as :func:`dubbing.job`; earlier results are kept."""
    job, placement = dubbing.job(context, scene, strip, sounds, consent, record, trained)
    target = dataclasses.replace(target_of(scene), placement=placement, earlier=results.earlier(scene, placement))
    return snapshot(strip.name, job, target)


def pose_entry(scene: bpy.types.Scene, frames: range, picture: RenderJob) -> Entry:
    """The movie of the head that a scene shows on some frames, along a camera path that is to be written.

    Args:
        scene: The scene with the head and the settings.
        frames: The frames of the timeline.
        picture: The job for the picture of one of them.
    """
    name = f"Head {Path(picture.speaker_path).stem}"
    output = unused_path(scene.s2l.dub.folder, picture.footage.path, name.lower().replace(" ", "_"), ".mp4")
    job = PoseJob(
        speaker_path=picture.speaker_path,
        footage=picture.footage,
        camera_path=str(camera_path_beside(output)),
        output_path=output,
        background=picture.background,
        fade=picture.fade,
        landmarks=picture.landmarks,
        device=picture.device,
    )
    placement = strips.Placement(scene.name, name, "", frames.start, frames.stop)
    return snapshot(name, job, dataclasses.replace(target_of(scene), placement=placement))
