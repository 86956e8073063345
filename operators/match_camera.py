"""Match the scene's camera to the camera of a head's footage."""

# Blender declares properties as annotations.
# mypy: disable-error-code="valid-type"

import bpy
from bpy.props import BoolProperty

from ..s2l_blender_addon.head import cameras
from ..s2l_blender_addon.head import scene as head_scene
from ..s2l_core.errors import Speech2LipError
from .base import BaseOperator


class S2L_OT_match_camera(BaseOperator, bpy.types.Operator):
    bl_idname = "s2l.match_camera"
    bl_label = "Match Camera"
    bl_description = "Match the scene's camera to that of the footage, so that the head lies exactly on the footage"
    bl_options = {"REGISTER", "UNDO"}

    resize: BoolProperty(
        name="Set Resolution",
        description="Set the render resolution to that of the footage if their aspect ratios differ",
        default=True,
    )

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        return "Select a head" if head_scene.find(context) is None else ""

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, head = context.scene, head_scene.find(context)
        try:
            view = head_scene.footage_view(head)
            if self.resize and not cameras.has_aspect(scene, view):
                cameras.set_resolution(scene, view)
            camera = _settable_camera(scene)
            cameras.match(scene, camera, view)
        except Speech2LipError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        camera.matrix_world = head_scene.footage_camera_world(head)
        scene.camera = camera
        if cameras.has_aspect(scene, view):
            self.report({"INFO"}, f"Matched the camera {camera.name} to the footage.")
        else:
            frame = cameras.frame_of(scene)
            sizes = f"render {frame.width} x {frame.height}, footage {view.width} x {view.height} pixels"
            self.report({"WARNING"}, f"The camera {camera.name} sees more than the footage: {sizes}.")
        return {"FINISHED"}


def _settable_camera(scene: bpy.types.Scene) -> bpy.types.Object:
    """The scene's camera, or a new one if there is none or if it is moved by a parent, animation or constraint."""
    camera = scene.camera
    if camera is None or camera.type != "CAMERA" or not _is_free(camera):
        camera = bpy.data.objects.new("Head Camera", bpy.data.cameras.new("Head Camera"))
        scene.collection.objects.link(camera)
    elif camera.data.users > 1:
        camera.data = camera.data.copy()
    return camera


def _is_free(camera: bpy.types.Object) -> bool:
    """Whether a camera can be moved and nothing else moves it."""
    moved_by = (camera.parent, camera.animation_data, camera.data.animation_data, *camera.constraints)
    return camera.is_editable and camera.data.is_editable and not any(moved_by)
