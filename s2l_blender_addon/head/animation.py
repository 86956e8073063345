"""The animation of a head: the pictures that the render engine shows on the frames of a scene, as a camera path."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...s2l_core.errors import BadJob
from ...s2l_core.jobs import RenderJob
from ..compat import is_composited
from .cameras import MILLIMETRES
from .render_engine import S2L_RenderEngine
from .render_job import find_heads, picture_job

_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])  # see ``cameras.py``


def heads(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The Empties of the heads in a scene, also of those that are hidden."""
    return [item for item in scene.objects if item.s2l.is_head]


def name(head: bpy.types.Object) -> str:
    """The name of the speaker of a head."""
    return Path(head.s2l.speaker_path).stem or str(head.name)


def frames(scene: bpy.types.Scene) -> range:
    """The frames that a scene renders."""
    return range(scene.frame_start, scene.frame_end + 1)


def problems(scene: bpy.types.Scene) -> list[str]:
    """Sentences on settings of a scene with which its render would show something other than a movie along a camera
    path.
    """
    return list(_problems(scene))


def _problems(scene: bpy.types.Scene) -> Iterator[str]:
    render = scene.render
    if render.engine != S2L_RenderEngine.bl_idname:
        yield "The scene is not rendered by Speech2Lip. Choose this engine under Render Properties."
    if scene.camera is None:
        yield "The scene has no camera. Add one, or use Match Camera."
    rendered = [item for item in heads(scene) if not item.hide_render]
    if len(rendered) > 1:
        yield f"There are {len(rendered)} heads, of which a movie shows one. Hide the others."
    for item in heads(scene):
        if item.visible_get(view_layer=_layer(scene)) == item.hide_render:
            yield f"{item.name} is hidden only in the viewport or only in renders. Hide or show it in both."
    if scene.frame_step != 1:
        yield f"The frame step is {scene.frame_step}, so that frames would be missing. Set it to 1."
    if not math.isclose(render.pixel_aspect_x, render.pixel_aspect_y):
        yield "The pixels are not square. Set both values of Aspect under Output Properties to 1."
    if render.film_transparent:
        yield "A movie of a head shows the background. Disable Film > Transparent."
    if render.use_border:
        yield "Only a part of the picture is rendered. Disable Render Region."
    if render.use_multiview:
        yield "The scene is rendered for two eyes. Disable Stereoscopy."
    if is_composited(scene):
        yield "The scene is composited, which other machines would not do. Disable Post Processing > Compositing."


def present_picture(scene: bpy.types.Scene) -> RenderJob:
    """The job for the picture that the render engine shows on the present frame.

    Raises:
        BadJob: It cannot be rendered; the message names the frame.
    """
    layer = _layer(scene)
    layer.update()
    try:
        if scene.camera is None:
            raise BadJob("The scene has no camera.", "Add one, or use Match Camera.")
        return picture_job(find_heads(layer.depsgraph)[0], layer.depsgraph, scene.camera)
    except BadJob as error:
        raise BadJob(f"Frame {scene.frame_current}: {error.message}", error.hint) from error


def pictures(scene: bpy.types.Scene) -> list[RenderJob]:
    """The jobs for the pictures that the render engine shows on all frames, in which the scene is evaluated.

    Raises:
        BadJob: A frame cannot be rendered, or shows another head than those before; the message names it.
    """
    present, subframe = scene.frame_current, scene.frame_subframe
    jobs: list[RenderJob] = []
    try:
        for frame in frames(scene):
            scene.frame_set(frame)
            jobs.append(present_picture(scene))
            if not _is_continued(jobs[0], jobs[-1]):
                message = f"Frame {frame}: Another head is shown than before."
                raise BadJob(message, "Submit a range of frames with one head.")
    finally:
        scene.frame_set(present, subframe=subframe)
    return jobs


def camera_path(jobs: Sequence[RenderJob], rate: Fraction) -> dict[str, Any]:
    """The camera path with which the verb ``pose`` shows the pictures of some jobs, as JSON values.

    See :mod:`s2l_core.whole_head.camera_path`. Its world is that of the footage's camera in each frame.

    Args:
        jobs: Jobs for square pixels, for the same head and a picture of the same size.
        rate: Frames per second.
    """
    view = jobs[0].camera
    cameras = [_camera(job) for job in jobs]
    return {"render_width": view.width, "render_height": view.height, "fps": float(rate), "camera_path": cameras}


def _layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """The first view layer that is rendered."""
    return next((layer for layer in scene.view_layers if layer.use), scene.view_layers[0])


def _is_continued(first: RenderJob, job: RenderJob) -> bool:
    """Whether two pictures can be frames of one movie."""
    size, other = ((each.camera.width, each.camera.height) for each in (first, job))
    same = (first.speaker_path, first.footage, first.fade) == (job.speaker_path, job.footage, job.fade)
    return same and size == other


def _camera(job: RenderJob) -> dict[str, Any]:
    """What a camera path says about one picture."""
    footage_to_camera, view = _matrix(job.camera_from_footage), job.camera
    camera_to_footage = np.linalg.inv(footage_to_camera)
    return {
        "camera_to_world": _listed(camera_to_footage),
        "head_to_world": _listed(camera_to_footage @ _matrix(job.pose)),
        "fov": math.degrees(2 * math.atan(view.height / 2 / view.fy)),
        "cx": view.cx,
        "cy": view.cy,
        "footage_seconds": job.moment,
    }


def _matrix(pose: Sequence[float]) -> NDArray[np.float64]:
    return np.reshape(pose, (4, 4)).astype(np.float64)


def _listed(pose: NDArray[np.float64]) -> list[float]:
    """A pose in OpenCV's axes and millimetres as 16 numbers, row by row, in Blender's and metres."""
    result = _FLIP @ pose @ _FLIP
    result[:3, 3] /= MILLIMETRES
    return [float(value) for value in result.ravel()]
