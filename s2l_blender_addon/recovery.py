"""Finds what an earlier Blender left unfinished whenever a file is opened, and heeds when one is saved."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import bpy

from . import job_queue, outputs, records
from .entries import Entry

WORKER_GRACE_SECONDS = 6.0  # the worker of a Blender that has vanished ends within five seconds


def register() -> None:
    bpy.app.handlers.load_post.append(_after_loading)
    bpy.app.handlers.save_post.append(_after_saving)
    bpy.app.timers.register(_find_everywhere, first_interval=0.0)  # a file cannot be read while add-ons are enabled


def unregister() -> None:
    bpy.app.handlers.save_post.remove(_after_saving)
    bpy.app.handlers.load_post.remove(_after_loading)
    if bpy.app.timers.is_registered(_find_everywhere):
        bpy.app.timers.unregister(_find_everywhere)


def find_interrupted(scene: bpy.types.Scene) -> list[Entry]:
    """Add to the queue what another run of Blender left unfinished in the folders of a scene's results.

    Returns:
        The new entries, which wait for the user's word.
    """
    known = {entry.record_path for entry in job_queue.entries()}
    found = records.unfinished(outputs.folders(scene))
    new = [entry for entry in found if entry.record_path not in known and _belongs_here(entry)]
    for entry in new:
        entry.has_started = entry.status != "waiting"
        entry.target = dataclasses.replace(entry.target, blend=bpy.data.filepath)
        entry.earliest = time.monotonic() + WORKER_GRACE_SECONDS
        if entry.status != "ready":
            entry.status, entry.outcome = "interrupted", "Blender ended before the job."
    job_queue.restore(new)
    return new


def _belongs_here(entry: Entry) -> bool:
    """Whether an entry was added in the file that is open, which may have been moved since then."""
    blend, opened = Path(entry.target.blend), Path(bpy.data.filepath)
    return not entry.target.blend or blend == opened or (blend.name == opened.name and not blend.exists())


def _find_everywhere() -> None:
    for scene in bpy.data.scenes:
        find_interrupted(scene)


@bpy.app.handlers.persistent
def _after_loading(*_: object) -> None:
    job_queue.unsettle()
    _find_everywhere()


@bpy.app.handlers.persistent
def _after_saving(*_: object) -> None:
    job_queue.settle()
