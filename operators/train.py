"""Train a speaker on a movie strip."""

# Blender declares properties as annotations.
# mypy: disable-error-code="valid-type"

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.queue.snapshots import train_job
from ..s2l_blender_addon.sequencer import strips
from ..s2l_core.consent_ledger import refuse_ended
from ..s2l_core.jobs import TrainJob, consent_record_of, refuse_without_consent
from .queue_operator import QueueOperator


def draw_consent(layout: bpy.types.UILayout, group: bpy.types.PropertyGroup, name: str) -> None:
    """Draw the fields for details of a person's consent, which may stay empty.

    Args:
        layout: Where to draw them.
        group: The settings of a training, or of a strip.
        name: Who agreed, unless the fields say so.
    """
    layout.use_property_split, layout.use_property_decorate = True, False
    layout.prop(group, "consent_who", placeholder=name)
    layout.prop(group, "consent_for", placeholder="Any use")
    layout.prop(group, "consent_until", placeholder="No end")
    layout.prop(group, "consent_evidence", placeholder="Not stated")


class S2L_OT_train_speaker(QueueOperator, bpy.types.Operator):
    bl_idname = "s2l.train_speaker"
    bl_label = "Train Speaker"
    bl_description = "Train the lips of the speaker in the movie strip and save them to a speaker file"

    consent: bpy.props.BoolProperty(
        name="The Speaker Agreed",
        description="Confirm that the person in this footage has agreed to it; recorded in the speaker file",
        options={"SKIP_SAVE"},
    )
    _is_asked = False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if sequencer_scene(context).s2l.train.consent == self.subject(context):
            self.consent = True
            return self.enqueue(context)
        self._is_asked = True  # then OK in the dialog calls execute
        manager = context.window_manager
        answer: set[str] = manager.invoke_props_dialog(self, title=self.bl_label, confirm_text="Train")
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.label(text=f"Has {self.subject(context)} agreed to this?", icon="QUESTION")
        self.layout.prop(self, "consent")
        draw_consent(self.layout, sequencer_scene(context).s2l.train, self.subject(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not self._is_asked:
            return QueueOperator.execute(self, context)
        if self.consent:
            sequencer_scene(context).s2l.train.consent = self.subject(context)
        return self.enqueue(context)

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        scene = sequencer_scene(context)
        if not scene.s2l.train.speaker_name.strip():
            return "Enter the name of the speaker"
        return strips.missing_voice_reason(strips.footage(scene), strips.missing_footage(scene))

    def gather(self, context: bpy.types.Context) -> TrainJob:
        scene = sequencer_scene(context)
        job = train_job(context, scene, strips.footage(scene), self.subject(context), self.consent)
        refuse_without_consent(job)
        refuse_ended(job.speaker_path, consent_record_of(job).hash)
        return job

    def subject(self, context: bpy.types.Context) -> str:
        return str(sequencer_scene(context).s2l.train.speaker_name.strip())
