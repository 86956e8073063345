"""The render engine "Speech2Lip", which renders the head of the footage from the scene's camera."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ...s2l_core.errors import Cancelled, Speech2LipError
from ...s2l_core.events import Progress
from .. import progress
from ..engine import warm_worker
from ..preferences import find_worker_python
from . import rendering
from .render_job import find_heads, picture_job
from .render_preview import RenderPreview


@dataclass
class Run:
    """The rendering of an animation. Blender makes a new engine for each of its frames.

    Attributes:
        scene: Name of the scene.
        frame: The frame that is being rendered.
        done: Number of frames rendered before it.
        start: Start of the second frame in seconds; the first one takes longer, since it opens files.
        warned: Whether a warning about untrusted frames has been reported.
    """

    scene: str
    frame: int
    done: int = 0
    start: float = field(default_factory=time.monotonic)
    warned: bool = False

    def remaining_seconds(self, scene: bpy.types.Scene) -> float | None:
        """Estimated time to the end of the animation; None during the first two frames."""
        if self.done < 2:
            return None
        left = (scene.frame_end - self.frame) // scene.frame_step + 1
        return (time.monotonic() - self.start) / (self.done - 1) * left


_run = Run("", 0)


class S2L_RenderEngine(bpy.types.RenderEngine):
    bl_idname = "SPEECH2LIP"
    bl_label = "Speech2Lip"
    bl_use_preview = False
    bl_use_postprocess = True
    bl_use_eevee_viewport = True
    bl_use_shading_nodes_custom = False

    _preview: RenderPreview | None = None

    def update_render_passes(self, scene: bpy.types.Scene, renderlayer: bpy.types.ViewLayer) -> None:
        self.register_pass(scene, renderlayer, "Combined", 4, "RGBA", "COLOR")
        self.register_pass(scene, renderlayer, "Depth", 1, "Z", "VALUE")
        self.register_pass(scene, renderlayer, "Mask", 1, "X", "VALUE")

    def render(self, depsgraph: bpy.types.Depsgraph) -> None:
        self._follow_run(depsgraph.scene)
        try:
            picture = self._render_picture(depsgraph)
        except Cancelled:
            return
        except Speech2LipError as error:
            self.error_set(str(error))  # shown above the picture; the report ends an animation
            self.report({"ERROR"}, str(error))
            return
        self._fill_passes(depsgraph, picture)
        self.update_stats("", stats(depsgraph.scene, picture.warning))
        if picture.warning and not _run.warned:
            self.report({"WARNING"}, f"{picture.warning} in frame {depsgraph.scene.frame_current}")
            _run.warned = True

    def view_update(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Do nothing: Blender requires this method beside ``view_draw``, which does all the work."""

    def view_draw(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        self._preview = self._preview or RenderPreview()
        status = self._preview.draw(context, depsgraph)
        self.update_stats("", status)
        if self._preview.is_waiting:
            self.tag_redraw()

    def view_pause(self, context: bpy.types.Context) -> None:
        """Do nothing: ``view_draw`` sees it. Since 5.3 Blender shows its Pause button if there is this method."""

    def view_resume(self, context: bpy.types.Context) -> None:
        self.tag_redraw()

    def _follow_run(self, scene: bpy.types.Scene) -> None:
        global _run
        if self.is_animation and scene.name == _run.scene and scene.frame_current >= _run.frame:
            _run.done += scene.frame_current > _run.frame
            _run.frame = scene.frame_current
            if _run.done == 1:
                _run.start = time.monotonic()
        else:
            _run = Run(scene.name, scene.frame_current)

    def _render_picture(self, depsgraph: bpy.types.Depsgraph) -> rendering.Picture:
        scene = depsgraph.scene
        heads = find_heads(depsgraph)
        if len(heads) > 1 and not _run.done:
            self.report(
                {"WARNING"},
                f"There are {len(heads)} heads: only {heads[0].object.name}, the first by name, is rendered",
            )
        job = picture_job(heads[0], depsgraph, self.camera_override or scene.camera)
        worker = warm_worker.current(find_worker_python(bpy.context))

        def report(event: Progress) -> None:
            self.update_progress(progress.fraction(event))
            self.update_stats("", stats(scene, progress.describe(event)))

        return rendering.render(worker, job, self.test_break, report)

    def _fill_passes(self, depsgraph: bpy.types.Depsgraph, picture: rendering.Picture) -> None:
        height, width = picture.mask.shape
        rows, columns = slice(0, height), slice(0, width)
        render = depsgraph.scene.render
        if render.use_border:
            rows = slice(*(pixels(share, height) for share in (render.border_min_y, render.border_max_y)))
            columns = slice(*(pixels(share, width) for share in (render.border_min_x, render.border_max_x)))
        size = columns.stop - columns.start, rows.stop - rows.start
        result = self.begin_result(0, 0, *size, layer=depsgraph.view_layer.name)
        passes = result.layers[0].passes
        for name, plane in (("Combined", picture.combined), ("Depth", picture.depth), ("Mask", picture.mask)):
            passes[name].rect.foreach_set(plane[rows, columns].ravel())
        self.end_result(result)


def pixels(share: float, side: int) -> int:
    """A fraction of a picture's side in pixels as Blender computes it: in single precision, rounded down."""
    return int(np.float32(share) * np.float32(side))


def stats(scene: bpy.types.Scene, text: str) -> str:
    """The text for the status line, with the remaining time of the animation in front."""
    remaining = _run.remaining_seconds(scene)
    parts = [f"Remaining {progress.duration(remaining)}" if remaining is not None else "", text]
    return " | ".join(filter(None, parts))


@persistent
def _end_worker(*_: object) -> None:
    rendering.forget()
    warm_worker.end()


def register() -> None:
    bpy.app.handlers.load_pre.append(_end_worker)


def unregister() -> None:
    bpy.app.handlers.load_pre.remove(_end_worker)
    warm_worker.end()
