"""Reading untrusted paths: regular files only, most of them up to a given number of bytes.

Opening a named pipe would block until there is a writer, and a device may have no end. Standard library only, since
Blender and its threads use this module as well.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from .errors import FileMissing


def is_file(path: str | Path) -> bool:
    """Whether a path, or the target of a link, is a regular file; False for invalid paths as well."""
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


def is_folder(path: str | Path) -> bool:
    """Whether a path, or the target of a link, is a folder; False for invalid paths as well."""
    try:
        return stat.S_ISDIR(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


def opened(path: str) -> BinaryIO:
    """Open a regular file, or a link to one, for reading.

    Raises:
        FileMissing: There is no such file, it is not a regular one, or it cannot be read.
    """
    try:
        if not is_file(path):
            raise FileMissing(f"There is no file {path}.")
        return Path(path).open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileMissing(f"{path} cannot be read: {reason}.", "Check the permissions of the file.") from error


def read(path: str | Path, most: int, is_head: bool = False) -> bytes:
    """Content of a file.

    Args:
        path: A regular file, or a link to one.
        most: Maximum number of bytes to read.
        is_head: Whether to read the beginning of a larger file, instead of raising an error.

    Raises:
        OSError: The file is missing, is not a regular file, is too large or cannot be read.
    """
    size(path)  # checked first, since merely opening a device may have an effect
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file.")
        if status.st_size > most and not is_head:
            raise OSError(f"{path} is too large.")
        return file.read(most)


def size(path: str | Path) -> int:
    """Size of a file in bytes.

    Raises:
        OSError: The file is missing, or is not a regular file.
    """
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is not a regular file.")
    return status.st_size
