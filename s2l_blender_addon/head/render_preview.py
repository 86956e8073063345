"""The render engine in a 3D viewport: shows the last finished picture while the worker renders the next one."""

from __future__ import annotations

import bpy
import gpu
from gpu_extras.presets import draw_texture_2d
from mathutils import Matrix

from ...s2l_core.errors import BadJob, Speech2LipError
from ...s2l_core.jobs import CameraView, RenderJob
from .. import progress
from ..compat import is_viewport_paused
from ..engine import warm_worker
from ..engine.worker_client import Request
from ..preferences import find_worker_python
from . import rendering
from .render_job import find_heads, render_job

LONGEST_SIDE = 384
PATIENCE_SECONDS = 0.03  # limits the redraws of Blender, which would slow down the worker


class RenderPreview:
    """The picture of one viewport, which Blender has to redraw while a picture is being rendered."""

    def __init__(self) -> None:
        self._asked: RenderJob | None = None
        self._request: Request | None = None
        self._texture: gpu.types.GPUTexture | None = None
        self._line = ""
        self._is_paused = False

    @property
    def is_waiting(self) -> bool:
        """Whether a picture is being rendered that will be drawn when it is finished."""
        return self._request is not None and not self._is_paused

    def draw(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> str:
        """Draw the last finished picture over the region, and request a new one if the view has changed.

        In a paused viewport nothing is requested.

        Returns:
            The text for the status line.
        """
        self._is_paused = is_viewport_paused(context)
        if self._is_paused:
            self._show(context.region)
            return "Rendering Paused"
        try:
            job = render_job(find_heads(depsgraph)[0], depsgraph.scene, *view_of_region(context))
        except Speech2LipError as error:
            self._asked = self._texture = None
            return str(error)
        try:
            self._receive()
            self._ask(job)
        except Speech2LipError as error:
            self._texture, self._line = None, str(error)
        self._show(context.region)
        return self._line

    def _show(self, region: bpy.types.Region) -> None:
        if self._texture is not None:
            gpu.state.blend_set("ALPHA_PREMULT")
            draw_texture_2d(self._texture, (0, 0), region.width, region.height)
            gpu.state.blend_set("NONE")

    def _receive(self) -> None:
        if self._request is None:
            return
        if self._request.poll(PATIENCE_SECONDS):
            request, self._request = self._request, None
            picture = rendering.read(request)
            self._texture, self._line = _texture_of(picture), picture.warning
        else:
            self._line = progress.describe(self._request.progress)

    def _ask(self, job: RenderJob) -> None:
        if self._request is None and job != self._asked and not bpy.app.is_job_running("RENDER"):
            self._asked = job  # only once, even if it fails
            self._request = rendering.start(warm_worker.current(find_worker_python(bpy.context)), job)


def view_of_region(context: bpy.types.Context) -> tuple[Matrix, CameraView]:
    """The world matrix and the pinhole camera of a 3D viewport, at a resolution of ``LONGEST_SIDE`` pixels at most.

    Raises:
        BadJob: The view is orthographic.
    """
    projection, region = context.region_data.window_matrix, context.region
    if projection[3][3] != 0.0:
        raise BadJob("The view is orthographic.", "Press 5 on the numpad for perspective, or 0 for the camera.")
    scale = min(1.0, LONGEST_SIDE / max(region.width, region.height))
    width, height = (max(1, round(scale * side)) for side in (region.width, region.height))
    view = CameraView(
        fx=projection[0][0] * width / 2,
        fy=projection[1][1] * height / 2,
        cx=(1 - projection[0][2]) * width / 2,
        cy=(1 + projection[1][2]) * height / 2,
        width=width,
        height=height,
    )
    return context.region_data.view_matrix.inverted(), view


def _texture_of(picture: rendering.Picture) -> gpu.types.GPUTexture:
    height, width = picture.mask.shape
    pixels = gpu.types.Buffer("FLOAT", picture.combined.size, picture.combined.ravel())
    return gpu.types.GPUTexture((width, height), format="RGBA16F", data=pixels)
