"""The one file that knows how Blender's versions differ."""

from __future__ import annotations

import bpy


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene that the sequencer edits: since 5.0 a choice of the workspace, before that the window's scene."""
    return getattr(context, "sequencer_scene", None) or context.scene


def is_sequencer_busy() -> bool:
    """Whether a render, or an operator that is in the middle of moving strips, must not be disturbed."""
    if any(map(bpy.app.is_job_running, ("RENDER", "COMPOSITE", "OBJECT_BAKE"))):
        return True
    running = (operator for window in bpy.context.window_manager.windows for operator in window.modal_operators)
    return any(operator.bl_idname.startswith(("TRANSFORM_OT", "SEQUENCER_OT")) for operator in running)
