"""Check the content credentials of the active result."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import bpy

from ..s2l_blender_addon import screen
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.sequencer import results, strips
from ..s2l_core.errors import BadJob
from ..s2l_core.jobs import VerifyJob
from .quick_operator import QuickOperator


class S2L_OT_verify_result(QuickOperator, bpy.types.Operator):
    bl_idname = "s2l.verify_result"
    bl_label = "Verify"
    bl_description = "Check who signed the file of the result, and whether it was changed since"
    bl_options = {"REGISTER"}

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return "" if results.active(sequencer_scene(context)) else "Select a result strip first"

    def gather(self, context: bpy.types.Context) -> VerifyJob:
        strip = results.active(sequencer_scene(context))
        assert strip is not None
        return VerifyJob((strips.media_path(strip),))

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        match result:
            case {"files": [{"path": str(path), "status": status, "summary": str(summary), "chain": list(chain)}]}:
                titles = [str(origin.get("title", "")) for origin in chain if isinstance(origin, dict)]
                made = f" Made from {', which was made from '.join(titles)}." if titles else ""
                text = f"{summary}{made}"[:1000]
                _show(context, path, text, status == "valid")
                return text
        raise BadJob("The engine's answer cannot be read.", "Set up the engine again.")


def _show(context: bpy.types.Context, path: str, text: str, is_valid: bool) -> None:
    """Keep the answer in the strip that was checked, if it is still active."""
    strip = results.active(sequencer_scene(context))
    if strip is not None and strips.media_path(strip) == path:
        strip.s2l.verdict, strip.s2l.is_valid = f"Checked at {datetime.now():%H:%M}: {text}", is_valid
        screen.redraw(context.window_manager)
