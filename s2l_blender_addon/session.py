"""This run of Blender, which holds a lock for as long as its process lives, so that other processes can check it.

The lock file is in the user's folder for states, which is not cleaned up like temporary folders, or in the temporary
folder if that is not writable.
"""

from __future__ import annotations

import contextlib
import os
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
    """The name of this run, the same until :func:`end`.

    Raises:
        OSError: The lock file cannot be created.
    """
    global _token, _file
    if _file is None:
        name = uuid.uuid4().hex
        states, temporary = _paths(name)
        try:
            states.parent.mkdir(parents=True, exist_ok=True)
            _file = states.open("x")
        except OSError:
            _file = temporary.open("x")
        _lock(_file)
        _token = name
    return _token


def end() -> None:
    """Release the lock, as the end of the process does."""
    global _file
    if _file is not None:
        _file.close()
        Path(_file.name).unlink(missing_ok=True)
        _file = None


def is_alive(other: str) -> bool:
    """Whether the run of that name is still going on, on this machine; the name is not trusted."""
    if other == _token and _file is not None:
        return True
    return bool(re.fullmatch("[0-9a-f]{32}", other)) and any(map(_is_locked, _paths(other)))


def _is_locked(path: Path) -> bool:
    """Whether a process holds this lock; the file of one that has ended is removed."""
    if not path.is_file():
        return False
    try:
        with path.open() as file:
            _lock(file)
    except OSError:
        return True
    with contextlib.suppress(OSError):  # it may be another user's
        path.unlink()
    return False


def _paths(name: str) -> tuple[Path, Path]:
    """The path of the lock of a run, and the alternative in the temporary folder."""
    return _states_folder() / f"{name}.lock", Path(tempfile.gettempdir()) / f"speech2lip_{name}.lock"


def _states_folder() -> Path:
    if sys.platform == "win32":
        states = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        states = Path.home() / "Library" / "Application Support"
    else:
        states = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(states) / "speech2lip" / "sessions"
