"""Results, events and errors in values that every reader of JSON takes. Standard library only."""

from __future__ import annotations

import json
import math
from typing import Any


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
