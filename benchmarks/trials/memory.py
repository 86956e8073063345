"""The memory of a command and of all processes that it starts."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_INTERVAL = 0.1


def peak_memory(command: Sequence[str], cache: str) -> int:
    """Run a command, and return an upper bound of its peak memory in bytes: the largest sum, over the processes that
    run at a time, of the peaks of each. Memory that they share counts for each of them. Only for Linux.

    Args:
        command: The command.
        cache: The user's folder for caches, as the command sees it.

    Raises:
        subprocess.CalledProcessError: The command failed.
    """
    process, peak = subprocess.Popen(command, env=os.environ | {"XDG_CACHE_HOME": cache}), 0
    while process.poll() is None:
        peak = max(peak, sum(_peak_of(number) for number in _family(process.pid)))
        time.sleep(_INTERVAL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return peak


def _family(number: int) -> list[int]:
    """A process and its descendants."""
    children = [int(child) for path in Path(f"/proc/{number}/task").glob("*/children") for child in _read(path).split()]
    return [number, *(each for child in children for each in _family(child))]


def _peak_of(number: int) -> int:
    """Peak of the resident memory of a process in bytes; 0 if it has ended."""
    lines = _read(Path(f"/proc/{number}/status")).splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has just ended
        return ""
