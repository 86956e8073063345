"""This run of Blender: it holds a lock for as long as its process lives, so that others can tell."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
import uuid
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_token = ""
_file: IO[str] | None = None


def token() -> str:
    """The name of this run, the same until :func:`end`."""
    global _token, _file
    if _file is None:
        _token = uuid.uuid4().hex
        _file = _path(_token).open("w")
        _lock(_file)
    return _token


def end() -> None:
    """Let go of the lock, as the end of the process does."""
    global _file
    if _file is not None:
        _file.close()
        _path(_token).unlink(missing_ok=True)
        _file = None


def is_alive(other: str) -> bool:
    """Whether the run of that name goes on, on this machine; nothing in the name is trusted."""
    if other == _token and _file is not None:
        return True
    if not re.fullmatch("[0-9a-f]{32}", other) or not _path(other).is_file():
        return False
    try:
        with _path(other).open() as file:
            _lock(file)
    except OSError:
        return True
    with contextlib.suppress(OSError):  # it may be another user's
        _path(other).unlink()
    return False


def _path(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"speech2lip_{name}.lock"
