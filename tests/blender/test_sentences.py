"""Texts of several lines: they fill the width that there is, and no line is longer."""

from __future__ import annotations

from types import SimpleNamespace

import blf
import bpy
import pytest

WORDS = "The file is not saved: results could not be inserted in another session. Save it."


@pytest.fixture
def drawn(module):
    """The lines that are drawn for a text and a width, and their widths in pixels."""

    def drawn(text: str, width: int, icon: str = "NONE") -> list[tuple[str, float]]:
        lines: list[str] = []
        column = SimpleNamespace(label=lambda text, icon: lines.append(text))
        layout = SimpleNamespace(column=lambda align: column)
        module("s2l_blender_addon.sentences").draw_lines(layout, text, width, icon)
        blf.size(0, bpy.context.preferences.ui_styles[0].widget.points)
        return [(line, blf.dimensions(0, line)[0]) for line in lines]

    return drawn


def test_a_sentence_fills_the_width_of_a_dialog(drawn) -> None:
    (first, width), *others = drawn(WORDS, 520, "ERROR")
    assert " ".join([first, *(line for line, _ in others)]) == WORDS
    assert 0.75 * 520 < width < 0.9 * 520
    assert len(drawn(WORDS, 300)) > len(drawn(WORDS, 520))


def test_a_path_that_is_longer_than_a_line_is_broken(drawn) -> None:
    path = "/" + "folder/" * 30
    lines = drawn(f"{path} is missing.", 300)
    assert "".join(line for line, _ in lines).startswith(path)
    assert max(width for _, width in lines) <= 300
    assert drawn("", 300) == []


def test_in_a_narrow_region_no_letter_is_lost(module) -> None:
    wrapped = module("s2l_blender_addon.sentences").wrapped
    assert wrapped("a bc", lambda text: False) == ["a", "b", "c"]
