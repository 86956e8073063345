"""The stack of strips: channels, meta strips, and effects with their inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import bpy

from ...s2l_core.errors import BadJob
from ..compat import left_handle, right_handle, set_duration, set_input
from . import curves

HIGHEST_CHANNEL = 128
_INPUTS = ("input_1", "input_2")

Level: TypeAlias = bpy.types.SequenceEditor | bpy.types.MetaStrip
"""The container of a stack of strips: the sequence editor, or a meta strip."""


def level_of(strip: bpy.types.Strip) -> Level:
    """The container of a strip."""
    return strip.parent_meta() or strip.id_data.sequence_editor


def span(strip: bpy.types.Strip) -> range:
    """The frames of the timeline between the handles of a strip."""
    return range(left_handle(strip), right_handle(strip))


def overlaps(strip: bpy.types.Strip, frames: range) -> bool:
    """Whether a strip has one of these frames between its handles."""
    return left_handle(strip) < frames.stop and right_handle(strip) > frames.start


def is_inside(frames: range, outer: range) -> bool:
    """Whether one range of frames lies inside another."""
    return outer.start <= frames.start and frames.stop <= outer.stop


def fed_by(strip: bpy.types.Strip) -> list[bpy.types.Strip]:
    """The effects that use a strip as input, directly or through other effects."""
    level, fed = level_of(strip), [strip]
    for taken in fed:
        fed += [effect for effect in effects_of(level, [taken]) if effect not in fed]
    return fed[1:]


def is_hidden(level: Level, strip: bpy.types.Strip) -> bool:
    """Whether a strip, or its channel, is muted."""
    return bool(strip.mute or level.channels[strip.channel].mute)


def inputs(effect: bpy.types.Strip) -> list[bpy.types.Strip]:
    """The input strips of an effect."""
    return [taken for name in _INPUTS if (taken := getattr(effect, name, None)) is not None]


def effects_of(level: Level, strips: Iterable[bpy.types.Strip]) -> list[bpy.types.Strip]:
    """The effects that use one of these strips as input."""
    wanted = list(strips)
    return [effect for effect in level.strips if any(taken in wanted for taken in inputs(effect))]


def take_over(effect: bpy.types.Strip, strips: Iterable[bpy.types.Strip], replacement: bpy.types.Strip) -> None:
    """Replace those inputs of an effect that are among ``strips``."""
    wanted = list(strips)
    for name in _INPUTS:
        if getattr(effect, name, None) in wanted:
            set_input(effect, name, replacement)


def is_free(level: Level, channel: int, frames: range) -> bool:
    """Whether a channel is empty on these frames, and neither muted nor locked."""
    setting = level.channels[channel]
    taken = any(strip.channel == channel and overlaps(strip, frames) for strip in level.strips)
    return not (taken or setting.mute or setting.lock)


def make_room(level: Level, below: range, frames: range) -> int:
    """Find a channel directly above some strips, below the strips that lie over them.

    If that channel is in use, muted or locked, the strips above are moved up by one channel, together with the names,
    locks and mutes of their channels. Multicam selectors keep showing the same strips, or the new one in place of those
    below it.

    Args:
        level: The container of the strips.
        below: The channels of the strips below, from the lowest to the highest.
        frames: The frames of the timeline on which the channel must be free.

    Returns:
        The number of the channel.

    Raises:
        BadJob: There is no free channel above it; nothing was changed.
    """
    channel = below.stop
    selectors = [strip for strip in level.strips if strip.type == "MULTICAM"]
    is_selected = any(
        source in below for selector in selectors if overlaps(selector, frames) for source in _sources(selector)
    )
    if channel <= HIGHEST_CHANNEL and is_free(level, channel, frames) and not is_selected:
        return channel
    end = _unused_channel(level, channel)
    for strip in sorted(level.strips, key=lambda strip: -int(strip.channel)):
        if channel <= strip.channel < end:
            strip.channel += 1
    for number in range(end, channel, -1):
        _move_setting(level, number - 1, number)
    new = level.channels[channel]
    new.name, new.mute, new.lock = _default_name(channel), False, False
    for selector in selectors:
        _follow(selector, below, end)
    return channel


def group(strip: bpy.types.Strip, others: list[bpy.types.Strip], name: str) -> bpy.types.Strip:
    """Replace a strip by a new meta strip that contains it and others; effects use the meta strip instead.

    Args:
        strip: The strip that is replaced, whose frames and channel the meta strip gets.
        others: Strips of the same container and inside its frames.
        name: The name of the meta strip.

    Raises:
        BadJob: There is no free channel; nothing was changed.
    """
    level, channel, frames, members = level_of(strip), strip.channel, span(strip), [strip, *others]
    meta = level.strips.new_meta(name, _spare_channel(level, frames), frames.start)
    set_duration(meta, len(frames))
    for effect in effects_of(level, members):
        take_over(effect, members, meta)
    for member in members:
        member.move_to_meta(meta)
    meta.channel = channel
    return meta


def _sources(selector: bpy.types.Strip) -> set[int]:
    """The channels that a multicam selector shows, at any time."""
    return {int(selector.multicam_source), *map(round, curves.keys(selector, "multicam_source"))}


def _follow(selector: bpy.types.Strip, below: range, end: int) -> None:
    """Update a multicam selector after the channels from ``below`` to ``end`` were moved up by one."""

    def moved(source: float) -> float:
        if source in below:
            return below.stop
        return source + 1 if below.stop <= source < end else source

    selector.multicam_source = int(moved(selector.multicam_source))
    curves.change_keys(selector, "multicam_source", moved)


def _unused_channel(level: Level, lowest: int) -> int:
    """The lowest empty channel from ``lowest`` on, preferably one with default settings."""
    taken = {strip.channel for strip in level.strips}
    empty = [channel for channel in range(lowest, HIGHEST_CHANNEL + 1) if channel not in taken]
    if not empty:
        raise BadJob("All channels above the footage are in use.", "Free one and add the dubbed movie to it.")
    return next((channel for channel in empty if _is_untouched(level, channel)), empty[0])


def _spare_channel(level: Level, frames: range) -> int:
    """A channel for the temporary placement of a strip."""
    taken = {strip.channel for strip in level.strips if overlaps(strip, frames)}
    for channel in range(HIGHEST_CHANNEL, 0, -1):
        if channel not in taken:
            return channel
    raise BadJob("All channels are in use.", "Free one and add the dubbed movie to it.")


def _is_untouched(level: Level, channel: int) -> bool:
    setting = level.channels[channel]
    return not setting.mute and not setting.lock and setting.name == _default_name(channel)


def _move_setting(level: Level, old: int, new: int) -> None:
    source, target = level.channels[old], level.channels[new]
    is_named = source.name != _default_name(old)
    name, source.name = source.name, _default_name(old)  # names are unique
    target.name = name if is_named else _default_name(new)
    target.mute, target.lock = source.mute, source.lock


def _default_name(channel: int) -> str:
    return f"Channel {channel}"
