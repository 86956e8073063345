"""The objects of a head in the scene.

The footage's camera is at the origin of the world, one unit is a metre. An Empty carries the tracked pose and, as
custom properties, the expression. The movie is projected onto its child, the mesh, by a projector: a camera that is a
child of the Empty as well and is animated with the inverse of the tracked pose, so that it stays at the footage's
camera. Thus the movie sticks to the head in every render engine, however the Empty or a camera is moved. Neck and
shoulders stay where the footage has them, and show the movie as its camera sees them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Quaternion
from numpy.typing import NDArray

from ...s2l_core import regular_files
from ...s2l_core.errors import FileMissing, NoFace
from ...s2l_core.jobs import CameraView, Media
from ..sequencer.strips import store_face
from . import actions, cameras
from . import mesh as head_mesh
from .file import HeadFile

TRACKED_POSE, EXPRESSION = "Tracked Pose", "Expression"  # groups of F-curves
EMPTY_SIZE = 0.1
# Usual range and description of the custom properties, by the beginning of their names.
_PROPERTIES = {
    "jaw_open": (0.0, 1.0, "Opening of the jaw, as a fraction of the height of the face from the eyes to the chin"),
    "mouth_open": (0.0, 1.0, "Distance between the lips, as a fraction of the mouth's width at rest"),
    "mouth_wide": (0.0, 1.0, "Widening of the mouth, as a fraction of its width at rest"),
    "mouth_round": (0.0, 1.0, "Narrowing of the mouth, as a fraction of its width at rest"),
    "eye_open": (0.0, 2.0, "Distance between the eyelids, relative to the usual distance"),
    "lip_shape": (-4.0, 4.0, "Component of the lip shape in speech, in standard deviations"),
}


@dataclass(frozen=True)
class Source:
    """The speaker, the movie and the timing of a new head.

    Attributes:
        speaker_path: The speaker file.
        media: The movie and its span.
        first: First frame of the timeline that shows the movie.
        frames: The frame of the movie, counted from 0, on each frame of the timeline from ``first`` on.
        origin: Frame of the timeline, possibly fractional, at second 0 of the movie.
        seconds_per_frame: Seconds of the movie per frame of the timeline.
        rate: Frames per second of the movie.
    """

    speaker_path: str
    media: Media
    first: int
    frames: list[int]
    origin: float
    seconds_per_frame: float
    rate: float


def create(scene: bpy.types.Scene, name: str, head: HeadFile, source: Source) -> bpy.types.Object:
    """Add a head to a scene, in a collection of its own.

    Returns:
        The Empty of the head.

    Raises:
        FileMissing: The movie does not exist.
        NoFace: No face was found in the frames of the source.
    """
    if not regular_files.is_file(source.media.path):
        raise FileMissing(f"The movie {source.media.path} is missing.")
    tracked = _tracked(head, source)
    collection = bpy.data.collections.new(f"Head {name}")
    scene.collection.children.link(collection)
    empty = _make_empty(head, source, *tracked)
    projector = _make_projector(head.view, *tracked, head.poses)
    mesh = bpy.data.objects.new("Head Mesh", head_mesh.make("Head Mesh", head))
    material = _movie_material(source)
    mesh.data.materials.append(material)
    _project(mesh, projector, head.view)
    mesh.parent = projector.parent = empty
    objects = [empty, mesh, projector]
    if head.torso_mask.any():
        torso = bpy.data.objects.new("Head Torso", head_mesh.make_torso("Head Torso", head))
        torso.data.materials.append(material)
        objects.append(torso)
    if head.plate_path.is_file():
        objects.append(_make_plate(head))
    for item in objects:
        collection.objects.link(item)
    return empty


def find(context: bpy.types.Context) -> bpy.types.Object | None:
    """The Empty of the selected head: that of the active object, or otherwise the only one in the scene."""
    item = context.object
    while item is not None:
        if item.s2l.is_head:
            return item
        item = item.parent
    heads = [item for item in context.scene.objects if item.s2l.is_head]
    return heads[0] if len(heads) == 1 else None


def tracked_pose(empty: bpy.types.Object) -> list[bpy.types.FCurve]:
    """The F-curves of the tracked pose."""
    return actions.curves_of(empty, TRACKED_POSE)


def is_muted(empty: bpy.types.Object) -> bool:
    """Whether the tracked pose is muted, so that the head can be posed by hand."""
    curves = tracked_pose(empty)
    return bool(curves) and all(curve.mute for curve in curves)


def footage_view(empty: bpy.types.Object) -> CameraView:
    """The camera of a head's footage."""
    fx, fy, cx, cy, width, height = empty.s2l.intrinsics
    return CameraView(fx, fy, cx, cy, int(width), int(height))


def footage_camera_world(empty: bpy.types.Object) -> Matrix:
    """The world matrix of the footage's camera: the origin, moved with the Empty's parent."""
    return empty.parent.matrix_world @ empty.matrix_parent_inverse if empty.parent else Matrix()


def _tracked(head: HeadFile, source: Source) -> tuple[list[int], list[int]]:
    """The frames of the timeline that show a face, and for each of them the row in the head file."""
    times = np.array(source.frames) / source.rate
    rows = np.searchsorted((head.times[1:] + head.times[:-1]) / 2, times)
    is_known = head.found[rows] & (np.abs(head.times[rows] - times) <= 0.5 / source.rate)
    if not is_known.any():
        raise NoFace(f"No face was found in the frames of {source.media.path} that the strip shows.")
    return (source.first + np.flatnonzero(is_known)).tolist(), rows[is_known].tolist()


def _make_empty(head: HeadFile, source: Source, frames: list[int], rows: list[int]) -> bpy.types.Object:
    empty = bpy.data.objects.new("Head", None)
    empty.empty_display_type, empty.empty_display_size = "ARROWS", EMPTY_SIZE
    channels = actions.Channels(empty, "Head")
    _animate_pose(empty, channels, frames, head.poses[rows])
    for name, values in head.curves.items():
        _animate_property(empty, channels, name, frames, values[rows])
    settings = empty.s2l
    settings.is_head = True
    settings.speaker_path, settings.movie_path = source.speaker_path, source.media.path
    settings.start, settings.end = source.media.start, source.media.end
    store_face(empty, source.media.face)
    settings.origin, settings.seconds_per_frame = source.origin, source.seconds_per_frame
    settings.first, settings.end_frame = source.first, source.first + len(source.frames)
    view = head.view
    settings.intrinsics = (view.fx, view.fy, view.cx, view.cy, view.width, view.height)
    for angles in head.directions:
        settings.directions.add().angles = angles
    settings.margin = head.margin
    return empty


def _animate_pose(
    item: bpy.types.Object, channels: actions.Channels, frames: list[int], poses: NDArray[np.floating[Any]]
) -> None:
    """Key location and rotation of an object; ``poses`` (n, 4, 4) are its local transforms."""
    item.rotation_mode = "QUATERNION"
    rotations: list[Quaternion] = []
    for pose in poses:
        rotation = Matrix(pose.tolist()).to_quaternion()
        if rotations:
            rotation.make_compatible(rotations[-1])
        rotations.append(rotation)
    for index in range(3):
        channels.add(TRACKED_POSE, "location", frames, poses[:, index, 3], index)
    for index, values in enumerate(np.array(rotations).T):
        channels.add(TRACKED_POSE, "rotation_quaternion", frames, values, index)


def _animate_property(
    item: bpy.types.Object, channels: actions.Channels, name: str, frames: list[int], values: NDArray[Any]
) -> None:
    known = (entry for beginning, entry in _PROPERTIES.items() if name.startswith(beginning))
    least, greatest, description = next(known, (0.0, 1.0, ""))
    item[name] = float(values[0])
    item.id_properties_ui(name).update(
        min=min(least, float(values.min())),
        max=max(greatest, float(values.max())),
        soft_min=least,
        soft_max=greatest,
        description=description,
    )
    data_path = f'["{bpy.utils.escape_identifier(name)}"]'
    item.property_overridable_library_set(data_path, True)
    channels.add(EXPRESSION, data_path, frames, values)


def _make_projector(
    view: CameraView, frames: list[int], rows: list[int], poses: NDArray[np.floating[Any]]
) -> bpy.types.Object:
    projector = bpy.data.objects.new("Head Projector", bpy.data.cameras.new("Head Projector"))
    cameras.match_frame(projector.data, cameras.unit_frame(view), view)
    _animate_pose(projector, actions.Channels(projector, "Head Projector"), frames, np.linalg.inv(poses[rows]))
    projector.hide_viewport = projector.hide_render = True
    return projector


def _project(mesh: bpy.types.Object, projector: bpy.types.Object, view: CameraView) -> None:
    """Let a modifier write the projected positions of the mesh's vertices to its UV layer."""
    modifier = mesh.modifiers.new("Footage", "UV_PROJECT")
    modifier.uv_layer = head_mesh.FOOTAGE_UV
    modifier.projector_count = 1
    modifier.projectors[0].object = projector
    pixel_aspect = cameras.unit_frame(view).pixel_aspect
    modifier.aspect_x, modifier.aspect_y = max(1.0, 1.0 / pixel_aspect), max(1.0, pixel_aspect)


def _make_plate(head: HeadFile) -> bpy.types.Object:
    """A plane with the picture of the background that fills the footage's frame, behind the head in every pose."""
    view = head.view
    radius = float(np.linalg.norm(head.vertices[head.mask], axis=1).max())
    depth = max(head.plate_depth, radius - float(head.poses[head.found, 2, 3].min()))
    corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))  # u to the right, v up
    vertices = [
        ((u * view.width - view.cx) / view.fx * depth, (view.cy - (1 - v) * view.height) / view.fy * depth, -depth)
        for u, v in corners
    ]
    mesh = bpy.data.meshes.new("Head Plate")
    mesh.from_pydata(vertices, [], [range(4)])
    mesh.uv_layers.new(name=head_mesh.CANONICAL_UV).uv.foreach_set("vector", [value for uv in corners for value in uv])
    image = bpy.data.images.load(str(head.plate_path), check_existing=True)
    mesh.materials.append(_emission_material("Head Plate", image, head_mesh.CANONICAL_UV)[0])
    return bpy.data.objects.new("Head Plate", mesh)


def _movie_material(source: Source) -> bpy.types.Material:
    """A material that shows the same frame of the movie on each frame of the timeline as the strip."""
    movie = bpy.data.images.load(source.media.path, check_existing=True)
    movie.source = "MOVIE"
    material, texture = _emission_material("Head", movie, head_mesh.FOOTAGE_UV)
    user = texture.image_user
    # Blender shows frame f - frame_start + frame_offset of the movie on frame f, and holds the first and the last one.
    user.frame_start, user.frame_duration, user.frame_offset = source.first, len(source.frames), source.frames[0]
    user.use_auto_refresh = True
    offsets = np.array(source.frames) - np.arange(len(source.frames))
    (changes,) = np.nonzero(np.diff(offsets, prepend=offsets[0] - 1))
    if len(changes) > 1:  # the movie has another frame rate than the timeline
        channels = actions.Channels(material.node_tree, "Head")
        data_path = f'nodes["{texture.name}"].image_user.frame_offset'
        channels.add("Movie", data_path, (source.first + changes).tolist(), offsets[changes], interpolation="CONSTANT")
    return material


def _emission_material(
    name: str, image: bpy.types.Image, uv_name: str
) -> tuple[bpy.types.Material, bpy.types.ShaderNodeTexImage]:
    """A material that emits the colours of an image, and its texture node."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    uv = tree.nodes.new("ShaderNodeUVMap")
    texture = tree.nodes.new("ShaderNodeTexImage")
    emission = tree.nodes.new("ShaderNodeEmission")
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    for place, node in enumerate((uv, texture, emission, output)):
        node.location.x = 300 * place
    uv.uv_map = uv_name
    texture.image, texture.extension = image, "EXTEND"
    tree.links.new(uv.outputs["UV"], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Color"], emission.inputs["Color"])
    tree.links.new(emission.outputs["Emission"], output.inputs["Surface"])
    tree.nodes.active = texture  # shown by Workbench
    return material, texture
