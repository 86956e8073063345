"""The Blender scene: materials, lights, camera, and meshes that are posed frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from . import materials, skin
from .camera import Camera, Window
from .complexion import DEFAULT, Complexion
from .hair import Hair
from .head import Head, transform
from .outfit import Backdrop, Garment, Outfit
from .wear import Strands

BLENDER_FROM_CAMERA = np.array([0.01, -0.01, -0.01])  # OpenCV axes in mm to Blender's camera axes, 1 unit = 100 mm

_TILES = {
    "face": ("M_Face",),
    "back": ("M_BackHead",),
    "teeth": ("M_Teeth",),
    "gums": ("M_GumsTongue",),
    "eye_left": ("M_ScleraLeft",),
    "eye_right": ("M_ScleraRight",),
    "lashes": ("M_EyeLashes",),
}
_GLOW = {"gums": 0.09, "teeth": 0.04}  # light that reaches the mouth through cheeks and lips
_SAMPLES, _SAMPLES_CLOSE_UP = 3, 2
_UNDER_SHIRT = 140.0  # mm below the head's origin: hidden, so not rendered
_SEEN_PARTS = tuple(part for parts in _TILES.values() for part in parts)


@dataclass(frozen=True)
class Pose:
    """Where head and shoulders are: camera_from_head and camera_from_shoulders, 4x4, mm."""

    head: np.ndarray
    shoulders: np.ndarray


class Stage:
    """The scene with one speaker, ready to be posed and rendered.

    Args:
        head: The speaker's head.
        camera: The camera.
        outfit: Hair and clothes.
        close_up: Whether the textures of face and mouth have twice as many texels along each side, and pixels, which
            are many, take less time.
        complexion: Colours of the skin.
    """

    def __init__(
        self,
        head: Head,
        camera: Camera,
        outfit: Outfit,
        close_up: bool = False,
        complexion: Complexion = DEFAULT,
    ) -> None:
        self.head, self._camera = head, camera
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self._scene = bpy.context.scene
        _set_up_render(self._scene, camera, close_up)
        _add_camera(self._scene, camera)
        _add_lights(self._scene)
        _add_world(self._scene, outfit.backdrop)
        self._head_mesh = _head_mesh(self._scene, head, complexion, 2 if close_up else 1)
        matt = materials.matt_material("hair", outfit.hair_colour)
        self._strands = [
            (_strand_mesh(self._scene, name, strands, matt), strands)
            for name, strands in (("brows", outfit.brows), ("short hair", outfit.short_hair))
        ]
        self._on_head = [_garment_object(self._scene, name, worn) for name, worn in outfit.on_head.items()]
        self._on_shoulders = [_garment_object(self._scene, name, worn) for name, worn in outfit.on_shoulders.items()]
        if outfit.hair is not None:
            self._on_head.append(_hair_object(self._scene, outfit.hair, materials.hair_material(outfit.hair_colour)))

    def render_frame(
        self,
        expression: Mapping[str, float],
        pose: Pose,
        path: Path,
        gaze: Sequence[float] | np.ndarray = (0.0, 0.0),
        window: Window | None = None,
    ) -> None:
        """Render one picture, or what is in a window of it, to a PNG file; the file appears only when it is
        complete.
        """
        _crop(self._scene, self._camera, window)
        expressed = self.head.express(expression, gaze)
        _move(self._head_mesh, self.head.place(expressed, pose.head, pose.shoulders))
        for mesh, strands in self._strands:
            _move(mesh, transform(pose.head, strands.vertices(expressed)))
        for objects, matrix in ((self._on_head, pose.head), (self._on_shoulders, pose.shoulders)):
            for each in objects:
                each.matrix_world = _blender_matrix(matrix)
        unfinished = path.with_name(f"unfinished_{path.name}")
        self._scene.render.filepath = str(unfinished.absolute())
        bpy.ops.render.render(write_still=True)
        unfinished.rename(path)


def _set_up_render(scene: bpy.types.Scene, camera: Camera, close_up: bool) -> None:
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = camera.width, camera.height
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.image_settings.compression = 20
    scene.render.use_persistent_data = True
    scene.render.threads_mode, scene.render.threads = "FIXED", 2
    scene.view_settings.view_transform = "Khronos PBR Neutral"
    cycles = scene.cycles
    cycles.device, cycles.samples = "CPU", _SAMPLES_CLOSE_UP if close_up else _SAMPLES
    cycles.use_adaptive_sampling = False
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_quality = "FAST" if close_up else "BALANCED"
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    cycles.denoising_prefilter = "NONE" if close_up else "FAST"
    cycles.max_bounces, cycles.transparent_max_bounces = 2, 32
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.use_light_tree = False
    cycles.debug_bvh_type = "DYNAMIC_BVH"
    scene.cycles_curves.shape = "RIBBONS"


def _crop(scene: bpy.types.Scene, camera: Camera, window: Window | None) -> None:
    """Render a window alone; None means the whole picture. Blender rounds borders down, from below."""
    render = scene.render
    render.use_border = render.use_crop_to_border = window is not None
    if window is not None:
        below = camera.height - window.top - window.height
        render.border_min_x, render.border_min_y = (window.left + 0.5) / camera.width, (below + 0.5) / camera.height
        render.border_max_x = (window.left + window.width + 0.5) / camera.width
        render.border_max_y = (below + window.height + 0.5) / camera.height


def _add_camera(scene: bpy.types.Scene, camera: Camera) -> None:
    data = bpy.data.cameras.new("camera")
    data.sensor_width = 36.0
    data.lens = camera.focal_length * data.sensor_width / camera.width
    data.clip_start = 0.5
    scene.camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(scene.camera)


def _add_lights(scene: bpy.types.Scene) -> None:
    for name, place, size, energy, colour in (
        ("key", (-6.0, 5.5, -2.0), 5.0, 620.0, (1.0, 0.95, 0.88)),
        ("fill", (7.0, 1.0, -2.5), 6.0, 200.0, (0.86, 0.93, 1.0)),
        ("rim", (4.5, 5.0, -12.5), 3.0, 420.0, (1.0, 0.97, 0.93)),
    ):
        light = bpy.data.lights.new(name, "AREA")
        light.shape, light.size, light.energy, light.color = "DISK", size, energy, colour
        holder = bpy.data.objects.new(name, light)
        holder.location = place
        towards = bpy.data.objects.new(f"{name} aim", None)
        towards.location = (0.0, 0.0, -8.0)
        scene.collection.objects.link(holder)
        scene.collection.objects.link(towards)
        constraint = holder.constraints.new("TRACK_TO")
        constraint.target, constraint.track_axis, constraint.up_axis = towards, "TRACK_NEGATIVE_Z", "UP_Y"


def _add_world(scene: bpy.types.Scene, backdrop: Backdrop) -> None:
    scene.world = bpy.data.worlds.new("world")
    scene.world.use_nodes = True
    nodes, links = scene.world.node_tree.nodes, scene.world.node_tree.links
    nodes.clear()
    output = nodes.new("ShaderNodeOutputWorld")
    window, centre = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeVectorMath")
    centre.operation, centre.inputs[1].default_value = "DISTANCE", (0.42, 0.55, 0.0)
    ramp = nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.interpolation = "EASE"
    ramp.color_ramp.elements[0].color = (*backdrop.middle, 1)
    ramp.color_ramp.elements[1].position, ramp.color_ramp.elements[1].color = 0.85, (*backdrop.rim, 1)
    seen, lit, mix, ray = (
        nodes.new(kind)
        for kind in ("ShaderNodeBackground", "ShaderNodeBackground", "ShaderNodeMixShader", "ShaderNodeLightPath")
    )
    lit.inputs["Color"].default_value, lit.inputs["Strength"].default_value = (0.55, 0.62, 0.7, 1), 0.45
    links.new(window.outputs["Window"], centre.inputs[0])
    links.new(centre.outputs["Value"], ramp.inputs[0])
    patches, shade = nodes.new("ShaderNodeTexNoise"), nodes.new("ShaderNodeMapRange")
    patches.inputs["Scale"].default_value, patches.inputs["Detail"].default_value = 3.0, 1.5
    shade.inputs["To Min"].default_value = 1.0 - backdrop.patches
    shade.inputs["To Max"].default_value = 1.0 + backdrop.patches
    links.new(window.outputs["Window"], patches.inputs["Vector"])
    links.new(patches.outputs[0], shade.inputs["Value"])
    links.new(shade.outputs[0], seen.inputs["Strength"])
    links.new(ramp.outputs[0], seen.inputs[0])
    links.new(ray.outputs["Is Camera Ray"], mix.inputs[0])
    links.new(lit.outputs[0], mix.inputs[1])
    links.new(seen.outputs[0], mix.inputs[2])
    links.new(mix.outputs[0], output.inputs[0])


def _head_mesh(scene: bpy.types.Scene, head: Head, complexion: Complexion, detail: int) -> bpy.types.Mesh:
    shown = head.faces_of(*_SEEN_PARTS)
    shown = shown[head.rest[head.faces[shown, 0], 1] < _UNDER_SHIRT]
    mesh = _mesh(scene, "head", head.rest, head.faces[shown])
    layer = mesh.uv_layers.new()
    corner_uv = head.face_uv[shown]
    layer.uv.foreach_set("vector", head.uv[corner_uv[corner_uv >= 0]].astype(np.float32).ravel())
    slot_of_part = {}
    painters = {
        "face": (skin.skin_painter(head, complexion), detail * 1024),
        "back": (skin.skin_painter(head, complexion), 1024),
        "teeth": (skin.teeth_painter, detail * 512),
        "gums": (skin.gums_painter, detail * 512),
        "eye_left": (skin.eye_painter(head.eye_centre("Left")), 512),
        "eye_right": (skin.eye_painter(head.eye_centre("Right")), 512),
        "lashes": (skin.lash_painter(head), 1024),
    }
    for slot, (name, parts) in enumerate(_TILES.items()):
        painter, size = painters[name]
        mesh.materials.append(
            materials.painted_material(name, skin.paint(head, parts, size, painter), _GLOW.get(name, 0.0))
        )
        slot_of_part.update({head.part_names.index(part): slot for part in parts})
    slots = np.array([slot_of_part[part] for part in head.part[shown]], np.int32)
    mesh.polygons.foreach_set("material_index", slots)
    return mesh


def _strand_mesh(scene: bpy.types.Scene, name: str, strands: Strands, material: bpy.types.Material) -> bpy.types.Mesh:
    mesh = _mesh(scene, name, np.zeros((5 * len(strands.roots), 3)), strands.faces)
    mesh.materials.append(material)
    return mesh


def _garment_object(scene: bpy.types.Scene, name: str, garment: Garment) -> bpy.types.Object:
    surface = garment.surface
    mesh = _mesh(scene, name, surface.vertices * BLENDER_FROM_CAMERA, surface.faces)
    layer = mesh.uv_layers.new()
    layer.uv.foreach_set("vector", surface.uv[surface.faces].astype(np.float32).ravel())
    material = materials.knitted_material if garment.knitted else materials.matt_material
    mesh.materials.append(material(name, garment.colour))
    return scene.objects[name]


def _hair_object(scene: bpy.types.Scene, hair: Hair, material: bpy.types.Material) -> bpy.types.Object:
    """The strands as Blender's hair curves."""
    count, length = hair.points.shape[:2]
    curves = bpy.data.hair_curves.new("hair")
    curves.add_curves([length] * count)
    curves.points.foreach_set("position", (hair.points * BLENDER_FROM_CAMERA).astype(np.float32).ravel())
    radius = np.tile(hair.radius * abs(BLENDER_FROM_CAMERA[0]), count)
    curves.points.foreach_set("radius", radius.astype(np.float32))
    curves.materials.append(material)
    holder = bpy.data.objects.new("hair", curves)
    scene.collection.objects.link(holder)
    return holder


def _blender_matrix(pose: np.ndarray) -> Matrix:
    """A pose in OpenCV axes and mm as a Blender transform in camera axes."""
    flip = np.diag([*np.sign(BLENDER_FROM_CAMERA), 1.0])
    matrix = flip @ pose @ flip
    matrix[:3, 3] *= abs(BLENDER_FROM_CAMERA[0])
    return Matrix(matrix.tolist())


def _mesh(scene: bpy.types.Scene, name: str, vertices: np.ndarray, faces: np.ndarray) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices.tolist(), [], [[int(i) for i in face if i >= 0] for face in faces])
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    scene.collection.objects.link(bpy.data.objects.new(name, mesh))
    return mesh


def _move(mesh: bpy.types.Mesh, vertices_camera: np.ndarray) -> None:
    mesh.vertices.foreach_set("co", (vertices_camera * BLENDER_FROM_CAMERA).astype(np.float32).ravel())
    mesh.update()
