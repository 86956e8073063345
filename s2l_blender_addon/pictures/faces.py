"""The faces found in a movie strip, as pictures to choose from."""

from __future__ import annotations

import math
from typing import Any

import bpy

from ..sequencer import strips
from . import thumbnails

_Item = tuple[str, str, str, int, int]

_found: list[dict[str, Any]] = []
_strip = ("", "")
_items: list[_Item] = []  # Blender keeps no reference to the texts of an enumeration


def show(scene: bpy.types.Scene, movie: bpy.types.Strip, found: list[dict[str, Any]]) -> None:
    """Offer the faces that the verb ``faces`` has found in a movie strip, and select the one nearest to the strip's."""
    global _strip, _items
    _strip, _found[:] = (scene.name, movie.name), found
    for face in found:
        thumbnails.load(face["picture"])
    _items = [
        (
            str(number),
            f"Face {number + 1}",
            f"Seen in {face['share']:.0%} of the frames, {face['width_px']:.0f} pixels wide",
            thumbnails.icon(face["picture"]),
            number,
        )
        for number, face in enumerate(found)
    ]
    chosen = strips.chosen_face(movie)[:2] or _place(0)
    if len(found) > 1:
        scene.s2l.face = str(min(range(len(found)), key=lambda number: math.dist(_place(number), chosen)))


def shown_for(scene: bpy.types.Scene, movie: bpy.types.Strip | None) -> bool:
    """Whether there are several faces to choose from in this strip."""
    return movie is not None and (scene.name, movie.name) == _strip and len(_found) > 1


def items(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> list[_Item]:
    """The items of the enumeration of faces."""
    return _items or [("0", "", "", 0, 0)]


def choose(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """Store the selected face in the strip."""
    if _found:
        number = int(group.face)
        strips.choose_face(group.id_data, _strip[1], (*_place(number), _found[number]["since"]))


def _place(number: int) -> tuple[float, float]:
    return _found[number]["x"], _found[number]["y"]
