"""Locks between processes, which are released when their process ends, however it ends. Standard library only."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    _FLAGS = os.O_RDWR | os.O_CREAT

    _SHARES = 1 << 20  # bytes beyond the end of the file: a shared lock is one of them, an exclusive lock all

    def _lock(descriptor: int, is_shared: bool) -> None:
        try:
            os.lseek(descriptor, secrets.randbelow(_SHARES) if is_shared else 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1 if is_shared else _SHARES)
        except OSError:
            raise Taken from None
else:
    import fcntl

    _FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK

    def _lock(descriptor: int, is_shared: bool) -> None:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Taken from None
        except OSError:  # some network file systems do not support locks
            return


class Taken(Exception):
    """The lock is held by another process, or another part of this one."""


@contextmanager
def locked(path: Path, is_shared: bool = False) -> Iterator[None]:
    """Hold a lock on an empty file, which is made and removed afterwards.

    A killed process leaves the file behind, unlocked.

    Args:
        path: The file.
        is_shared: Whether others may hold the lock at the same time if they share it, too. The last of them removes the
            file.

    Raises:
        Taken: Another process, or another part of this one, holds the lock.
        OSError: The file cannot be made, or the name is taken by something else.
    """
    descriptor = _take(path, is_shared)
    try:
        yield
    finally:
        if sys.platform == "win32":  # Windows cannot remove an open file
            os.close(descriptor)
        with suppress(OSError, Taken):
            if is_shared and sys.platform != "win32":  # others that share the lock still need the file
                _lock(descriptor, is_shared=False)
            path.unlink()
        if sys.platform != "win32":  # after the removal, so that nobody locks a removed file
            os.close(descriptor)


def _take(path: Path, is_shared: bool) -> int:
    """Open and lock the file at a path."""
    while True:
        descriptor = os.open(path, _FLAGS, 0o666)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size:
                raise FileExistsError(errno.EEXIST, f"{path.name} is in the way")
            _lock(descriptor, is_shared)
            if _is_at(path, status):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its previous holder removed it in between


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), status)
    except FileNotFoundError:
        return False
