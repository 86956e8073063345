"""Reading untrusted JSON within limits, and writing JSON that every reader accepts. Standard library only."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from . import regular_files

_MOST_DIGITS = 1000
"""Limit for whole numbers; the time to parse one grows with the square of its digits."""


def parse(text: str | bytes) -> Any:
    """Parse a JSON text. Infinity and NaN, which JSON does not have, become None.

    Raises:
        ValueError: The text is not JSON, is nested too deeply, or has a whole number of more than 1000 digits.
    """
    try:
        return json.loads(text, parse_int=_whole_number, parse_float=_number, parse_constant=lambda name: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read(path: str | Path, most: int) -> Any:
    """The values in a JSON file.

    Args:
        path: A regular file, or a link to one: reading a pipe would block, and a device may have no end.
        most: Maximum size of the file in bytes.

    Raises:
        OSError: The file is missing, is not a regular file, is too large or cannot be read.
        ValueError: See :func:`parse`.
    """
    return parse(regular_files.read(path, most))


def is_text(value: Any, longest: int) -> bool:
    """Whether a value is text of at most ``longest`` characters, without NUL characters and lone surrogates."""
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def plain(value: Any) -> Any:
    """JSON values in which infinity and NaN are replaced by None, and bytes of file names that are not valid UTF-8 by
    backslash escapes.
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
    """JSON text of a value, after :func:`plain`.

    Raises:
        TypeError: The value contains something that JSON cannot represent.
    """
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def _whole_number(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError("a whole number has too many digits")
    return int(text)


def _number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None
