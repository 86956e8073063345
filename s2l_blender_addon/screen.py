"""What of Blender's windows shows jobs."""

from __future__ import annotations

import bpy

# The sidebars, and the page in the preferences.
_SHOWING_JOBS = {("SEQUENCE_EDITOR", "UI"), ("VIEW_3D", "UI"), ("PREFERENCES", "WINDOW")}


def redraw(manager: bpy.types.WindowManager) -> None:
    """Draw the regions that show jobs again."""
    for window in manager.windows:
        for area in window.screen.areas:
            for region in area.regions:
                if (area.type, region.type) in _SHOWING_JOBS:
                    region.tag_redraw()
