"""Texts of several lines, in panels and dialogs."""

from __future__ import annotations

import textwrap

import bpy

PIXELS_PER_CHARACTER = 7


def draw_lines(layout: bpy.types.UILayout, text: str, width: int, icon: str = "NONE") -> None:
    """Draw a text as one label per line, wrapped to a region's width in pixels, with an icon on the first line."""
    scale = bpy.context.preferences.system.ui_scale or 1.0  # 0 without a window
    characters = max(20, int(width / scale / PIXELS_PER_CHARACTER) - 4)
    column = layout.column(align=True)
    column.scale_y = 0.8
    for line in text.splitlines():
        for part in textwrap.wrap(line, characters):
            column.label(text=part, icon=icon)
            icon = "NONE" if icon == "NONE" else "BLANK1"
