"""Writing files so that a name always stands for something whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from .errors import CannotWrite, DiskFull, Speech2LipError

_DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(path: str, content: bytes, lasting: bool = True) -> None:
    """Write beside the destination and rename; a failure leaves what was there before.

    Args:
        path: The destination.
        content: All of it.
        lasting: Whether it must survive a loss of power from now on, which takes as long as the disk does.

    Raises:
        CannotWrite: The folder is missing or not writable, or the path is a folder.
        DiskFull: There is no room.
    """
    partial = _partial(path)
    try:
        with partial.open("wb") as file:
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise refusal(path, error) from error


def refuse_unwritable(path: str, *sources: str) -> None:
    """Raise before the work where its result could not be written, or would take the place of one of its sources.

    Raises:
        CannotWrite: As :func:`write_whole`, or the path is one of ``sources``.
        DiskFull: There is no room for a directory entry.
    """
    if Path(path).is_dir():
        raise CannotWrite(f"{path} is a folder.", "Name a file to write.")
    if any(Path(path).exists() and Path(source).exists() and Path(path).samefile(source) for source in sources):
        raise CannotWrite(f"{path} is a source of this job.", "Name another file to write.")
    try:
        _partial(path).open("wb").close()
        _partial(path).unlink()
    except OSError as error:
        raise refusal(path, error) from error


def state_of(path: str) -> tuple[int, int] | None:
    """What changes when a file does: when it was last written, and its size; None where there is no such file."""
    if not Path(path).is_file():
        return None
    status = Path(path).stat()
    return status.st_mtime_ns, status.st_size


def refusal(path: str | Path, error: Exception) -> Speech2LipError:
    """The error that tells a user why ``path`` could not be written."""
    if getattr(error, "errno", None) in _DISK_FULL_ERRORS:
        return DiskFull(f"The disk is full: {path} could not be written.")
    return CannotWrite(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.")


def _partial(path: str) -> Path:
    return Path(path).with_name(f"{Path(path).name}.{os.getpid()}.partial")
