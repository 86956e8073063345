"""What the commands of several benchmarks have in common."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

from s2l_core.errors import CannotWrite, DiskFull
from s2l_core.files import reserved


def destination(path: str) -> Path:
    """An option that names a file to write, which is refused before anything is measured if it cannot be written."""
    try:
        with reserved(path):
            return Path(path)
    except (CannotWrite, DiskFull) as error:
        raise ArgumentTypeError(str(error)) from error
