"""What is submitted to other machines: the jobs that a scene's settings choose, while the engine plans them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import bpy

from ...s2l_core.consent_ledger import refuse_ended
from ...s2l_core.errors import CannotWrite, Speech2LipError
from ...s2l_core.events import Progress
from ...s2l_core.farm.emitting import emit
from ...s2l_core.files import write_whole
from ...s2l_core.jobs import PoseJob, consent_record_of, refuse_without_consent
from ..engine import planner
from ..head import animation
from ..sequencer import strips, timing
from . import records
from .entries import Entry, output_of
from .snapshots import dub_entry, pose_entry, snapshot, target_of, train_job
from .submissions import submission_of

NOTHING = "Nothing is chosen. Choose Dubs, Training or Head."


def disabled_reason(scene: bpy.types.Scene) -> str:
    """Why there is nothing to submit, as a sentence without its period; empty if there is something."""
    if (
        strips.pairs(scene)
        or animation.heads(scene)
        or not strips.missing_voice_reason(strips.footage(scene), strips.missing_footage(scene))
    ):
        return ""
    return "Choose the strip that a sound strip drives, in the Dub panel, or footage to train a speaker on"


def gather(
    context: bpy.types.Context,
    scene: bpy.types.Scene,
    consent: bool = False,
    is_final: bool = False,
) -> tuple[list[Entry], list[str]]:
    """New entries for the jobs that are to be submitted.

    With the training, strips without a speaker are dubbed by the one that is trained.

    Args:
        context: The context, for the preferences.
        scene: The scene with the strips and the settings.
        consent: Whether the speaker that is to be trained has agreed.
        is_final: Whether these are submitted: then the record of each is written before the next one is made, and
            the scene is evaluated in all frames of the animation of a head, instead of in the present frame only.

    Returns:
        The entries, and a sentence for each job that cannot be made.
    """
    entries: list[Entry] = []
    sentences: list[str] = []

    def add(make: Callable[[], Entry]) -> None:
        try:
            entry = make()
            if is_final:
                _record(entry)
            entries.append(entry)
        except Speech2LipError as error:
            sentences.append(str(error))

    if scene.s2l.submit.training:
        add(partial(_train_entry, context, scene, consent))
    trained = output_of(entries[0].job) if entries else ""
    if scene.s2l.submit.dubs:
        for strip, sounds in strips.pairs(scene):
            add(partial(dub_entry, context, scene, strip, sounds, trained=trained))
    if scene.s2l.submit.head:
        sentences += (unsuitable := animation.problems(scene))
        if not unsuitable:
            add(partial(_pose_entry, scene, is_final))
    return entries, sentences if entries or sentences else [NOTHING]


def _train_entry(context: bpy.types.Context, scene: bpy.types.Scene, consent: bool) -> Entry:
    name = scene.s2l.train.speaker_name.strip()
    job = train_job(context, scene, strips.footage(scene), name, consent or has_agreed(scene))
    refuse_without_consent(job)
    refuse_ended(job.speaker_path, consent_record_of(job).hash)
    return snapshot(name, job, target_of(scene))


def _pose_entry(scene: bpy.types.Scene, is_final: bool) -> Entry:
    pictures = animation.pictures(scene) if is_final else [animation.present_picture(scene)]
    entry = pose_entry(scene, animation.frames(scene), pictures[0])
    if is_final and isinstance(entry.job, PoseJob):
        path = animation.camera_path(pictures, timing.frame_rate(scene))
        path[records.WRITTEN_FOR] = Path(entry.job.output_path).name
        write_whole(entry.job.camera_path, json.dumps(path).encode())
    return entry


def has_agreed(scene: bpy.types.Scene) -> bool:
    """Whether it was confirmed that the speaker of the panel Train has agreed."""
    return bool(scene.s2l.train.consent == scene.s2l.train.speaker_name.strip())


def _record(entry: Entry) -> None:
    """Write the record of an entry, so that the next one gets another output.

    Raises:
        CannotWrite: It cannot be written.
    """
    try:
        records.write(entry)
    except OSError as error:
        raise CannotWrite(f"{entry.record_path} cannot be written: {error.strerror}.") from error


class Submitting:
    """Entries whose plan the engine makes.

    Attributes:
        entries: The entries.
        folder: The folder of the plan.
        tasks: Number of its tasks, once it is there.

    Args:
        python: The Python that runs the engine.
        entries: Entries whose records have been written.
        folder: The folder of the plan, which is created.
        root: The folder that all machines reach.
        settings: The settings of submitting.

    Raises:
        EngineIncomplete: The Python cannot be started.
    """

    def __init__(
        self, python: str, entries: list[Entry], folder: str, root: str, settings: bpy.types.PropertyGroup
    ) -> None:
        self.entries, self.folder, self.tasks = entries, folder, 0
        self._farm, self._priority = settings.farm, settings.priority
        self._planning = planner.Planning(python, [entry.job for entry in entries], folder, root, settings.chunk)

    @property
    def progress(self) -> Progress | None:
        """How far planning is."""
        return self._planning.command.progress

    def poll(self) -> bool:
        """Whether planning has ended."""
        return self._planning.command.poll()

    def wait(self) -> None:
        """Wait until planning has ended.

        Raises:
            Speech2LipError: The jobs cannot be planned.
        """
        self._planning.command.wait()

    def cancel(self) -> None:
        """Stop planning."""
        self._planning.command.cancel()

    def kill(self) -> None:
        """Stop planning at once."""
        self._planning.command.kill()

    def finish(self) -> None:
        """Write what the farm needs once there is a plan, and let the entries name their tasks.

        Raises:
            Speech2LipError: The jobs cannot be planned, or planning was cancelled.
        """
        plan = self._planning.plan()
        if self._farm != "NONE":
            emit(self.folder, self._farm.lower(), {}, self._priority)
        found = [submission_of(entry, self.folder, plan) for entry in self.entries]
        for entry, submission in zip(self.entries, found, strict=True):
            entry.submission = submission
        self.tasks = len(plan.tasks)
