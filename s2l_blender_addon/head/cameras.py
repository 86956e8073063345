"""Blender's cameras as pinhole cameras, and back.

Blender's camera looks along its -z axis, with y up and in metres; the engine's looks along its z axis, with y down
(OpenCV's axes) and in millimetres.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import bpy
from mathutils import Matrix

from ...s2l_core.errors import BadJob
from ...s2l_core.jobs import CameraView

MILLIMETRES = 1000.0
ASPECT_TOLERANCE = 1e-4
_FLIP = Matrix.Diagonal((1.0, -1.0, -1.0, 1.0))  # converts between Blender's axes and OpenCV's in both directions
_KINDS = {"ORTHO": "orthographic", "PANO": "panoramic", "CUSTOM": "custom"}


class Frame(NamedTuple):
    """The picture that a scene renders: width and height in pixels, and the height of a pixel divided by its width."""

    width: int
    height: int
    pixel_aspect: float


class Sensor(NamedTuple):
    """The reference of a focal length: the fitted side of the sensor, and of the picture in widths of a pixel."""

    millimetres: float
    pixels: float


def frame_of(scene: bpy.types.Scene) -> Frame:
    """The picture that a scene renders, with its resolution percentage."""
    render = scene.render
    width, height = (side * render.resolution_percentage // 100 for side in (render.resolution_x, render.resolution_y))
    return Frame(width, height, render.pixel_aspect_y / render.pixel_aspect_x)


def view_of(scene: bpy.types.Scene, camera: bpy.types.Object) -> CameraView:
    """The pinhole camera of a camera object, which must be evaluated if it is animated, for the scene's resolution.

    Raises:
        BadJob: It is not a perspective camera, or the resolution is zero.
    """
    data = camera.data
    if data.type != "PERSP":
        raise BadJob(
            f"The camera {camera.name} is {_KINDS.get(data.type, data.type.lower())}.",
            "Choose Perspective as its type, or use Match Camera.",
        )
    frame = frame_of(scene)
    sensor = _sensor(data, frame)
    focal = data.lens * sensor.pixels / sensor.millimetres
    return CameraView(
        fx=focal,
        fy=focal / frame.pixel_aspect,
        cx=frame.width / 2 - data.shift_x * sensor.pixels,
        cy=frame.height / 2 + data.shift_y * sensor.pixels / frame.pixel_aspect,
        width=frame.width,
        height=frame.height,
    )


def match(scene: bpy.types.Scene, camera: bpy.types.Object, view: CameraView) -> None:
    """Give a camera object the pinhole camera ``view``, whatever its sensor: the inverse of :func:`view_of`.

    A render with another aspect ratio than the view shows the whole view in its middle.

    Raises:
        BadJob: The resolution of the scene is zero.
    """
    frame = frame_of(scene)
    if not (frame.width and frame.height):
        raise BadJob(f"The render resolution is {frame.width} x {frame.height} pixels.", "Increase the resolution.")
    match_frame(camera.data, frame, view)


def match_frame(data: bpy.types.Camera, frame: Frame, view: CameraView) -> None:
    """As :func:`match`, for any picture."""
    across = min(frame.width / view.width, frame.height / view.height * frame.pixel_aspect * view.fy / view.fx)
    down = across * view.fx / (view.fy * frame.pixel_aspect)  # pixels of the picture per pixel of the view
    data.type = "PERSP"
    sensor = _sensor(data, frame)
    data.lens = across * view.fx * sensor.millimetres / sensor.pixels
    data.shift_x = across * (view.width / 2 - view.cx) / sensor.pixels
    data.shift_y = down * (view.cy - view.height / 2) * frame.pixel_aspect / sensor.pixels


def unit_frame(view: CameraView) -> Frame:
    """A picture of a single pixel with the aspect ratio of a view."""
    return Frame(1, 1, (view.fx / view.width) / (view.fy / view.height))


def has_aspect(scene: bpy.types.Scene, view: CameraView) -> bool:
    """Whether the scene's picture has the aspect ratio of a view."""
    frame = frame_of(scene)
    wanted = view.width / view.height * view.fy / view.fx  # the focal lengths give the shape of the pixels
    return math.isclose(frame.width, frame.height * frame.pixel_aspect * wanted, rel_tol=ASPECT_TOLERANCE)


def set_resolution(scene: bpy.types.Scene, view: CameraView) -> None:
    """Set the render resolution and pixel aspect to those of a view."""
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = view.width, view.height, 100
    render.pixel_aspect_x, render.pixel_aspect_y = max(view.fy / view.fx, 1.0), max(view.fx / view.fy, 1.0)


def camera_from_head(camera_world: Matrix, head_world: Matrix) -> tuple[float, ...]:
    """The pose of a head relative to a camera, from the world matrices of both.

    A uniformly scaled head looks like a head of the original size that is nearer or farther.

    Returns:
        16 numbers: a rigid 4x4 matrix row by row, OpenCV's axes, millimetres.

    Raises:
        BadJob: The scale of the head is zero.
    """
    location, rotation, scale = (camera_world.normalized().inverted() @ head_world).decompose()
    size = sum(map(abs, scale)) / 3
    if size == 0.0:
        raise BadJob("The scale of the head is zero.", "Clear the scale of its Empty with Alt S.")
    pose = _FLIP @ Matrix.LocRotScale(location * MILLIMETRES / size, rotation, None) @ _FLIP
    return tuple(value for row in pose for value in row)


def _sensor(data: bpy.types.Camera, frame: Frame) -> Sensor:
    tall = frame.pixel_aspect * frame.height
    is_wide = frame.width >= tall if data.sensor_fit == "AUTO" else data.sensor_fit == "HORIZONTAL"
    millimetres = data.sensor_height if data.sensor_fit == "VERTICAL" else data.sensor_width
    return Sensor(millimetres, frame.width if is_wide else tall)
