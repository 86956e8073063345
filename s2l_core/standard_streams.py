"""Standard streams that may be closed or full. Standard library only."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, TextIO

_LAST = 2


def open_missing() -> None:
    """Open the null device for each standard stream that was closed when the process started.

    Otherwise the next file that is opened would get its number, and receive what libraries print.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST:
        pass
    os.close(descriptor)


def print_result(text: str) -> OSError | None:
    """Print to stdout, with escapes for characters that its encoding lacks. Returns the error if that fails."""
    if sys.stdout is None:
        return OSError(errno.EBADF, os.strerror(errno.EBADF))
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding))
    except OSError as error:
        _give_up(sys.stdout)
        return error
    return flush_all()


def flush_all() -> OSError | None:
    """Flush stdout and stderr. Returns the error if stdout cannot be written.

    Python would otherwise flush them at exit, and print the exception.
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
    """Redirect a stream that cannot be written to the null device."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Forgiving:
    """A text stream that ignores write errors, for output such as events that must not make a job fail.

    Args:
        stream: The stream; None if it is closed.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, or drop it if that fails."""
        try:
            if self._stream is not None:
                self._stream.write(text)
        except OSError:
            self._lose()
        return len(text)

    def flush(self) -> None:
        """Flush the stream, or drop its buffer if that fails."""
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
