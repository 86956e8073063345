"""Content hashes of files, cached until the files change: a movie of 50 GB takes minutes to read."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from . import json_text, regular_files
from .errors import Speech2LipError
from .events import checkpoint
from .files import write_whole

_READ_BLOCK = 1 << 20
_LEAST_BYTES = 1 << 20
"""Smaller files are hashed faster than looked up."""
_SETTLED_NS = 2_000_000_000
"""Least time since the last change: two changes within one tick of the file system's clock look like one."""
_MOST_REMEMBERED, _LARGEST_ENTRY = 1000, 1000

_State = tuple[int, ...] | None


def fingerprint_file(path: str) -> str:
    """Hash of a file's content.

    Raises:
        FileMissing: As :func:`hash_file`.
    """
    return remembered([path], lambda: hash_file(path))


def by_content(values: Any, known: Mapping[str, str]) -> Any:
    """JSON values of a job in which paths are replaced, so that they identify the work wherever its files are.

    Args:
        values: The values.
        known: For each path, the hash of what is there, or an empty text.
    """
    if isinstance(values, Mapping):
        return {name: by_content(value, known) for name, value in values.items()}
    if isinstance(values, str):
        return known.get(values, values)
    if isinstance(values, list | tuple) and not all(isinstance(value, float) for value in values):
        return [by_content(value, known) for value in values]
    return values


def hash_file(path: str) -> str:
    """Hash of a file's content, without the cache.

    Raises:
        FileMissing: See :func:`s2l_core.regular_files.opened`.
    """
    digest = hashlib.blake2b(digest_size=16)
    with regular_files.opened(path) as file:
        while block := file.read(_READ_BLOCK):
            checkpoint()
            digest.update(block)
    return digest.hexdigest()


def remembered(paths: Sequence[str], compute: Callable[[], str]) -> str:
    """A hash of the content of files, from the cache if neither size, times nor inode of any of them has changed.

    Args:
        paths: The files.
        compute: Computes the hash. It is called again if the cache cannot be read or written.
    """
    before = [_state(path) for path in paths]
    if sum(state[0] for state in before if state) < _LEAST_BYTES:
        return compute()
    name = _digest([Path(path).absolute() for path in paths])
    if (known := _recall(name, _digest(before))) is not None:
        return known
    found = compute()
    newest = max((max(state[1:3]) for state in before if state), default=0)
    if time.time_ns() - newest > _SETTLED_NS and before == [_state(path) for path in paths]:
        _remember(name, _digest(before), found)
    return found


def _state(path: str) -> _State:
    """Size, times, inode and device of a file; None if there is none."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


def _digest(values: Sequence[object]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for value in values:
        digest.update(repr(value).encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


def _folder() -> Path:
    return user_cache_path("speech2lip") / "fingerprints"


def _recall(name: str, state: str) -> str | None:
    try:
        entry = json_text.read(_folder() / name, _LARGEST_ENTRY)
    except (OSError, ValueError):
        return None
    if not isinstance(entry, dict) or entry.get("state") != state or not isinstance(entry.get("hash"), str):
        return None
    found: str = entry["hash"]
    with suppress(OSError):
        os.utime(_folder() / name)  # so that entries in use are not removed as the oldest
    return found


def _remember(name: str, state: str, found: str) -> None:
    with suppress(OSError, Speech2LipError):
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(str(folder / name), json.dumps({"state": state, "hash": found}).encode(), lasting=False)
        entries = sorted(folder.iterdir(), key=lambda entry: entry.stat().st_mtime)
        for entry in entries[: max(0, len(entries) - _MOST_REMEMBERED)]:
            entry.unlink(missing_ok=True)
