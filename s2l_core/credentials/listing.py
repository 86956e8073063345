"""The credentials of a folder of pictures: a text file lists their hashes, and a file beside it signs the list.

``sha256sum --check`` reads the list as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .. import regular_files
from .streams import Watched, hash_stream

NOTICE = "synthetic_media.txt"
"""Name of the text file beside pictures that says that they are synthetic media."""
_LARGEST_LIST = 200_000_000  # bytes; a million pictures need 80
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\\\0]{1,255})")


class Comparison(NamedTuple):
    """The pictures of a folder compared with its list.

    Attributes:
        changed: Names of those with another content.
        missing: Names of those that are listed only.
        added: Names of those that are not listed.
        is_listed: Whether the list contains any of those that were to be compared.
    """

    changed: list[str]
    missing: list[str]
    added: list[str]
    is_listed: bool


def list_pictures(comment: str, pictures: Iterable[Path]) -> bytes:
    """The text that says what pictures are, and lists their hashes.

    Raises:
        OSError: A picture cannot be read.
    """
    lines = [f"{hash_content(path)}  {path.name}" for path in pictures]
    return "\n".join([f"{comment}.", "", *lines, ""]).encode()


def compare(folder: Path, only: str = "") -> Comparison:
    """Compare the pictures of a folder with its list.

    Args:
        folder: The folder.
        only: Name of the only picture to compare; empty means all.

    Raises:
        OSError: The list cannot be read.
    """
    text = regular_files.read(folder / NOTICE, _LARGEST_LIST).decode("utf-8", "replace")
    listed = {match[2]: match[1] for line in text.split("\n") if (match := _LINE.fullmatch(line))}
    endings = {Path(name).suffix for name in listed}
    found = {path.name for path in folder.iterdir() if path.suffix in endings} - {NOTICE}
    if only:
        listed = {name: digest for name, digest in listed.items() if name == only}
        found = found & {only}
    present = [name for name in listed if name in found]
    changed = [name for name in present if not _has(folder / name, listed[name])]
    return Comparison(changed, sorted(listed.keys() - found), sorted(found - listed.keys()), bool(listed))


def hash_content(path: Path) -> str:
    """SHA-256 of a regular file, as hexadecimal digits.

    Raises:
        OSError: It cannot be read.
    """
    regular_files.size(path)
    with path.open("rb") as file:
        return hash_stream(Watched(file))


def _has(path: Path, digest: str) -> bool:
    try:
        return hash_content(path) == digest
    except OSError:
        return False
