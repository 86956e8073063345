"""Files that others may have named or put there: regular ones only, and never more of them than a bound.

Opening a named pipe would wait for a writer, and a device may have no end. Standard library only: Blender and its
threads use it too.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def is_file(path: str | Path) -> bool:
    """Whether a path leads to a regular file; False also where it cannot be followed, or no file can have its name."""
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


def is_folder(path: str | Path) -> bool:
    """Whether a path leads to a folder; False also where it cannot be followed, or no folder can have its name."""
    try:
        return stat.S_ISDIR(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


def read(path: str | Path, most: int, is_head: bool = False) -> bytes:
    """The content of a file.

    Args:
        path: A regular file, or a link to one.
        most: Bytes that it may have.
        is_head: Whether to read the first ``most`` bytes of a larger file.

    Raises:
        OSError: It is missing, is not a regular file, is too large or cannot be read.
    """
    size(path)  # asked before, since opening a device may already do something
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file.")
        if status.st_size > most and not is_head:
            raise OSError(f"{path} is too large.")
        return file.read(most)


def size(path: str | Path) -> int:
    """Bytes of a file.

    Raises:
        OSError: It is missing, or is not a regular file.
    """
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is not a regular file.")
    return status.st_size
