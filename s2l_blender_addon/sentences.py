"""Texts of several lines, in panels and dialogs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import blf
import bpy

_MARGIN, _ICON = 56.0, 24.0
"""Pixels beside the text of a label, with the tabs of a sidebar, and for an icon, at an interface scale of 1."""
_LEAST = 100.0
_FONT = 0  # that of the interface


def draw_lines(layout: bpy.types.UILayout, text: str, width: int, icon: str = "NONE") -> None:
    """Draw a text as one label per line, wrapped to a region's width in pixels, with an icon on the first line."""
    scale = bpy.context.preferences.system.ui_scale or 1.0  # 0 without a window
    room = max(_LEAST, width / scale - _MARGIN - _ICON * (icon != "NONE"))
    column = layout.column(align=True)
    column.scale_y = 0.8
    blf.size(_FONT, bpy.context.preferences.ui_styles[0].widget.points)
    for line in text.splitlines():
        for part in wrapped(line, lambda text: blf.dimensions(_FONT, text)[0] <= room):
            column.label(text=part, icon=icon)
            icon = "NONE" if icon == "NONE" else "BLANK1"


def wrapped(text: str, fits: Callable[[str], bool]) -> list[str]:
    """The lines of a paragraph, broken between words where the next one does not fit, and inside a word that is longer
    than a line, such as a path.
    """
    lines: list[str] = []
    for word in text.split():
        if lines and fits(f"{lines[-1]} {word}"):
            lines[-1] += f" {word}"
            continue
        lines.append(word)
        while len(lines[-1]) > 1 and not fits(lines[-1]):
            long = lines.pop()
            end = 1 + bisect_left(range(2, len(long)), True, key=lambda end: not fits(long[:end]))
            lines += long[:end], long[end:]
    return lines
