"""Submit every dub to a farm: check what its machines would miss, and write a plan that they run."""

# Blender declares properties as annotations.
# mypy: disable-error-code="valid-type"

from pathlib import Path

import bpy

from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.engine import planner
from ..s2l_blender_addon.preferences import find_worker_python
from ..s2l_blender_addon.queue import dubbing, job_queue, preflight, records
from ..s2l_blender_addon.queue.entries import Entry
from ..s2l_blender_addon.queue.outputs import unused_path
from ..s2l_blender_addon.queue.snapshots import dub_entry
from ..s2l_blender_addon.queue.submissions import submission_of
from ..s2l_blender_addon.sequencer import strips
from ..s2l_core.errors import Speech2LipError
from ..s2l_core.farm.emitting import emit
from .base import BaseOperator

_DIALOG_WIDTH = 480


class S2L_OT_submit(BaseOperator, bpy.types.Operator):
    """Blocking; the button asks for the settings first, and shows what a machine of the farm would miss."""

    bl_idname = "s2l.submit"
    bl_label = "Submit"
    bl_description = "Let other machines dub every movie and image strip that is driven by sound strips"

    _checked: tuple[str, str] | None = None
    """The folders for which ``_sentences`` were found."""
    _sentences: list[str]

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        has_pairs = bool(strips.pairs(sequencer_scene(context)))
        return "" if has_pairs else "Choose the strip that a sound strip drives, in the Dub panel"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        answer: set[str] = context.window_manager.invoke_props_dialog(self, width=_DIALOG_WIDTH, title=self.bl_label)
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, sequencer_scene(context)
        layout.use_property_split, layout.use_property_decorate = True, False
        for name in ("farm", "chunk", "priority"):
            layout.prop(scene.s2l.submit, name)
        layout.prop(scene.s2l.submit, "folder", placeholder=preflight.shared_folder(scene))
        layout.prop(scene.s2l.dub, "folder", text="Output", placeholder="Beside the .blend file")
        for sentence in self._problems_shown(context, scene):
            layout.label(text=sentence, icon="ERROR")
        layout.label(text=preflight.version_needed(), icon="INFO")

    def _problems_shown(self, context: bpy.types.Context, scene: bpy.types.Scene) -> list[str]:
        """The problems, looked for once with each choice of folders: the dialog is drawn many times a second."""
        folders = preflight.shared_folder(scene), scene.s2l.dub.folder
        if folders != self._checked:
            self._checked, self._sentences = folders, _problems(context, scene)
        return self._sentences

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = sequencer_scene(context)
        if sentences := _problems(context, scene):
            self.report({"ERROR"}, "\n".join(sentences))
            return {"CANCELLED"}
        entries: list[Entry] = []
        try:
            for strip, sounds in strips.pairs(scene):
                entries.append(dub_entry(context, scene, strip, sounds))
                records.write(entries[-1])  # the next one gets another output
            folder, tasks = _submit(context, scene, entries)
        except (Speech2LipError, OSError) as error:
            for entry in entries:
                records.forget(entry)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Other machines can do {tasks} tasks, which are in {folder}.")
        return {"FINISHED"}


def _problems(context: bpy.types.Context, scene: bpy.types.Scene) -> list[str]:
    """Sentences on what has to be put right before other machines can do the dubs."""
    jobs, sentences = [], []
    for strip, sounds in strips.pairs(scene):
        try:
            jobs.append(dubbing.job(context, scene, strip, sounds)[0])
        except Speech2LipError as error:
            sentences.append(str(error))
    return [*sentences, *preflight.problems(context, scene, jobs)]


def _submit(context: bpy.types.Context, scene: bpy.types.Scene, entries: list[Entry]) -> tuple[str, int]:
    """Write a plan and what the farm needs, and add the entries to the queue. Returns the plan's folder and the number
    of its tasks.
    """
    settings, root, blend = scene.s2l.submit, preflight.shared_folder(scene), Path(bpy.data.filepath)
    folder = unused_path(scene.s2l.dub.folder, str(blend), f"{blend.stem}_plan", "")
    jobs = [entry.job for entry in entries]
    plan = planner.Planning(find_worker_python(context), jobs, folder, root, settings.chunk).plan()
    if settings.farm != "NONE":
        emit(folder, settings.farm.lower(), {}, settings.priority)
    submissions = [submission_of(entry, folder, plan) for entry in entries]
    for entry, submission in zip(entries, submissions, strict=True):
        entry.submission, entry.status = submission, "submitted"
        job_queue.add(entry)
    return folder, len(plan.tasks)
