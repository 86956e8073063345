"""Inserts results directly above their footage, below the strips that lie over it."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...s2l_core import regular_files
from ...s2l_core.jobs import Encoding
from ..compat import set_duration
from . import appearance, results, stacking
from .strips import MOVIE, SOUND, SOURCES, Placement, chosen_face, movie_of_name, store_face


def insert_result(placement: Placement, path: str, encoding: Encoding) -> bpy.types.Strip | None:
    """Add a strip with a dubbed movie, or folder of pictures, such that only the mouth changes in the render.

    The strip lies above its footage, looks like it, and replaces it in transitions. If that would change more than the
    mouth, because the footage is transparent or because an effect uses more frames of it than were dubbed, the footage
    is replaced by a meta strip with both.

    Returns:
        The new strip, which is made active; None if the scene no longer exists.

    Raises:
        BadJob: All channels above the footage are in use; nothing was changed.
    """
    scene = bpy.data.scenes.get(placement.scene)
    if scene is None:
        return None
    editor = scene.sequence_editor or scene.sequence_editor_create()
    frames = range(placement.first, placement.end)
    source = movie_of_name(scene, placement.footage) or next(iter(_results(editor, placement.footage, frames)), None)
    if source is None:
        strip = _new_strip(editor, placement, path, encoding, _lowest_channel(editor, frames))
    else:
        if _is_covered(source, frames) and _must_be_grouped(source, frames, encoding):
            _group(source, encoding)
        strip = _insert_above(source, placement, path, encoding)
    _select(editor, strip)
    return strip


def insert_on_top(scene: bpy.types.Scene, placement: Placement, path: str) -> bpy.types.Strip:
    """Add a strip with a movie above all strips on its frames, and make it active.

    Args:
        scene: The scene.
        placement: The frames, and what the movie shows as the name of its footage.
        path: The movie.

    Raises:
        BadJob: No channel is free; nothing was changed.
    """
    editor = scene.sequence_editor or scene.sequence_editor_create()
    frames = range(placement.first, placement.end)
    channel = 1 + max((strip.channel for strip in editor.strips if stacking.overlaps(strip, frames)), default=0)
    if channel > stacking.HIGHEST_CHANNEL or not stacking.is_free(editor, channel, frames):
        channel = _lowest_channel(editor, frames)
    strip = _new_strip(editor, placement, path, Encoding(), channel)
    strip.name = f"{placement.footage} Rendered"  # its own name would make it its own footage
    _select(editor, strip)
    return strip


def _results(level: stacking.Level, footage: str, frames: range) -> list[bpy.types.Strip]:
    """The results of a footage strip that overlap these frames."""
    return [
        strip for strip in level.strips if strip.get(SOURCES[MOVIE]) == footage and stacking.overlaps(strip, frames)
    ]


def _is_covered(source: bpy.types.Strip, frames: range) -> bool:
    """Whether the footage is visible on all of these frames, so that a result can replace it."""
    return _anchor(source, frames) == source and stacking.is_inside(frames, stacking.span(source))


def _anchor(source: bpy.types.Strip, frames: range) -> bpy.types.Strip:
    """The strip above which a result is placed: its footage, or the meta strip with it if that is shorter."""
    anchor = source
    while (meta := anchor.parent_meta()) is not None and not stacking.is_inside(frames, stacking.span(meta)):
        anchor = meta
    return anchor


def _must_be_grouped(source: bpy.types.Strip, frames: range, encoding: Encoding) -> bool:
    """Whether a result directly above the footage would change more than the mouth in the render."""
    effects = _effects(source, frames)
    if encoding.layer == "mouth":
        return bool(effects) or not appearance.is_full(source, frames)
    return not appearance.covers(source, frames) or not all(_can_take_over(effect, frames) for effect in effects)


def _can_take_over(effect: bpy.types.Strip, frames: range) -> bool:
    """Whether an effect looks the same, except for the mouth, with a result on these frames as input."""
    covered = stacking.span(effect)
    return (
        effect.type in appearance.TRANSITIONS
        and stacking.is_inside(covered, frames)
        and appearance.covers(effect, covered)
        and all(map(appearance.fills_frame, [effect, *stacking.inputs(effect)]))
    )


def _effects(source: bpy.types.Strip, frames: range) -> list[bpy.types.Strip]:
    """The effects that use a footage strip or its results on these frames."""
    level = stacking.level_of(source)
    effects = stacking.effects_of(level, [source, *_results(level, source.name, frames)])
    return [effect for effect in effects if stacking.overlaps(effect, frames)]


def _group(source: bpy.types.Strip, encoding: Encoding) -> None:
    """Replace a footage strip by a meta strip that contains it and its results."""
    whole = stacking.span(source)
    earlier = _results(stacking.level_of(source), source.name, whole)
    earlier = [strip for strip in earlier if stacking.is_inside(stacking.span(strip), whole)]
    meta = stacking.group(source, earlier, f"{source.name} Meta")
    meta.color_tag = source.color_tag
    if all(strip.mute for strip in earlier):
        appearance.move_mute(source, meta)
    if encoding.layer == "picture" and appearance.replaces(
        source
    ):  # as the result does; both are faded before modifiers
        meta.blend_type = "REPLACE"
        return
    appearance.move_blending(source, meta)
    for strip in earlier:
        if not results.is_mouth(strip):
            appearance.fill(strip)


def _insert_above(source: bpy.types.Strip, placement: Placement, path: str, encoding: Encoding) -> bpy.types.Strip:
    frames = range(placement.first, placement.end)
    anchor = _anchor(source, frames)
    level = stacking.level_of(anchor)
    earlier = _results(level, source.name, frames)
    effects = _effects(source, frames) if _is_covered(source, frames) else []
    is_hidden = all(stacking.is_hidden(level, strip) for strip in [anchor, *earlier])
    top = anchor.channel
    while any(strip.channel == top + 1 for strip in earlier):
        top += 1
    channel = stacking.make_room(level, range(anchor.channel, top + 1), frames)
    strip = _new_strip(level, placement, path, encoding, channel)
    appearance.copy_look(source, strip, encoding)
    strip.mute = is_hidden
    store_face(strip, chosen_face(source))
    for effect in effects:
        stacking.take_over(effect, [source, *earlier], strip)
    return strip


def _select(editor: bpy.types.SequenceEditor, strip: bpy.types.Strip) -> None:
    """Make a strip active, and select it alone."""
    for other in editor.strips_all:
        other.select = other == strip
    editor.active_strip = strip


def _lowest_channel(level: stacking.Level, frames: range) -> int:
    for channel in range(1, stacking.HIGHEST_CHANNEL + 1):
        if stacking.is_free(level, channel, frames):
            return channel
    return stacking.make_room(level, range(1, stacking.HIGHEST_CHANNEL + 1), frames)


def _new_strip(
    level: stacking.Level, placement: Placement, path: str, encoding: Encoding, channel: int
) -> bpy.types.Strip:
    name = f"{placement.footage} {'Mouth' if encoding.layer == 'mouth' else 'Dubbed'}"
    if regular_files.is_folder(path):
        pictures = sorted(file.name for file in Path(path).iterdir() if file.suffix in {".png", ".exr"})
        strip = level.strips.new_image(name, str(Path(path) / pictures[0]), channel, placement.first)
        for picture in pictures[1:]:
            strip.elements.append(picture)
    else:
        strip = level.strips.new_movie(name, path, channel, placement.first)
    set_duration(strip, placement.end - placement.first)
    strip[SOURCES[MOVIE]], strip[SOURCES[SOUND]] = placement.footage, placement.sound
    return strip
