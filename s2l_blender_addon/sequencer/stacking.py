"""What lies over what: channels, the meta strips that group strips, and the effects that take strips as input."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import bpy

from ...s2l_core.errors import BadJob
from ..compat import left_handle, right_handle, set_duration
from . import curves

HIGHEST_CHANNEL = 128
_INPUTS = ("input_1", "input_2")

Level: TypeAlias = bpy.types.SequenceEditor | bpy.types.MetaStrip
"""What holds strips that are stacked: the sequencer itself, or a meta strip."""


def level_of(strip: bpy.types.Strip) -> Level:
    """What holds a strip."""
    return strip.parent_meta() or strip.id_data.sequence_editor


def span(strip: bpy.types.Strip) -> range:
    """The frames of the timeline between the handles of a strip."""
    return range(left_handle(strip), right_handle(strip))


def overlaps(strip: bpy.types.Strip, frames: range) -> bool:
    """Whether a strip has one of these frames between its handles."""
    return left_handle(strip) < frames.stop and right_handle(strip) > frames.start


def is_inside(frames: range, outer: range) -> bool:
    """Whether all frames are among others."""
    return outer.start <= frames.start and frames.stop <= outer.stop


def fed_by(strip: bpy.types.Strip) -> list[bpy.types.Strip]:
    """The effects that take a strip as input, and those that take these."""
    level, fed = level_of(strip), [strip]
    for taken in fed:
        fed += [effect for effect in effects_of(level, [taken]) if effect not in fed]
    return fed[1:]


def is_hidden(level: Level, strip: bpy.types.Strip) -> bool:
    """Whether a strip, or its channel, is muted."""
    return bool(strip.mute or level.channels[strip.channel].mute)


def inputs(effect: bpy.types.Strip) -> list[bpy.types.Strip]:
    """The strips that an effect is made of."""
    return [taken for name in _INPUTS if (taken := getattr(effect, name, None)) is not None]


def effects_of(level: Level, strips: Iterable[bpy.types.Strip]) -> list[bpy.types.Strip]:
    """The effects that take one of these strips as input."""
    wanted = list(strips)
    return [effect for effect in level.strips if any(taken in wanted for taken in inputs(effect))]


def take_over(effect: bpy.types.Strip, strips: Iterable[bpy.types.Strip], replacement: bpy.types.Strip) -> None:
    """Let an effect take a strip instead of these ones."""
    wanted = list(strips)
    for name in _INPUTS:
        if getattr(effect, name, None) in wanted:
            setattr(effect, name, replacement)


def is_free(level: Level, channel: int, frames: range) -> bool:
    """Whether a strip can be shown and edited in a channel on these frames."""
    setting = level.channels[channel]
    taken = any(strip.channel == channel and overlaps(strip, frames) for strip in level.strips)
    return not (taken or setting.mute or setting.lock)


def make_room(level: Level, below: range, frames: range) -> int:
    """Find a channel directly above a strip, or above the strips that lie on it, and below all that lies over them.

    Where that is taken, or what is there would not be seen, the strips above it move up by one channel, and with them
    the names and locks of their channels and whether they are muted. Multicam selectors go on showing what they
    showed, and the new strip where they showed those below it.

    Args:
        level: Of the strips.
        below: Channels of the strips below, from the lowest to the highest.
        frames: Of the timeline, on which there must be room.

    Returns:
        The channel.

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
    """Put a strip and others into a new meta strip that takes its place: its frames, its channel, and in effects.

    Args:
        strip: Gives the place.
        others: Of the same level, inside its frames.
        name: Of the meta strip.

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
    """The channels that a multicam selector shows."""
    return {int(selector.multicam_source), *map(round, curves.keys(selector, "multicam_source"))}


def _follow(selector: bpy.types.Strip, below: range, end: int) -> None:
    """Let a multicam selector show what it showed before the channels from ``below`` to ``end`` moved up by one."""

    def moved(source: float) -> float:
        if source in below:
            return below.stop
        return source + 1 if below.stop <= source < end else source

    selector.multicam_source = int(moved(selector.multicam_source))
    curves.change_keys(selector, "multicam_source", moved)


def _unused_channel(level: Level, lowest: int) -> int:
    """The lowest channel from one on that holds nothing, if possible one that nobody has set up."""
    taken = {strip.channel for strip in level.strips}
    empty = [channel for channel in range(lowest, HIGHEST_CHANNEL + 1) if channel not in taken]
    if not empty:
        raise BadJob("Every channel above the footage is taken.", "Free one and add the dubbed movie to it.")
    return next((channel for channel in empty if _is_untouched(level, channel)), empty[0])


def _spare_channel(level: Level, frames: range) -> int:
    """A channel in which a strip can lie for a moment."""
    taken = {strip.channel for strip in level.strips if overlaps(strip, frames)}
    for channel in range(HIGHEST_CHANNEL, 0, -1):
        if channel not in taken:
            return channel
    raise BadJob("Every channel is taken.", "Free one and add the dubbed movie to it.")


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
