"""Writing files so that a name always stands for something whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from .errors import CannotWrite, DiskFull, Speech2LipError

_DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(path: str, content: bytes) -> None:
    """Write beside the destination and rename; a failure leaves what was there before.

    Raises:
        CannotWrite: The folder is missing or not writable, or the path is a folder.
        DiskFull: There is no room.
    """
    partial = _partial(path)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise refusal(path, error) from error


def refuse_unwritable(path: str) -> None:
    """Raise at once where :func:`write_whole` would only fail after the work.

    Raises:
        CannotWrite: As :func:`write_whole`.
        DiskFull: There is no room for a directory entry.
    """
    if Path(path).is_dir():
        raise CannotWrite(f"{path} is a folder.", "Name a file to write.")
    try:
        _partial(path).open("wb").close()
        _partial(path).unlink()
    except OSError as error:
        raise refusal(path, error) from error


def refusal(path: str | Path, error: Exception) -> Speech2LipError:
    """The error that tells a user why ``path`` could not be written."""
    if getattr(error, "errno", None) in _DISK_FULL_ERRORS:
        return DiskFull(f"The disk is full: {path} could not be written.")
    return CannotWrite(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.")


def _partial(path: str) -> Path:
    return Path(path).with_name(f"{Path(path).name}.{os.getpid()}.partial")
