"""Restores the entries that an earlier Blender left unfinished when a file is opened, and records when one is saved."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import bpy

from .. import screen
from . import job_queue, outputs, record_search
from .entries import Entry

WORKER_GRACE_SECONDS = 6.0  # the worker of a Blender that has crashed ends within five seconds
_SEARCH_SECONDS = 0.1


def register() -> None:
    bpy.app.handlers.load_post.append(_after_loading)
    bpy.app.handlers.save_post.append(_after_saving)
    bpy.app.timers.register(_find_everywhere, first_interval=0.0)  # a file cannot be read while add-ons are enabled


def unregister() -> None:
    bpy.app.handlers.save_post.remove(_after_saving)
    bpy.app.handlers.load_post.remove(_after_loading)
    if bpy.app.timers.is_registered(_find_everywhere):
        bpy.app.timers.unregister(_find_everywhere)
    if bpy.app.timers.is_registered(_take_up):
        bpy.app.timers.unregister(_take_up)


def find_interrupted(scene: bpy.types.Scene) -> list[Entry]:
    """Add the jobs to the queue that another run of Blender left unfinished in the folders of a scene's results.

    Returns:
        The new entries; they run only when the user resumes them.
    """
    return _restore(record_search.unfinished(outputs.folders(scene)))


def _restore(found: list[Entry]) -> list[Entry]:
    known = {entry.record_path for entry in job_queue.entries()}
    new = [entry for entry in found if entry.record_path not in known and _belongs_here(entry)]
    for entry in new:
        entry.has_started = entry.status not in ("waiting", "submitted")
        entry.target = dataclasses.replace(entry.target, blend=bpy.data.filepath)
        entry.earliest = time.monotonic() + WORKER_GRACE_SECONDS
        if entry.status not in ("ready", "submitted"):
            entry.status, entry.outcome = "interrupted", "Blender ended before the job was finished."
    job_queue.restore(new)
    return new


def _belongs_here(entry: Entry) -> bool:
    """Whether an entry was added in the open file, which may have been moved since then."""
    blend, opened = Path(entry.target.blend), Path(bpy.data.filepath)
    return not entry.target.blend or blend == opened or (blend.name == opened.name and not blend.exists())


def _find_everywhere() -> None:
    """Search the folders of all scenes: with a window in a thread, for which a timer waits."""
    global _search
    folders = list(dict.fromkeys(folder for scene in bpy.data.scenes for folder in outputs.folders(scene)))
    if bpy.app.background:  # timers do not run
        _restore(record_search.unfinished(folders))
        return
    _search = record_search.Search(folders)
    if not bpy.app.timers.is_registered(_take_up):
        bpy.app.timers.register(_take_up, first_interval=_SEARCH_SECONDS)


_search: record_search.Search | None = None


def _take_up() -> float | None:
    """Add the entries that the last search has found to the queue when it has ended."""
    global _search
    if _search is not None and _search.is_alive():
        return _SEARCH_SECONDS
    if _search is not None and _restore(_search.found):
        screen.redraw(bpy.context.window_manager)
    _search = None
    return None


@bpy.app.handlers.persistent
def _after_loading(*_: object) -> None:
    job_queue.mark_unsaved()
    _find_everywhere()


@bpy.app.handlers.persistent
def _after_saving(*_: object) -> None:
    job_queue.mark_saved()
