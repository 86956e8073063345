"""What a machine of a farm would miss of some jobs, in sentences."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import bpy

from ...s2l_core.errors import Speech2LipError
from ...s2l_core.farm.roots import inputs_of, outputs_of
from ...s2l_core.jobs import DubJob, Job, PoseJob, StillJob, TrainJob
from .. import speakers
from ..preferences import find_worker_python
from . import records


def shared_folder(scene: bpy.types.Scene) -> str:
    """The folder that all machines reach: the one that was chosen, or that of the .blend file; empty if neither."""
    chosen = scene.s2l.submit.folder
    if chosen:
        return os.path.normpath(bpy.path.abspath(chosen))
    return str(Path(bpy.data.filepath).parent) if bpy.data.filepath else ""


def problems(context: bpy.types.Context, scene: bpy.types.Scene, jobs: Sequence[Job]) -> list[str]:
    """Sentences on what has to be put right before other machines can do some jobs; each once."""
    return list(dict.fromkeys(_problems(context, scene, jobs)))


def _problems(context: bpy.types.Context, scene: bpy.types.Scene, jobs: Sequence[Job]) -> Iterator[str]:
    root = shared_folder(scene)
    if not bpy.data.filepath:
        yield "The file is not saved: results could not be inserted in another session. Save it."
    if not root:
        yield "There is no folder that all machines reach. Choose it as Shared Folder, or save the file in it."
    try:
        find_worker_python(context)
    except Speech2LipError as error:
        yield str(error)
    planned = [job for job in jobs if isinstance(job, DubJob | StillJob | PoseJob | TrainJob)]
    made = {path for job in planned for path in outputs_of(job)}
    made |= {job.camera_path for job in planned if isinstance(job, PoseJob)}  # written when it is submitted
    for job in planned:
        if not isinstance(job, TrainJob) and speakers.lacks_consent(scene, job.speaker_path):
            yield f"No valid consent is recorded for {job.speaker_path}. Ask the person, and train the speaker again."
        for path in inputs_of(job):
            if path not in made:
                yield from _missing(path)
        for path in (*inputs_of(job), *outputs_of(job)):
            if root and not Path(os.path.normpath(path)).is_relative_to(root):
                yield f"{path} lies outside of {root}. Move it, or choose another Shared Folder."


def version_needed() -> str:
    """What must be installed on the other machines, in a sentence."""
    return f"The machines need Speech2Lip {records.versions()['speech2lip']}."


def _missing(path: str) -> Iterator[str]:
    place = Path(path)
    if not place.exists() and not (_is_pattern(place.name) and place.parent.is_dir()):
        yield f"{path} is missing. Find it again with File > External Data > Find Missing Files."


def _is_pattern(name: str) -> bool:
    return "#" in name or "%0" in name
