"""A library that is timed: that of this folder, or of another commit, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import build

Answer = dict[str, Any]


class Library:
    """A process in which tasks are timed, see :mod:`.subject`; a context manager.

    Args:
        source: Folder that contains ``s2l_core``.
        folder: An empty folder for the process and its cached results.
        threads: Threads that compute; 0 means as many as there are cores.

    Attributes:
        cache: Folder for cached results.
    """

    def __init__(self, source: Path, folder: Path, threads: int) -> None:
        self._source, self._folder, self._threads = source, folder, threads
        self.cache = folder / "cache"
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        # The benchmarks of this commit and the library of another one, side by side.
        self.cache.mkdir(parents=True)
        for name, place in (("s2l_core", self._source), ("benchmarks", build.ROOT)):
            (self._folder / name).symlink_to(place / name, target_is_directory=True)
        environment = os.environ | {"PYTHONPATH": str(self._folder)}
        if self._threads:
            environment |= {"S2L_BENCH_THREADS": str(self._threads), "OMP_NUM_THREADS": str(self._threads)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.timing.subject"],
            cwd=self._folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        if kind is not None:
            self._process.kill()
        self._process.wait()

    def ask(self, task: str, cache: Path | None = None, **arguments: Any) -> Answer:
        """Do a task, and return what it took, see :meth:`.subject.Subject.answer`.

        Args:
            task: Name of a method of :class:`.subject.Subject`.
            cache: Folder for cached results; None means that of the process.
            arguments: Its arguments, as JSON values.

        Raises:
            RuntimeError: The task failed.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {"task": task, "arguments": arguments, "cache": str(cache or self.cache)}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        answer: Answer = json.loads(line) if line else {"error": "The process ended."}
        if "error" in answer:
            raise RuntimeError(f"{task}: {answer['error']}")
        return answer


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """The files of a commit of this repository, in a folder that is removed afterwards."""
    git = ["git", "-C", str(build.ROOT), "worktree"]
    subprocess.run([*git, "add", "--detach", "--force", str(folder), commit], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True, capture_output=True)
