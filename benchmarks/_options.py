"""Command-line options that several benchmarks share."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

from s2l_core.errors import CannotWrite, DiskFull
from s2l_core.files import reserved


def destination(path: str) -> Path:
    """Type of an option that names an output file. A file that cannot be written is refused before anything is
    measured.
    """
    try:
        with reserved(path):
            return Path(path)
    except (CannotWrite, DiskFull) as error:
        raise ArgumentTypeError(str(error)) from error
