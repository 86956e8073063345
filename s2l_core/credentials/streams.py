"""Files as the C2PA library reads and writes them, which tells only that an operation failed, not why."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from ..events import checkpoint

_READ_BLOCK = 1 << 20
_Result = TypeVar("_Result")


class Watched:
    """A file that remembers the first exception of its operations, and where a cancelled job stops.

    Args:
        file: The file. It stays open.

    Attributes:
        problem: The first exception; None if there was none.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.problem: Exception | None = None

    def readinto(self, buffer: memoryview) -> int:
        """Read into a buffer, a megabyte at most: the library asks for up to 256 at once, and asks again."""
        return self._watch(lambda: self._read_into(buffer))

    def read(self, size: int = -1) -> bytes:
        return self._watch(lambda: self._file.read(size))

    def write(self, data: bytes) -> int:
        return self._watch(lambda: self._file.write(data))

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._watch(lambda: self._file.seek(offset, whence))

    def tell(self) -> int:
        return self._watch(self._file.tell)

    def flush(self) -> None:
        self._watch(self._file.flush)

    def _read_into(self, buffer: memoryview) -> int:
        checkpoint()
        part = self._file.read(min(len(buffer), _READ_BLOCK))
        buffer[: len(part)] = part
        return len(part)

    def _watch(self, operation: Callable[[], _Result]) -> _Result:
        try:
            return operation()
        except Exception as error:
            self.problem = self.problem or error
            raise


def hash_stream(file: Watched) -> str:
    """SHA-256 of the rest of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    while block := file.read(_READ_BLOCK):
        checkpoint()
        digest.update(block)
    return digest.hexdigest()
