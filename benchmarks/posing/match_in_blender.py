"""Creates a speaker's head and matches the camera in Blender by the add-on's operators, in a separate process.

    python -m benchmarks.posing.match_in_blender EXTENSION SPEAKER CLIP RESULT

The variable ``BLENDER_USER_RESOURCES`` names Blender's user folder, which should be empty. The result is an ``.npz``
file: ``vertices`` (V, 3) of the mesh in its own axes, ``frames`` (n,) of the clip, counted from 0, that have a tracked
pose, and ``pixels_from_mesh`` (n, 3, 4), which take vertices to homogeneous pixels of the matched camera.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from demo.in_blender import install, set_rate
from s2l_core.media.video import probe


def main() -> None:
    extension, speaker, clip, result = sys.argv[1:]
    install(Path(extension))
    scene = bpy.context.scene
    set_rate(scene, probe(clip).rate)
    strips = scene.sequence_editor_create().strips
    scene.sequence_editor.active_strip = strips.new_movie("Footage", clip, channel=1, frame_start=1)
    scene.s2l.dub.speaker_path = speaker
    bpy.ops.s2l.create_head()
    bpy.ops.s2l.match_camera()
    (mesh,) = (item for item in scene.objects if item.type == "MESH" and item.parent is not None)
    vertices = np.empty((len(mesh.data.vertices), 3), np.float32)
    mesh.data.vertices.foreach_get("co", vertices.ravel())
    frames = tracked_frames(mesh.parent)
    matrices = [projection(scene, mesh, frame) for frame in frames]
    np.savez(result, vertices=vertices, frames=np.array(frames) - 1, pixels_from_mesh=np.stack(matrices))


def tracked_frames(head: Any) -> list[int]:
    """Frames of the timeline with a key of the head's pose."""
    return sorted({round(key.co.x) for layer in head.animation_data.action.layers for key in _keys(layer, head)})


def _keys(layer: Any, head: Any) -> list[Any]:
    curves = layer.strips[0].channelbag(head.animation_data.action_slot).fcurves
    return list(next(curve for curve in curves if curve.data_path == "location").keyframe_points)


def projection(scene: Any, mesh: Any, frame: int) -> NDArray[np.float64]:
    """Matrix (3, 4) from vertices to homogeneous pixels, as Blender evaluates mesh and camera in a frame."""
    scene.frame_set(frame)
    evaluated = bpy.context.evaluated_depsgraph_get()
    camera, render = scene.camera.evaluated_get(evaluated), scene.render
    width, height = (side * render.resolution_percentage / 100 for side in (render.resolution_x, render.resolution_y))
    clip_from_camera = camera.calc_matrix_camera(
        evaluated, x=round(width), y=round(height), scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
    )
    clip = np.array(clip_from_camera @ camera.matrix_world.inverted() @ mesh.evaluated_get(evaluated).matrix_world)
    return np.stack([(clip[3] + clip[0]) * width / 2, (clip[3] - clip[1]) * height / 2, clip[3]])


if __name__ == "__main__":
    main()
