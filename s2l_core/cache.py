"""Computed tensors in the user's cache folder, or in one that machines share: whole results, and logs of rows that take
long to compute.

An entry that cannot be read counts as missing, and a result that cannot be written is computed again next time.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor

from . import tensor_file
from .errors import Speech2LipError
from .events import Report
from .files import TEMPORARY, remove_files, write_whole
from .locks import Taken, locked

_KEPT_SECONDS = 30 * 24 * 3600.0
"""Time after its last use at which a folder is removed."""
_OUR_FILES = rf".*\.(safetensors|jpg)({TEMPORARY})?"
_LOCK = "lock"
SAVE_SECONDS = 10.0
"""Seconds of work that may be lost if the process is killed."""

_KEY = "kept"

Tensors = dict[str, Tensor]

_shared: ContextVar[Path | None] = ContextVar("shared", default=None)


@contextmanager
def shared_in(folder: Path) -> Iterator[None]:
    """Within the context, cache everything in a folder that other processes and machines may use at the same time."""
    token = _shared.set(folder)
    try:
        yield
    finally:
        _shared.reset(token)


@dataclass(frozen=True)
class Cache:
    """A cache folder for one piece of work.

    Attributes:
        folder: The folder; with None, nothing is cached.
    """

    folder: Path | None = None

    @classmethod
    def of(cls, kind: str, *identity: object) -> Cache:
        """The cache of the work that ``identity`` describes. It is removed after thirty days without use.

        If the cache folder cannot be written, nothing is cached, and the work takes as long as the first time.

        Args:
            kind: Name of the kind of work, which is the name of a subfolder.
            identity: Everything that determines the result, and nothing else: arrays, and values whose :func:`repr` is
                complete.
        """
        digest = hashlib.blake2b(digest_size=16)
        for part in identity:
            digest.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else repr(part).encode())
        everything = (_shared.get() or user_cache_path("speech2lip")) / kind
        folder = everything / digest.hexdigest()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.utime(folder)
        except OSError:
            return NO_CACHE
        _forget_old(everything)
        return cls(folder)

    @classmethod
    def of_shared(cls, kind: str, *identity: object) -> Cache:
        """As :meth:`of`, for work that is only worth keeping for other processes: without :func:`shared_in`, nothing is
        cached.
        """
        return cls.of(kind, *identity) if _shared.get() is not None else NO_CACHE

    @contextmanager
    def exclusive(self, report: Report) -> Iterator[Cache]:
        """Lock the cache for one job. A second job that does the same work at the same time gets :data:`NO_CACHE`."""
        cache = self
        with ExitStack() as held:
            try:
                if self.folder is not None:
                    held.enter_context(locked(self.folder / _LOCK))
            except Taken:
                report.log(
                    "warning",
                    "Another job is doing the same work. If this one is interrupted, it will start from the beginning.",
                )
                cache = NO_CACHE
            except OSError:
                cache = NO_CACHE
            yield cache
        if cache.folder is not None:
            with suppress(OSError):  # not empty: the next job resumes from what is there
                cache.folder.rmdir()

    def path(self, name: str) -> Path | None:
        """File for the tensors of a name; None if nothing is cached."""
        return None if self.folder is None else self.folder / f"{name}.safetensors"

    def load(self, name: str) -> Tensors | None:
        """The tensors that were saved under a name; None if there are none, or they are damaged."""
        path = self.path(name)
        try:
            return None if path is None else tensor_file.unpack(path.read_bytes(), _KEY)[1]
        except (OSError, ValueError):
            return None

    def save(self, name: str, tensors: Tensors) -> None:
        """Write tensors under a name, if the folder can be written."""
        path = self.path(name)
        stored = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        try:
            if path is not None:
                write_whole(str(path), tensor_file.pack(stored, _KEY, {}), lasting=False)
        except Speech2LipError:
            return

    def get_or_compute(self, name: str, compute: Callable[[], Tensors], device: torch.device | str = "cpu") -> Tensors:
        """The tensors that were saved under a name, or else the result of ``compute``, which is saved.

        Tensors are always contiguous and sorted by name: floating-point sums depend on memory layout.

        Args:
            name: Name of the entry.
            compute: Computes the tensors.
            device: Device of the returned tensors.
        """
        tensors = self.load(name)
        if tensors is None:
            tensors = compute()
            self.save(name, tensors)
        return {key: tensors[key].clone(memory_format=torch.contiguous_format).to(device) for key in sorted(tensors)}

    def remove_log(self, name: str) -> None:
        """Remove the :class:`AppendLog` of a name, after the result that it was needed for was saved."""
        if self.folder is not None:
            with suppress(OSError):
                for path in self.folder.glob(f"{name}-*.safetensors"):
                    path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all entries."""
        if self.folder is not None:
            with suppress(OSError):
                remove_files(self.folder, _OUR_FILES)


class AppendLog:
    """Rows of tensors that are computed one after the other and written to the cache every 10 s.

    Args:
        cache: The cache; rows that it already holds are loaded.
        name: Name of the log in the cache.

    Attributes:
        count: Number of rows.
    """

    def __init__(self, cache: Cache, name: str) -> None:
        self._cache, self._name = cache, name
        self._parts: list[Tensors] = []
        self.count = 0
        while (part := cache.load(f"{name}-{self.count}")) and self._is_continued_by(part):
            self._append(part)
        self._written, self._unwritten = self.count, len(self._parts)
        self._saved = time.monotonic()

    def add(self, **tensors: Tensor) -> None:
        """Append n rows: tensors (n, ...), with the same names at each call."""
        self._append(tensors)
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self._write()

    def all(self) -> Tensors:
        """All rows (count, ...) so far, sorted by name."""
        self._write()
        if not self._parts:
            return {}
        joined = {name: self._joined(name) for name in sorted(self._parts[0])}
        self._parts, self._unwritten = [joined], 1
        return dict(joined)

    def _joined(self, name: str) -> Tensor:
        """All rows of a name, which are taken out of the parts one after the other, so that none is held twice."""
        first = self._parts[0][name]
        rows, done = first.new_empty((self.count, *first.shape[1:])), 0
        for part in self._parts:
            some = part.pop(name)
            rows[done : done + len(some)] = some
            done += len(some)
        return rows

    def _is_continued_by(self, part: Tensors) -> bool:
        """Whether a part that was read from a file has the names of the others, and the same number of rows in each."""
        names = self._parts[0].keys() if self._parts else part.keys()
        counts = {tensor.shape[0] if tensor.dim() else 0 for tensor in part.values()}
        return part.keys() == names and len(counts) == 1 and min(counts) > 0

    def _append(self, part: Tensors) -> None:
        self._parts.append(part)
        self.count += len(next(iter(part.values())))

    def _write(self) -> None:
        fresh = self._parts[self._unwritten :]
        if fresh and self._cache.folder is not None:
            joined = {name: torch.cat([part[name] for part in fresh]) for name in fresh[0]}
            self._parts[self._unwritten :] = [joined]
            self._cache.save(f"{self._name}-{self._written}", joined)
        self._written, self._unwritten, self._saved = self.count, len(self._parts), time.monotonic()


NO_CACHE = Cache()
"""Caches nothing."""


def _forget_old(everything: Path) -> None:
    with suppress(OSError):
        for folder in everything.iterdir():
            if re.fullmatch("[0-9a-f]{32}", folder.name) and time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
                remove_files(folder, f"{_OUR_FILES}|{_LOCK}")
