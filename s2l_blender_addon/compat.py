"""The one file that knows how Blender's versions differ."""

from __future__ import annotations

import bpy
from bpy_extras import anim_utils


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene that the sequencer edits: since 5.0 a choice of the workspace, before that the window's scene."""
    return getattr(context, "sequencer_scene", None) or context.scene


def stream_index(strip: bpy.types.Strip) -> int:
    """Which sound track of its file a sound strip plays, from 0: since 5.2 a choice, before that always the first."""
    return int(getattr(strip, "stream_index", 0))


def new_modifier(strip: bpy.types.Strip, name: str, kind: str) -> bpy.types.StripModifier:
    """Add a modifier to a strip. Blender 5.0 crashes where the context has no scene for its sequencer."""
    with bpy.context.temp_override(sequencer_scene=strip.id_data):
        return strip.modifiers.new(name, kind)


def is_sequencer_busy() -> bool:
    """Whether a render, or an operator that is in the middle of moving strips, must not be disturbed."""
    if any(map(bpy.app.is_job_running, ("RENDER", "COMPOSITE", "OBJECT_BAKE"))):
        return True
    running = (operator for window in bpy.context.window_manager.windows for operator in window.modal_operators)
    return any(operator.bl_idname.startswith(("TRANSFORM_OT", "SEQUENCER_OT")) for operator in running)


# Of a retiming key: where its share of the media lies in memory, and whether that counts frames or steps between them.
RETIMING_IS_KNOWN = bpy.app.version[:2] in ((4, 5), (5, 0))  # the versions whose layout is tested
RETIMING_COUNTS_FRAMES = bpy.app.version >= (5, 0)
RETIMING_SHARE_OFFSET = 12 if RETIMING_COUNTS_FRAMES else 16


def fcurve(owner: bpy.types.ID, path: str) -> bpy.types.FCurve | None:
    """The curve that animates a property."""
    animation = owner.animation_data
    bag = _bag(animation.action, animation.action_slot) if animation else None
    return bag.fcurves.find(path) if bag else None


def fcurve_collections(owner: bpy.types.ID) -> list[bpy.types.bpy_prop_collection]:
    """Everything that holds curves that animate properties: the action, and those in tracks of the NLA."""
    animation = owner.animation_data
    if animation is None:
        return []
    parts = [animation, *(strip for track in animation.nla_tracks for strip in track.strips)]
    bags = [_bag(part.action, part.action_slot) for part in parts]
    return [bag.fcurves for bag in bags if bag]


def _bag(action: bpy.types.Action | None, slot: bpy.types.ActionSlot | None) -> bpy.types.ActionChannelbag | None:
    """What an action keeps the curves of a slot in."""
    return anim_utils.action_get_channelbag_for_slot(action, slot) if action and slot else None
