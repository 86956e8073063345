"""The list of speakers: add a file, remove a speaker, and assign a speaker to a strip."""

# Blender declares properties as annotations.
# mypy: disable-error-code="valid-type"

from typing import Any

import bpy

from ..s2l_blender_addon import speakers
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.sequencer import strips
from ..s2l_core.consent_record import LONGEST_TEXT
from ..s2l_core.errors import Speech2LipError
from ..s2l_core.jobs import DescribeJob
from .base import BaseOperator
from .quick_operator import QuickOperator


class S2L_OT_add_speaker(QuickOperator, bpy.types.Operator):
    bl_idname = "s2l.add_speaker"
    bl_label = "Add Speaker"
    bl_description = "Add a trained speaker file to the list"
    bl_options = {"REGISTER", "UNDO"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")
    filter_glob: bpy.props.StringProperty(default="*.s2l", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def gather(self, context: bpy.types.Context) -> DescribeJob:
        self._path = bpy.path.abspath(self.filepath)
        return DescribeJob(self._path, speakers.picture_path(self._path))

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        speakers.remember(sequencer_scene(context), self._path, result)
        return f"Added {result['name']}."


class _ChosenSpeakerOperator(BaseOperator):
    """Mix-in for an operator on the speaker that is selected in the list."""

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        has_speaker = speakers.chosen(sequencer_scene(context)) is not None
        return "" if has_speaker else "Add a speaker to the list first"


class S2L_OT_remove_speaker(_ChosenSpeakerOperator, bpy.types.Operator):
    bl_idname = "s2l.remove_speaker"
    bl_label = "Remove Speaker"
    bl_description = "Remove the selected speaker from the list and keep the file"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        speakers.forget(sequencer_scene(context))
        return {"FINISHED"}


class S2L_OT_revoke_consent(_ChosenSpeakerOperator, bpy.types.Operator):
    bl_idname = "s2l.revoke_consent"
    bl_label = "Revoke Consent"
    bl_description = "Record for good that the selected speaker no longer agrees, so that the file is not used any more"
    reason: bpy.props.StringProperty(
        name="Reason", description="Why the consent is revoked; it may stay empty", maxlen=LONGEST_TEXT
    )

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        speaker = speakers.chosen(sequencer_scene(context))
        if speaker is None:
            return super().disabled_reason(context)
        if not speaker.consent_hash:
            return f"{speaker.name} was trained by a version that kept no record of consent"
        return f"{speaker.consent} already" if "revoked" in speaker.consent else ""

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        answer: set[str] = context.window_manager.invoke_props_dialog(
            self, title=self.bl_label, confirm_text=self.bl_label
        )
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        speaker = speakers.chosen(sequencer_scene(context))
        if speaker is not None:
            self.layout.label(text=f"Does {speaker.name} no longer agree? This cannot be undone.", icon="ERROR")
        self.layout.prop(self, "reason")

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = sequencer_scene(context)
        speaker = speakers.chosen(scene)
        if speaker is None:
            return {"CANCELLED"}
        try:
            day = speakers.revoke(scene, speaker, self.reason)
        except Speech2LipError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"The consent of {speaker.name} was revoked on {day}.")
        return {"FINISHED"}


class S2L_OT_use_speaker(_ChosenSpeakerOperator, bpy.types.Operator):
    bl_idname = "s2l.use_speaker"
    bl_label = "Use for Strip"
    bl_description = "Assign the selected speaker to the active movie or image strip, or to all if none is active"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = sequencer_scene(context)
        speaker, footage = speakers.chosen(scene), strips.picture_or_footage(scene)
        if speaker is None:
            return {"CANCELLED"}
        owner = footage.s2l if footage else scene.s2l.dub
        owner.speaker_path = speaker.path
        self.report({"INFO"}, f"Assigned {speaker.name} to {footage.name if footage else 'all strips'}.")
        return {"FINISHED"}
