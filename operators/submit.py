"""Submit dubs, trainings and animations of heads to a farm: check what its machines would miss, and write a plan."""

# Blender declares properties as annotations.
# mypy: disable-error-code="valid-type"

from pathlib import Path

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.head import animation
from ..s2l_blender_addon.preferences import find_worker_python
from ..s2l_blender_addon.queue import job_queue, preflight, records, submitting
from ..s2l_blender_addon.queue.entries import Entry
from ..s2l_blender_addon.queue.outputs import unused_path
from ..s2l_blender_addon.queue.submitting import Submitting
from ..s2l_blender_addon.sentences import draw_lines
from ..s2l_blender_addon.sequencer import strips
from ..s2l_core.errors import Speech2LipError
from .base import BaseOperator

_DIALOG_WIDTH = 520


def draw_submit(layout: bpy.types.UILayout, scene: bpy.types.Scene, operator: bpy.types.Operator | None = None) -> None:
    """Draw what is submitted, and to where; and the question for the consent, if there is an operator that asks it."""
    layout.use_property_split, layout.use_property_decorate = True, False
    submit, pairs = scene.s2l.submit, len(strips.pairs(scene))
    column = layout.column(heading="Submit")
    column.prop(submit, "dubs", text=f"{pairs} {'Dub' if pairs == 1 else 'Dubs'}")
    name = scene.s2l.train.speaker_name.strip()
    column.prop(submit, "training", text=f"Training of {name}" if name else "Training")
    if (heads := animation.heads(scene)) or submit.head:
        column.prop(submit, "head", text=f"Animation of {animation.name(heads[0])}" if heads else "Animation of a Head")
    if operator is not None and submit.training and not submitting.has_agreed(scene):
        column.prop(operator, "consent")
    for each in ("farm", "chunk", "priority"):
        layout.prop(submit, each)
    layout.prop(submit, "folder", placeholder=preflight.shared_folder(scene))
    layout.prop(scene.s2l.dub, "folder", text="Output", placeholder="Beside the .blend file")


class S2L_OT_submit(BaseOperator, bpy.types.Operator):
    """Blocking in a script; the button asks for the settings first, shows what a machine of the farm would miss, and
    leaves planning to the queue.
    """

    bl_idname = "s2l.submit"
    bl_label = "Submit"
    bl_description = "Let other machines dub every strip that sound strips drive, train the speaker, or render the head"

    consent: bpy.props.BoolProperty(
        name="The Speaker Agreed",
        description="Confirm that the person in the footage has agreed to it; recorded in the speaker file",
        options={"SKIP_SAVE"},
    )
    _is_asked = False
    _sentences: tuple[str, ...] = ()
    """What has to be put right, found when the dialog opened and after each change in it."""

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        if job_queue.submitting() is not None:
            return "Wait until the jobs that were submitted before are planned"
        return submitting.disabled_reason(sequencer_scene(context))

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self._is_asked = True  # then OK in the dialog calls execute
        self.check(context)
        manager, label = context.window_manager, self.bl_label
        answer: set[str] = manager.invoke_props_dialog(self, width=_DIALOG_WIDTH, title=label, confirm_text=label)
        return answer

    def check(self, context: bpy.types.Context) -> bool:
        """Called by Blender after each change in the dialog, which is drawn many times a second."""
        scene = sequencer_scene(context)
        entries, sentences = submitting.gather(context, scene, self.consent)
        self._sentences = (*sentences, *preflight.problems(context, scene, [entry.job for entry in entries]))
        return True

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, sequencer_scene(context)
        draw_submit(layout, scene, self)
        width = int(_DIALOG_WIDTH * context.preferences.system.ui_scale)
        for sentence in self._sentences:
            draw_lines(layout, sentence, width, icon="ERROR")
        layout.label(text=preflight.version_needed(), icon="INFO")

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = sequencer_scene(context)
        self.check(context)
        if self._sentences:
            self.report({"ERROR"}, "\n".join(self._sentences))
            return {"CANCELLED"}
        entries, sentences = submitting.gather(context, scene, self.consent, is_final=True)
        try:
            if sentences:
                raise Speech2LipError("\n".join(sentences))
            request = _request(context, scene, entries)
            text = self._submit(request)
        except (Speech2LipError, OSError) as error:
            for entry in entries:
                records.forget(entry)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if self.consent:
            scene.s2l.train.consent = scene.s2l.train.speaker_name.strip()
        self.report({"INFO"}, text)
        return {"FINISHED"}

    def _submit(self, request: Submitting) -> str:
        """Submit a request, and say so in a sentence. A script waits until it is planned."""
        if self._is_asked:
            job_queue.submit(request)
            count = len(request.entries)
            return f"Planning {count} {'job' if count == 1 else 'jobs'} for other machines."
        request.wait()
        job_queue.submit(request)
        job_queue.advance()
        return f"Other machines can do {request.tasks} tasks, which are in {request.folder}."


class S2L_OT_cancel_submit(BaseOperator, bpy.types.Operator):
    bl_idname = "s2l.cancel_submit"
    bl_label = "Cancel Planning"
    bl_description = "Stop planning, and take the jobs that were submitted off the queue"

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return "" if job_queue.submitting() else "Nothing is being planned"

    def execute(self, context: bpy.types.Context) -> set[str]:
        if request := job_queue.submitting():
            request.cancel()
        return {"FINISHED"}


def _request(context: bpy.types.Context, scene: bpy.types.Scene, entries: list[Entry]) -> Submitting:
    """The entries, of which the engine begins to make a plan."""
    blend = Path(bpy.data.filepath)
    folder = unused_path(scene.s2l.dub.folder, str(blend), f"{blend.stem}_plan", "")
    root = preflight.shared_folder(scene)
    return Submitting(find_worker_python(context), entries, folder, root, scene.s2l.submit)
