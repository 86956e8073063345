"""Searches folders for the records of jobs that another run of Blender left unfinished. Nothing here touches Blender,
so that a thread can do it.

The folders may contain files of any origin. Therefore a search is limited in the number of files and in bytes.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ...s2l_core import regular_files
from ...s2l_core.errors import BadJob
from .. import session
from . import records
from .entries import RECORD_SUFFIX, Entry

_MOST_NAMES, _MOST_READ, _MOST_BYTES = 20_000, 500, 64 * 1024 * 1024  # limits of one search
_HEAD = 1000  # bytes at the beginning of a record, which include its status
_PATIENCE_SECONDS = 5.0
_FINISHED = ("done", "failed", "cancelled")


def unfinished(folders: list[Path]) -> list[Entry]:
    """The entries in folders whose Blender has ended before their result was inserted, the oldest first."""
    found = []
    for path in _within_bounds(_unfinished_records(folders)):
        try:
            entry, owner = records.read(path)
        except BadJob:
            continue
        if entry.status not in _FINISHED and not session.is_alive(owner):
            found.append(entry)
    return sorted(found, key=lambda entry: entry.added)


class Search(threading.Thread):
    """A search in a thread of its own; see :func:`is_running` for the last one that was started."""

    def __init__(self, folders: list[Path]) -> None:
        global _last
        super().__init__(daemon=True)
        self._folders = folders
        self._patience_ends = time.monotonic() + _PATIENCE_SECONDS
        self.found: list[Entry] = []
        self.start()
        _last = self

    def run(self) -> None:
        self.found = unfinished(self._folders)

    @property
    def is_running(self) -> bool:
        """Whether it is running, for a few seconds at most: a network drive that does not respond may block it."""
        return self.is_alive() and time.monotonic() < self._patience_ends


_last: Search | None = None


def is_running() -> bool:
    """Whether a search is running, in which case no result must be delivered, see ``deliveries._push_undo``."""
    return _last is not None and _last.is_running


def _unfinished_records(folders: list[Path]) -> Iterator[Path]:
    """The records of unfinished jobs. Only their first lines are read, since most records are of finished jobs."""
    names = (path for folder in folders if regular_files.is_folder(folder) for path in folder.glob(f"*{RECORD_SUFFIX}"))
    for path in itertools.islice(names, _MOST_NAMES):
        try:
            head = regular_files.read(path, _HEAD, is_head=True).decode(errors="replace")
        except OSError:
            continue
        if not any(f'"status": "{status}"' in head for status in _FINISHED):
            yield path


def _within_bounds(paths: Iterator[Path]) -> Iterator[Path]:
    """The files, the smallest first, up to the limits of one search."""
    left = _MOST_BYTES
    for number, (size, path) in enumerate(sorted(_with_sizes(paths))):
        left -= size
        if number >= _MOST_READ or left < 0:
            print(f"Speech2Lip: {path.parent} contains too many unfinished jobs; some were skipped.")
            return
        yield path


def _with_sizes(paths: Iterator[Path]) -> Iterator[tuple[int, Path]]:
    for path in paths:
        with contextlib.suppress(OSError):  # it has been removed meanwhile
            yield regular_files.size(path), path
