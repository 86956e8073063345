"""How Blender's versions differ: no other module of the add-on asks for the version."""

from __future__ import annotations

import bpy
from bpy_extras import anim_utils


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene that the sequencer edits: since 5.0 a choice of the workspace, before that the window's scene."""
    return getattr(context, "sequencer_scene", None) or context.scene


def is_sequencer_busy() -> bool:
    """Whether a render, or an operator that is in the middle of moving strips, must not be disturbed."""
    if any(map(bpy.app.is_job_running, ("RENDER", "COMPOSITE", "OBJECT_BAKE"))):
        return True
    running = (operator for window in bpy.context.window_manager.windows for operator in window.modal_operators)
    return any(operator.bl_idname.startswith(("TRANSFORM_OT", "SEQUENCER_OT")) for operator in running)


def is_viewport_paused(context: bpy.types.Context) -> bool:
    """Whether the user has paused rendering in the 3D viewport: possible since Blender 5.3."""
    return bool(getattr(context.region_data, "pause_render", False))


# Blender 5.2 renamed the times of strips, and 6.0 removes the old names.
_HAS_NEW_NAMES = bpy.app.version >= (5, 2)
_LEFT_HANDLE = "left_handle" if _HAS_NEW_NAMES else "frame_final_start"
_RIGHT_HANDLE = "right_handle" if _HAS_NEW_NAMES else "frame_final_end"
_DURATION = "duration" if _HAS_NEW_NAMES else "frame_final_duration"
_CONTENT_START = "content_start" if _HAS_NEW_NAMES else "frame_start"
_CONTENT_DURATION = "content_duration" if _HAS_NEW_NAMES else "frame_duration"
_CONTENT_TRIM_START = "content_trim_start" if _HAS_NEW_NAMES else "animation_offset_start"
_CONTENT_TRIM_END = "content_trim_end" if _HAS_NEW_NAMES else "animation_offset_end"


def left_handle(strip: bpy.types.Strip) -> int:
    """The first frame of the timeline on which a strip is shown or heard."""
    return int(getattr(strip, _LEFT_HANDLE))


def right_handle(strip: bpy.types.Strip) -> int:
    """The frame of the timeline after the last one on which a strip is shown or heard."""
    return int(getattr(strip, _RIGHT_HANDLE))


def set_duration(strip: bpy.types.Strip, frames: int) -> None:
    """Move the right handle of a strip, so that it is shown or heard on this number of frames of the timeline."""
    setattr(strip, _DURATION, frames)


def content_start(strip: bpy.types.Strip) -> float:
    """The frame of the timeline at which the content of a strip begins, hidden parts too; it may lie between two."""
    return float(getattr(strip, _CONTENT_START))


def content_duration(strip: bpy.types.Strip) -> int:
    """The number of frames of the timeline that the content of a strip takes, hidden parts too."""
    return int(getattr(strip, _CONTENT_DURATION))


def content_trim_start(strip: bpy.types.Strip) -> int:
    """The number of frames that are cut off the start of a strip's content for good."""
    return int(getattr(strip, _CONTENT_TRIM_START))


def content_trim_end(strip: bpy.types.Strip) -> int:
    """The number of frames that are cut off the end of a strip's content for good."""
    return int(getattr(strip, _CONTENT_TRIM_END))


# The versions in which the tests have compared the memory layout of retiming keys with rendered frames.
RETIMING_IS_KNOWN = bpy.app.version[:2] in ((4, 5), (5, 0), (5, 2), (5, 3))
RETIMING_COUNTS_FRAMES = bpy.app.version >= (5, 0)  # of the media; before that, the steps from one frame to the next
RETIMING_KEYS_ARE_IN_TIMELINE_FRAMES = bpy.app.version >= (5, 3)  # before that, Python gave them in those of the media
RETIMING_SHARE_OFFSET = 12 if RETIMING_COUNTS_FRAMES else 16  # bytes from the start of a key to its share of the media


def connected(strip: bpy.types.Strip) -> list[bpy.types.Strip]:
    """The strips that the user has connected to a strip; scripts can ask for them since Blender 5.2."""
    return list(getattr(strip, "connections", ()))


def set_input(effect: bpy.types.Strip, name: str, strip: bpy.types.Strip) -> None:
    """Let an effect strip take another strip as an input.

    Since 5.2 Blender looks the effects of a strip up in a table that it does not renew here. With an outdated table,
    moving the former input crashes Blender, and removing it empties the input. Naming a strip renews the table.

    Args:
        effect: An effect strip.
        name: ``"input_1"`` or ``"input_2"``.
        strip: The new input.
    """
    setattr(effect, name, strip)
    if bpy.app.version >= (5, 2):
        effect.name = effect.name


def new_text(strips: bpy.types.bpy_prop_collection, name: str, channel: int, frames: range) -> bpy.types.TextStrip:
    """Add a text strip on frames of the timeline: since 5.0 by its length, before that by its end."""
    length = {"length": len(frames)} if bpy.app.version >= (5, 0) else {"frame_end": frames.stop}
    return strips.new_effect(name, "TEXT", channel, frames.start, **length)


def new_modifier(strip: bpy.types.Strip, name: str, kind: str) -> bpy.types.StripModifier:
    """Add a modifier to a strip. Blender 5.0 crashes if the context has no scene for the sequencer."""
    with bpy.context.temp_override(sequencer_scene=strip.id_data):
        return strip.modifiers.new(name, kind)


# Blender leaves a strip out where another one lies exactly over it. Since 5.3 rounding errors can prevent that if the
# strips are turned: their antialiased borders are then blended twice.
BLENDS_TURNED_BORDERS_TWICE = bpy.app.version >= (5, 3)


def stream_index(strip: bpy.types.Strip) -> int:
    """Which sound track of its file a sound strip plays, from 0: since 5.2 a choice, before that always the first."""
    return int(getattr(strip, "stream_index", 0))


def meta_volume(meta: bpy.types.MetaStrip) -> float:
    """The factor by which a meta strip changes the volume of its sounds: a setting since Blender 5.2."""
    return float(getattr(meta, "volume", 1.0))


def is_composited(scene: bpy.types.Scene) -> bool:
    """Whether a render of a scene passes compositing nodes: one group since Blender 5.0, and several since 5.3."""
    if bpy.app.version >= (5, 3):
        groups = [effect.node_group for effect in scene.compositor_effects]
    else:
        groups = [scene.compositing_node_group if bpy.app.version >= (5, 0) else scene.use_nodes]
    return bool(scene.render.use_compositing and any(groups))


# Frames by which animated volume and pan are heard late, as measured in mixdowns at 12 to 60 frames per second.
ANIMATION_DELAY = 0.4 if bpy.app.version >= (5, 2) else 1.0


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
