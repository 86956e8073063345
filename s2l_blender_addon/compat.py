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


def is_sequencer_busy() -> bool:
    """Whether a render, or an operator that is in the middle of moving strips, must not be disturbed."""
    if any(map(bpy.app.is_job_running, ("RENDER", "COMPOSITE", "OBJECT_BAKE"))):
        return True
    running = (operator for window in bpy.context.window_manager.windows for operator in window.modal_operators)
    return any(operator.bl_idname.startswith(("TRANSFORM_OT", "SEQUENCER_OT")) for operator in running)


# Of a retiming key: where its share of the media lies in memory, and whether that counts frames or steps between them.
RETIMING_COUNTS_FRAMES = bpy.app.version >= (5, 0)
RETIMING_SHARE_OFFSET = 12 if RETIMING_COUNTS_FRAMES else 16


def fcurve(owner: bpy.types.ID, path: str) -> bpy.types.FCurve | None:
    """The curve that animates a property; since 5.0 actions keep curves in the bag of a slot."""
    animation = owner.animation_data
    action = animation.action if animation else None
    if action is None:
        return None
    if bpy.app.version < (5, 0):
        return action.fcurves.find(path)
    bag = anim_utils.action_get_channelbag_for_slot(action, animation.action_slot)
    return bag.fcurves.find(path) if bag else None
