"""The regions of Blender's windows that show jobs."""

from __future__ import annotations

import bpy

# The sidebars, and the page of the add-on in the preferences.
_SHOWING_JOBS = {("SEQUENCE_EDITOR", "UI"), ("VIEW_3D", "UI"), ("PREFERENCES", "WINDOW")}


def redraw(manager: bpy.types.WindowManager) -> None:
    """Redraw the regions that show jobs."""
    for window in manager.windows:
        for area in window.screen.areas:
            for region in area.regions:
                if (area.type, region.type) in _SHOWING_JOBS:
                    region.tag_redraw()
