"""Looks through folders for the records of jobs that a Blender left unfinished. Nothing here touches Blender, so that a
thread can do it.

Anyone may have put files into these folders. Therefore a search is bounded in files, in bytes and in what it reads.
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

_MOST_NAMES, _MOST_READ, _MOST_BYTES = 20_000, 500, 64 * 1024 * 1024  # of one search
_HEAD = 1000  # bytes of a record that hold its status
_PATIENCE_SECONDS = 5.0
_OVER = ("done", "failed", "cancelled")


def unfinished(folders: list[Path]) -> list[Entry]:
    """Entries in folders whose Blender has ended before their result was put into its file, the oldest first."""
    found = []
    for path in _within_bounds(_open_records(folders)):
        try:
            entry, owner = records.read(path)
        except BadJob:
            continue
        if entry.status not in _OVER and not session.is_alive(owner):
            found.append(entry)
    return sorted(found, key=lambda entry: entry.added)


class Search(threading.Thread):
    """One search. The last one that began is asked for by :func:`is_running`."""

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
        """Whether it is worth waiting for: a network drive that does not answer may keep it for ever."""
        return self.is_alive() and time.monotonic() < self._patience_ends


_last: Search | None = None


def is_running() -> bool:
    """Whether a search is under way, so that nothing should be delivered, see ``deliveries._push_undo``."""
    return _last is not None and _last.is_running


def _open_records(folders: list[Path]) -> Iterator[Path]:
    """Records of jobs that are not over, by their first lines: most are, and reading all of them takes a while."""
    names = (path for folder in folders if regular_files.is_folder(folder) for path in folder.glob(f"*{RECORD_SUFFIX}"))
    for path in itertools.islice(names, _MOST_NAMES):
        try:
            head = regular_files.read(path, _HEAD, is_head=True).decode(errors="replace")
        except OSError:
            continue
        if not any(f'"status": "{status}"' in head for status in _OVER):
            yield path


def _within_bounds(paths: Iterator[Path]) -> Iterator[Path]:
    """Files, the smallest first, until they are too many, or too much, for one search."""
    left = _MOST_BYTES
    for number, (size, path) in enumerate(sorted(_with_sizes(paths))):
        left -= size
        if number >= _MOST_READ or left < 0:
            print(f"Speech2Lip: {path.parent} holds too many unfinished jobs; some were skipped.")
            return
        yield path


def _with_sizes(paths: Iterator[Path]) -> Iterator[tuple[int, Path]]:
    for path in paths:
        with contextlib.suppress(OSError):  # it has gone meanwhile
            yield regular_files.size(path), path
