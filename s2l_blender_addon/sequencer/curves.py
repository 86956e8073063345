"""F-curves and drivers of strips, which Blender stores in the scene and finds by the names of the strips."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import bpy

from .. import compat
from .rna import copy_properties

_COLLECTIONS = ("strips_all", "sequences_all")  # the second in files from before Blender 4.5


def find(strip: bpy.types.Strip, name: str) -> bpy.types.FCurve | None:
    """The F-curve in the scene's action that animates a property of a strip."""
    curves = (compat.fcurve(strip.id_data, f"{prefix}.{name}") for prefix in _prefixes(strip))
    return next(filter(None, curves), None)


def is_animated(strip: bpy.types.Strip, name: str) -> bool:
    """Whether an F-curve or a driver animates a property of a strip, or a member of it."""
    return any(found == name or found.startswith(f"{name}.") for _, _, found in _animation(strip))


def values(strip: bpy.types.Strip, name: str, frames: range) -> list[float] | None:
    """The values of a numeric property on these frames; None if it is animated by more than a single F-curve."""
    found = [curve for _, curve, other in _animation(strip) if other == name]
    if not found:
        return [float(getattr(strip, name))]
    if found != [find(strip, name)]:
        return None
    return [float(found[0].evaluate(frame)) for frame in frames]


def keys(strip: bpy.types.Strip, name: str) -> set[float]:
    """The values of all keys of a property of a strip."""
    return {key.co[1] for _, curve, found in _animation(strip) if found == name for key in curve.keyframe_points}


def copy(source: bpy.types.Strip, target: bpy.types.Strip, is_wanted: Callable[[str], bool]) -> None:
    """Copy the animation of a strip to another one.

    Args:
        source: The animated strip.
        target: A strip in the same scene.
        is_wanted: Returns whether the animation of a property, e.g. ``"transform.scale_x"``, is copied.
    """
    for owner, curve, name in list(_animation(source)):
        if not is_wanted(name):
            continue
        if curve.driver:
            owner.from_existing(src_driver=curve).data_path = _path(target, name)
        else:
            _copy_curve(curve, owner.new(_path(target, name), index=curve.array_index))


def move(source: bpy.types.Strip, target: bpy.types.Strip, names: tuple[str, ...]) -> None:
    """Move the F-curves and drivers of a strip's properties to another one, and let drivers that read them follow."""
    for _, curve, name in list(_animation(source)):
        if name in names:
            curve.data_path = _path(target, name)
    animation = source.id_data.animation_data
    read = {f"{prefix}.{name}": _path(target, name) for prefix in _prefixes(source) for name in names}
    for driver in animation.drivers if animation else ():
        for variable in driver.driver.variables:
            for part in variable.targets:
                if part.id == source.id_data:
                    part.data_path = read.get(part.data_path, part.data_path)


def remove(strip: bpy.types.Strip, names: tuple[str, ...]) -> None:
    """Remove the F-curves and drivers of properties of a strip."""
    for owner, curve, name in list(_animation(strip)):
        if name in names:
            owner.remove(curve)


def change_keys(strip: bpy.types.Strip, name: str, change: Callable[[float], float]) -> None:
    """Apply a function to the value of every key of a property of a strip."""
    for _, curve, found in list(_animation(strip)):
        if found == name and not curve.driver:
            for key in curve.keyframe_points:
                key.co_ui[1] = change(key.co[1])  # with its handles
            curve.update()


def _animation(strip: bpy.types.Strip) -> Iterator[tuple[bpy.types.bpy_prop_collection, bpy.types.FCurve, str]]:
    """The collection, the curve and the property name of each F-curve and driver of a strip."""
    scene = strip.id_data
    owners = compat.fcurve_collections(scene) + ([scene.animation_data.drivers] if scene.animation_data else [])
    for owner in owners:
        for curve in owner:
            for prefix in _prefixes(strip):
                if curve.data_path.startswith((f"{prefix}.", f"{prefix}[")):
                    yield owner, curve, curve.data_path[len(prefix) :].removeprefix(".")


def _path(strip: bpy.types.Strip, name: str) -> str:
    """The data path of a property of a strip."""
    return f"{_prefixes(strip)[0]}{'' if name.startswith('[') else '.'}{name}"


def _prefixes(strip: bpy.types.Strip) -> list[str]:
    name = bpy.utils.escape_identifier(strip.name)
    return [f'sequence_editor.{collection}["{name}"]' for collection in _COLLECTIONS]


def _copy_curve(source: bpy.types.FCurve, target: bpy.types.FCurve) -> None:
    copy_properties(source, target, skip=("data_path", "array_index", "group"))
    target.keyframe_points.add(len(source.keyframe_points))
    for key, twin in zip(source.keyframe_points, target.keyframe_points, strict=True):
        copy_properties(key, twin, skip=("co_ui",))
    for modifier in list(target.modifiers):
        target.modifiers.remove(modifier)
    for modifier in source.modifiers:
        copy_properties(modifier, target.modifiers.new(modifier.type))
    target.update()
