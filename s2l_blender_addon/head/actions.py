"""F-curves of layered actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import bpy
import numpy as np
from numpy.typing import ArrayLike

_INTERPOLATION = {"CONSTANT": 0, "LINEAR": 1}


class Channels:
    """Writes F-curves of one data-block to a new action."""

    def __init__(self, owner: bpy.types.ID, name: str) -> None:
        action = bpy.data.actions.new(name)
        slot = action.slots.new(id_type=owner.id_type, name=owner.name)
        strip = action.layers.new(name).strips.new(type="KEYFRAME")
        self._bag = strip.channelbag(slot, ensure=True)
        animation = owner.animation_data_create()
        animation.action, animation.action_slot = action, slot

    def add(
        self,
        group: str,
        data_path: str,
        frames: Sequence[float],
        values: ArrayLike,
        index: int = 0,
        interpolation: Literal["CONSTANT", "LINEAR"] = "LINEAR",
    ) -> None:
        """Add an F-curve with one key per frame; the first and the last value are held beyond the keys."""
        curve = self._bag.fcurves.new(data_path, index=index)
        curve.group = self._bag.groups.get(group) or self._bag.groups.new(group)
        points = curve.keyframe_points
        points.add(len(frames))
        points.foreach_set("co", np.column_stack([frames, values]).astype(np.float32).ravel())
        points.foreach_set("interpolation", np.full(len(frames), _INTERPOLATION[interpolation], np.int32))
        curve.update()


def curves_of(owner: bpy.types.ID, group: str) -> list[Any]:
    """The F-curves in a group of a data-block's action."""
    animation = owner.animation_data
    if not (animation and animation.action and animation.action_slot):
        return []
    bags = [
        strip.channelbag(animation.action_slot)
        for layer in animation.action.layers
        for strip in layer.strips
        if strip.type == "KEYFRAME"
    ]
    return [curve for bag in bags if bag for curve in bag.fcurves if curve.group and curve.group.name == group]
