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


def output_folder(path: str) -> Path:
    """Type of an option that names a folder for outputs, which is made if it is missing."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentTypeError(f"cannot make the folder {path}: {error.strerror}") from error
    return Path(path)
