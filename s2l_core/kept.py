"""What has been computed, kept in the user's cache, so that it is not computed again: whole results, and rows of what
takes long. Whatever cannot be read there counts as not there, and what cannot be written is computed again.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
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
_OUR_FILES = rf".*\.(safetensors|jpg)({TEMPORARY})?"
_LOCK = "lock"
SAVE_SECONDS = 10.0
"""How much work may be lost where a process is killed."""

_KEY = "kept"

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Kept:
    """A folder for one piece of work.

    Attributes:
        folder: Where it is; None keeps nothing.
    """

    folder: Path | None = None

    @classmethod
    def of(cls, kind: str, *identity: object) -> Kept:
        """What is kept of the work that ``identity`` tells apart from all others. Thirty days without it remove it.

        Where the cache cannot be written, nothing is kept: that costs time, and nothing else.

        Args:
            kind: A word that names the work.
            identity: All that its result follows from, and nothing else: arrays, and what :func:`repr` shows whole.
        """
        digest = hashlib.blake2b(digest_size=16)
        for part in identity:
            digest.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else repr(part).encode())
        everything = user_cache_path("speech2lip") / kind
        folder = everything / digest.hexdigest()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.utime(folder)
        except OSError:
            return FORGETFUL
        _forget_old(everything)
        return cls(folder)

    @contextmanager
    def alone(self, report: Report) -> Iterator[Kept]:
        """Give one job at a time what is kept; nothing is kept of another one that does the same beside it."""
        kept = self
        with ExitStack() as held:
            try:
                if self.folder is not None:
                    held.enter_context(locked(self.folder / _LOCK))
            except Taken:
                report.log(
                    "warning",
                    "Another job is doing the same work. If this one is interrupted, it will start from the beginning.",
                )
                kept = FORGETFUL
            except OSError:
                kept = FORGETFUL
            yield kept
        if kept.folder is not None:
            with suppress(OSError):  # there is something to go on from
                kept.folder.rmdir()

    def path(self, name: str) -> Path | None:
        """Where the tensors of a name are kept."""
        return None if self.folder is None else self.folder / f"{name}.safetensors"

    def recall(self, name: str) -> Tensors | None:
        """Tensors that were remembered, or None."""
        path = self.path(name)
        try:
            return None if path is None else tensor_file.unpack(path.read_bytes(), _KEY)[1]
        except (OSError, ValueError):
            return None

    def remember(self, name: str, tensors: Tensors) -> None:
        path = self.path(name)
        stored = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        try:
            if path is not None:
                write_whole(str(path), tensor_file.pack(stored, _KEY, {}), lasting=False)
        except Speech2LipError:
            return

    def once(self, name: str, compute: Callable[[], Tensors], device: torch.device | str = "cpu") -> Tensors:
        """What ``compute`` gives, on a device, computed only if it is not remembered.

        Either way it lies alike in memory, in order of the names: sums of the same numbers in another layout differ.
        """
        tensors = self.recall(name)
        if tensors is None:
            tensors = compute()
            self.remember(name, tensors)
        return {key: tensors[key].clone(memory_format=torch.contiguous_format).to(device) for key in sorted(tensors)}

    def forget_rows(self, name: str) -> None:
        """Remove the rows of a name, once what they were found for is remembered."""
        if self.folder is not None:
            with suppress(OSError):
                for path in self.folder.glob(f"{name}-*.safetensors"):
                    path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove everything."""
        if self.folder is not None:
            with suppress(OSError):
                remove_files(self.folder, _OUR_FILES)


class Rows:
    """Rows of tensors that are found one after the other, written down every 10 s.

    Args:
        kept: Where. The rows that are there already are taken up.
        name: Of the rows.

    Attributes:
        count: How many there are.
    """

    def __init__(self, kept: Kept, name: str) -> None:
        self._kept, self._name = kept, name
        self._parts: list[Tensors] = []
        self.count = 0
        while (part := kept.recall(f"{name}-{self.count}")) and self._is_continued_by(part):
            self._append(part)
        self._written, self._unwritten = self.count, len(self._parts)
        self._saved = time.monotonic()

    def add(self, **tensors: Tensor) -> None:
        """Add some rows: tensors (n, ...), of the same names every time."""
        self._append(tensors)
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self._write()

    def all(self) -> Tensors:
        """All rows (count, ...) so far, in order of the names."""
        self._write()
        names = sorted(self._parts[0]) if self._parts else []
        return {name: torch.cat([part[name] for part in self._parts]) for name in names}

    def _is_continued_by(self, part: Tensors) -> bool:
        """Whether a part that was read from a file fits the others: the same names and, in each, as many rows."""
        names = self._parts[0].keys() if self._parts else part.keys()
        counts = {tensor.shape[0] if tensor.dim() else 0 for tensor in part.values()}
        return part.keys() == names and len(counts) == 1 and min(counts) > 0

    def _append(self, part: Tensors) -> None:
        self._parts.append(part)
        self.count += len(next(iter(part.values())))

    def _write(self) -> None:
        fresh = self._parts[self._unwritten :]
        if fresh and self._kept.folder is not None:
            joined = {name: torch.cat([part[name] for part in fresh]) for name in fresh[0]}
            self._parts[self._unwritten :] = [joined]
            self._kept.remember(f"{self._name}-{self._written}", joined)
        self._written, self._unwritten, self._saved = self.count, len(self._parts), time.monotonic()


FORGETFUL = Kept()
"""Keeps nothing."""


def _forget_old(everything: Path) -> None:
    with suppress(OSError):
        for folder in everything.iterdir():
            if re.fullmatch("[0-9a-f]{32}", folder.name) and time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
                remove_files(folder, f"{_OUR_FILES}|{_LOCK}")
