"""The one file that knows how Blender's versions differ."""

from __future__ import annotations

import bpy


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene that the sequencer edits: since 5.0 a choice of the workspace, before that the window's scene."""
    return getattr(context, "sequencer_scene", None) or context.scene
