"""The standard streams of a process that may have been started with none of them. Standard library only."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, TextIO

_LAST = 2


def open_missing() -> None:
    """Let nothing but the standard streams have their numbers.

    Whichever was closed leads to nowhere: the next file that is opened would take its number, and what libraries print
    would go into that file.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST:
        pass
    os.close(descriptor)


def print_result(text: str) -> OSError | None:
    """Print to stdout; the reason why that is not possible, if so. Letters that its encoding lacks become digits."""
    if sys.stdout is None:
        return OSError(errno.EBADF, os.strerror(errno.EBADF))
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding))
    except OSError as error:
        _give_up(sys.stdout)
        return error
    return settle()


def settle() -> OSError | None:
    """Write what the standard streams hold back; the reason why stdout cannot, if so.

    Otherwise Python would try at its very end, and complain.
    """
    problem = None
    for stream in (sys.stderr, sys.stdout):
        try:
            if stream is not None:
                stream.flush()
            problem = None
        except OSError as error:
            _give_up(stream)
            problem = error
    return problem


def _give_up(stream: TextIO) -> None:
    """Let a stream that cannot be written lead to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Forgiving:
    """A text stream in which what cannot be written is lost: that may be said of events, and does not end a job.

    Args:
        stream: The stream; None where it is closed.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            if self._stream is not None:
                self._stream.write(text)
        except OSError:
            self._lose()
        return len(text)

    def flush(self) -> None:
        try:
            if self._stream is not None:
                self._stream.flush()
        except OSError:
            self._lose()

    def _lose(self) -> None:
        if self._stream is not None:
            _give_up(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
