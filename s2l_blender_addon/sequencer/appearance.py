"""The appearance of strips, and how a result is given the appearance of its footage."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...s2l_core import regular_files
from ...s2l_core.jobs import Encoding
from ..compat import BLENDS_TURNED_BORDERS_TWICE, content_start, new_modifier
from . import curves, stacking
from .rna import copy_properties
from .strips import has_linear_pictures

BLENDING = ("blend_type", "blend_alpha")
"""The properties that decide how a strip is blended with the strips below it."""

TRANSITIONS = ("CROSS", "GAMMA_CROSS", "WIPE")

_LOOK = (
    "color_multiply",
    "color_saturation",
    "color_tag",
    "multiply_alpha",
    "use_deinterlace",
    "use_flip_x",
    "use_flip_y",
    "use_float",
    "use_linear_modifiers",  # before Blender 5.2
)
_COVERING = ("ALPHA_OVER", "CROSS", "GAMMA_CROSS")  # an opaque picture hides the strips below
_DEPTHS_WITH_ALPHA = (32, 64, 128)
"""The values of ``Image.depth`` for pictures with four channels."""
_ALPHA_MODIFIERS = ("MASK", "COMPOSITOR")
_OF_THE_FILE = ("filepath", "use_proxy_custom_file")  # of a proxy: they belong to the other movie


def copy_look(source: bpy.types.Strip, target: bpy.types.Strip, encoding: Encoding) -> None:
    """Give a result the appearance of its footage, including its animation.

    Args:
        source: The footage.
        target: The result, which shows the same pictures, or only the mouths.
        encoding: The encoding of the result. A mouth always lies over its footage; EXR is scene-linear.
    """
    is_mouth, is_linear = encoding.layer == "mouth", encoding.format == "exr"
    names = _LOOK if is_mouth else _LOOK + BLENDING
    for name in names:
        if hasattr(source, name):
            setattr(target, name, getattr(source, name))
    if is_mouth:
        target.blend_type, target.blend_alpha = "ALPHA_OVER", 1.0
    if is_mouth or is_linear:
        target.alpha_mode = "PREMUL" if is_linear else "STRAIGHT"
    else:
        target.alpha_mode = source.alpha_mode
    if not is_linear and not has_linear_pictures(source):
        target.colorspace_settings.name = source.colorspace_settings.name
    copy_properties(source.transform, target.transform)
    copy_properties(source.crop, target.crop)
    _copy_proxy(source, target)
    _copy_modifiers(source, target)
    groups = ("transform", "crop", "modifiers", "mute")
    curves.copy(source, target, lambda name: name.partition(".")[0].partition("[")[0] in (*names, *groups))


def replaces(strip: bpy.types.Strip) -> bool:
    """Whether a strip hides the strips below it, whatever its opacity."""
    return strip.blend_type == "REPLACE" and not curves.is_animated(strip, "blend_type")


def move_blending(source: bpy.types.Strip, target: bpy.types.Strip) -> None:
    """Move the blending of a strip to the meta strip that contains it, which the strip then fills."""
    for name in (*BLENDING, "multiply_alpha"):
        setattr(target, name, getattr(source, name))
    curves.move(source, target, BLENDING)
    fill(source)


def move_mute(source: bpy.types.Strip, target: bpy.types.Strip) -> None:
    """Move the muting of a strip to its meta strip: an effect shows a muted input, but not what is muted in it."""
    target.mute, source.mute = source.mute, False
    curves.move(source, target, ("mute",))


def fill(strip: bpy.types.Strip) -> None:
    """Let a strip hide the strips below it in its meta strip."""
    curves.remove(strip, BLENDING)
    strip.blend_type, strip.blend_alpha = "REPLACE", 1.0


def fills_frame(strip: bpy.types.Strip) -> bool:
    """Whether the picture of a strip always covers the whole frame."""
    if any(curves.is_animated(strip, name) for name in ("transform", "crop")):
        return False
    if strip.type not in ("MOVIE", "IMAGE"):
        return strip.type == "COLOR" or strip.type in TRANSITIONS
    render, move, crop, picture = strip.id_data.render, strip.transform, strip.crop, strip.elements[0]
    wide, high = picture.orig_width * move.scale_x / 2, picture.orig_height * move.scale_y / 2
    left, low = render.resolution_x / 2 + abs(move.offset_x), render.resolution_y / 2 + abs(move.offset_y)
    is_straight = not move.rotation and tuple(move.origin) == (0.5, 0.5)
    is_whole = not any((crop.min_x, crop.max_x, crop.min_y, crop.max_y))
    return bool(is_straight and is_whole and wide >= left and high >= low)


def is_full(strip: bpy.types.Strip, frames: range) -> bool:
    """Whether a strip is opaque and not mixed with the strips below it by its blending on these frames."""
    opacity = curves.values(strip, "blend_alpha", frames)
    is_mixed = strip.blend_type not in ("REPLACE", *_COVERING) or curves.is_animated(strip, "blend_type")
    return not is_mixed and opacity is not None and min(opacity) >= 1.0


def covers(strip: bpy.types.Strip, frames: range) -> bool:
    """Whether a strip hides everything below it, inside its borders, on these frames."""
    is_blended_twice = BLENDS_TURNED_BORDERS_TWICE and _is_turned(strip)
    return replaces(strip) or (is_full(strip, frames) and is_opaque(strip) and not is_blended_twice)


def _is_turned(strip: bpy.types.Strip) -> bool:
    return strip.transform.rotation != 0.0 or curves.is_animated(strip, "transform.rotation")


def is_opaque(strip: bpy.types.Strip) -> bool:
    """Whether the pictures of a movie, image or colour strip, or of a transition between such strips, have no
    transparency inside their borders.
    """
    if any(modifier.type in _ALPHA_MODIFIERS and not modifier.mute for modifier in strip.modifiers):
        return False
    if strip.multiply_alpha and (strip.color_multiply < 1.0 or curves.is_animated(strip, "color_multiply")):
        return False
    if strip.type == "COLOR":
        return True
    if strip.type in TRANSITIONS:
        return all(map(is_opaque, stacking.inputs(strip)))
    if strip.type == "MOVIE":
        return not has_alpha(bpy.path.abspath(strip.filepath, library=strip.id_data.library))
    if strip.type == "IMAGE":
        folder = Path(bpy.path.abspath(strip.directory, library=strip.id_data.library))
        return not has_alpha(str(folder / strip.elements[0].filename))
    return False


def has_alpha(path: str) -> bool:
    """Whether a movie or picture has alpha according to Blender; False if Blender cannot read it."""
    if not regular_files.is_file(path):  # a named pipe would block
        return False
    try:
        image = bpy.data.images.load(path)
    except RuntimeError:
        return False
    try:
        return image.depth in _DEPTHS_WITH_ALPHA
    finally:
        bpy.data.images.remove(image)


def _copy_proxy(source: bpy.types.Strip, target: bpy.types.Strip) -> None:
    target.use_proxy = source.use_proxy
    if source.use_proxy:
        copy_properties(source.proxy, target.proxy, skip=_OF_THE_FILE)


def _copy_modifiers(source: bpy.types.Strip, target: bpy.types.Strip) -> None:
    for modifier in source.modifiers:
        copied = new_modifier(target, modifier.name, modifier.type)
        copy_properties(modifier, copied, skip=("name",))
        later = round(content_start(target) - content_start(source))
        if later and modifier.mask_time == "RELATIVE" and modifier.input_mask_id:  # it starts with the strip
            copied.input_mask_id = modifier.input_mask_id.copy()
            copied.input_mask_id.frame_start += later
