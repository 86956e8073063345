"""Reads files that others may have put there: regular files only, and never more than a bound.

Opening a named pipe would wait for a writer, and a device may have no end. Standard library only: threads use it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read(path: Path, most: int, is_head: bool = False) -> bytes:
    """The content of a file.

    Args:
        path: A regular file, or a link to one.
        most: Bytes that it may have.
        is_head: Whether to read the first ``most`` bytes of a larger file.

    Raises:
        OSError: It is missing, is no regular file, is too large or cannot be read.
    """
    size(path)  # asked before, since opening a device may already do something
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is no regular file.")
        if status.st_size > most and not is_head:
            raise OSError(f"{path} is too large.")
        return file.read(most)


def size(path: Path) -> int:
    """Bytes of a file.

    Raises:
        OSError: It is missing, or is no regular file.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is no regular file.")
    return status.st_size
