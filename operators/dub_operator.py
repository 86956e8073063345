"""Operators that dub, and ask what becomes of earlier results."""

# Blender declares properties as annotations.
# mypy: disable-error-code="valid-type"

import dataclasses

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.queue.entries import Target
from ..s2l_blender_addon.sequencer import results, strips
from ..s2l_blender_addon.sequencer.results import Existing
from ..s2l_core.errors import Speech2LipError
from .queue_operator import QueueOperator


class DubOperator(QueueOperator):
    """Mix-in for an operator that dubs.

    A subclass sets ``_placement`` in ``gather``; its ``existing`` decides what is done with earlier results.
    """

    existing: Existing
    _placement: strips.Placement

    def subject(self, context: bpy.types.Context) -> str:
        return self._placement.footage

    def target(self, context: bpy.types.Context) -> Target:
        earlier = results.earlier(sequencer_scene(context), self._placement)
        target = super().target(context)
        return dataclasses.replace(target, placement=self._placement, existing=self.existing, earlier=earlier)


class AskingDubOperator(DubOperator):
    """Mix-in for an operator that dubs, and whose button asks what is done with earlier results if there are any."""

    existing: bpy.props.EnumProperty(
        name="Earlier Result",
        description="What to do with earlier dubbed strips on these frames",
        items=(
            ("KEEP", "Keep Both", "Place the new strip above the earlier ones"),
            ("VERSION", "New Version", "Place the new strip above the earlier ones and mute those"),
            ("REPLACE", "Replace", "Put the new strip in place of the earlier ones and keep their files"),
        ),
        default="KEEP",
        options={"SKIP_SAVE"},
    )
    layout: bpy.types.UILayout  # Blender's
    _is_asked = False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        try:
            self.gather(context)
        except Speech2LipError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not results.earlier(sequencer_scene(context), self._placement):
            return self.enqueue(context)
        self._is_asked = True  # then OK in the dialog calls execute
        manager = context.window_manager
        answer: set[str] = manager.invoke_props_dialog(self, title=self.bl_label, confirm_text="Dub")
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.label(text="These frames have been dubbed before")
        self.layout.column().prop(self, "existing", expand=True)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self.enqueue(context) if self._is_asked else super().execute(context)
