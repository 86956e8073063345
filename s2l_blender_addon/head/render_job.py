"""Makes the render job for the present frame of an evaluated scene."""

from __future__ import annotations

from typing import NamedTuple

import bpy
from mathutils import Matrix

from ...s2l_core.errors import BadJob
from ...s2l_core.jobs import CameraView, Media, RenderJob
from ..preferences import settings
from ..sequencer.strips import chosen_face
from .cameras import camera_from_head, view_of
from .scene import footage_camera_world


class Head(NamedTuple):
    """A visible head.

    Attributes:
        object: The evaluated Empty that carries the pose.
        matrix: World matrix of the Empty.
        footage_camera: World matrix of the footage's camera.
    """

    object: bpy.types.Object
    matrix: Matrix
    footage_camera: Matrix


def find_heads(depsgraph: bpy.types.Depsgraph) -> list[Head]:
    """The visible heads, sorted by name. The first one is rendered.

    Raises:
        BadJob: There is no visible head.
    """
    heads = [_head(instance, depsgraph) for instance in depsgraph.object_instances if instance.object.s2l.is_head]
    if not heads:
        raise BadJob("The scene has no visible head.", "Add one with Create Head, or unhide it.")
    return sorted(heads, key=lambda head: head.object.name)


def render_job(head: Head, scene: bpy.types.Scene, camera_world: Matrix, view: CameraView) -> RenderJob:
    """The job for the picture of a head from a camera in the present frame of a scene, without an output path.

    Raises:
        BadJob: The head has no movie, or its scale is zero.
    """
    source = head.object.s2l
    if not source.movie_path:
        raise BadJob(f"The head {head.object.name} has no movie.", "Create it again with Create Head.")
    moment = (scene.frame_current_final - source.origin) * source.seconds_per_frame
    last = max(source.start, source.end - source.seconds_per_frame / 2)  # the end is one frame after the last frame
    return RenderJob(
        speaker_path=_absolute(source.speaker_path, head.object),
        footage=Media(_absolute(source.movie_path, head.object), source.start, source.end, chosen_face(head.object)),
        moment=min(max(moment, source.start), last),
        camera=view,
        pose=camera_from_head(camera_world, head.matrix),
        output_path="",
        camera_from_footage=camera_from_head(camera_world, head.footage_camera),
        background=not scene.render.film_transparent,
        fade=scene.s2l.render.fade,
        landmarks=source.landmarks,
        device=settings(bpy.context).device,
    )


def picture_job(head: Head, depsgraph: bpy.types.Depsgraph, camera: bpy.types.Object) -> RenderJob:
    """The job for the picture of a head that the render engine shows from a camera object in the present frame.

    Raises:
        BadJob: The camera is not a perspective camera; or as :func:`render_job`.
    """
    scene, seen_by = depsgraph.scene, camera.evaluated_get(depsgraph)
    return render_job(head, scene, seen_by.matrix_world, view_of(scene, seen_by))


def _head(instance: bpy.types.DepsgraphObjectInstance, depsgraph: bpy.types.Depsgraph) -> Head:
    matrix = instance.matrix_world.copy()
    item = instance.object.original.evaluated_get(depsgraph)
    footage_camera = footage_camera_world(item)
    if instance.is_instance:  # the instance of a collection moves the footage's camera too
        footage_camera = matrix @ item.matrix_world.inverted_safe() @ footage_camera
    return Head(item, matrix, footage_camera)


def _absolute(path: str, owner: bpy.types.Object) -> str:
    return bpy.path.abspath(path, library=owner.original.library)
