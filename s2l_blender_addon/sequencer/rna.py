"""Copies the values of Blender's properties from one object to another of the same type."""

from __future__ import annotations

import bpy


def copy_properties(source: bpy.types.bpy_struct, target: bpy.types.bpy_struct, skip: tuple[str, ...] = ()) -> None:
    """Copy all writable values, including those of nested structures and the points of colour curves.

    Args:
        source: The object to copy from.
        target: An object of the same type.
        skip: Names of properties that are not copied.
    """
    for prop in source.bl_rna.properties:
        name = prop.identifier
        if name in ("rna_type", *skip) or prop.type == "COLLECTION":
            continue
        value = getattr(source, name)
        if not prop.is_readonly:
            setattr(target, name, value)
        elif isinstance(value, bpy.types.CurveMapping):
            copy_properties(value, getattr(target, name))
            _copy_points(value, getattr(target, name))
        elif isinstance(value, bpy.types.bpy_struct):
            copy_properties(value, getattr(target, name))


def _copy_points(source: bpy.types.CurveMapping, target: bpy.types.CurveMapping) -> None:
    for curve, twin in zip(source.curves, target.curves, strict=True):
        while len(twin.points) > len(curve.points):
            twin.points.remove(twin.points[1])
        while len(twin.points) < len(curve.points):
            twin.points.new(0.5, 0.5)
        for point, copied in zip(curve.points, twin.points, strict=True):
            copied.location, copied.handle_type = point.location, point.handle_type
    target.update()
