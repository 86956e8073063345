"""JSON that nobody vouches for, read within bounds, and JSON that every reader takes. Standard library only."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from . import regular_files

_MOST_DIGITS = 1000
"""Of a whole number, which takes time that grows with their square."""


def parse(text: str | bytes) -> Any:
    """The values of a JSON text. Numbers that are not finite, which JSON does not have, are None.

    Raises:
        ValueError: It is not JSON, is nested too deeply, or holds a whole number of more than 1000 digits.
    """
    try:
        return json.loads(text, parse_int=_whole_number, parse_float=_number, parse_constant=lambda name: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read(path: str | Path, most: int) -> Any:
    """The values in a JSON file.

    Args:
        path: A regular file, or a link to one: a pipe would keep its reader waiting, and a device may have no end.
        most: Bytes that it may have.

    Raises:
        OSError: The file is missing, is not a regular file, is too large or cannot be read.
        ValueError: As :func:`parse`.
    """
    return parse(regular_files.read(path, most))


def is_text(value: Any, longest: int) -> bool:
    """Whether a value is text of that many characters at most, which every program can write: without zeros, and
    without halves of characters.
    """
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def plain(value: Any) -> Any:
    """JSON values with None in the place of numbers that are not finite, and with names of files that are no valid text
    (bytes that are not UTF-8) written with a backslash and digits.
    """
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def to_json(value: Any, indent: int | None = None) -> str:
    """The JSON text of a value, as :func:`plain` makes it.

    Raises:
        TypeError: There is something in it that JSON does not know.
    """
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def _whole_number(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError("a whole number has too many digits")
    return int(text)


def _number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None
