"""Locks between processes, which end with the process that holds them, however it ends. Standard library only."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    _FLAGS = os.O_RDWR | os.O_CREAT

    def _lock(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise Taken from None
else:
    import fcntl

    _FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK

    def _lock(descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Taken from None
        except OSError:  # some network file systems have no locks
            return


class Taken(Exception):
    """Somebody else holds the lock."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that an empty file stands for, which is made for it and removed afterwards.

    A killed process leaves the empty file, but not the lock.

    Raises:
        Taken: Another process, or another part of this one, holds it.
        OSError: The file cannot be made, or something else has its name.
    """
    descriptor = _take(path)
    try:
        yield
    finally:
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        if sys.platform != "win32":  # before the lock is released, so that nobody locks a file that is about to go
            os.close(descriptor)


def _take(path: Path) -> int:
    """A descriptor of the file at a path, locked."""
    while True:
        descriptor = os.open(path, _FLAGS, 0o666)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size:
                raise FileExistsError(errno.EEXIST, f"{path.name} is in the way")
            _lock(descriptor)
            if _is_at(path, status):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder has removed it in between


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), status)
    except FileNotFoundError:
        return False
