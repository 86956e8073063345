"""The verb ``head``: writes a speaker's head for an animation program, in Blender's axes and metres."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import CannotWrite
from ..events import Report
from ..files import companion, reserved, write_together
from ..geometry.axes import MILLIMETRES, points_to_blender, poses_to_blender
from ..jobs import HeadJob
from ..media.sequence import files_of
from ..results import HeadResult
from ..whole_head.expression import CURVES, expression_curves
from ..whole_head.mesh import head_mesh
from ..whole_head.scene import HeadScene, open_scene

VERSION = 2
"""Version of the file's schema."""


def head(job: HeadJob, report: Report | None = None) -> HeadResult:
    """Write the head as an ``.npz`` file of plain arrays, and the background plate beside it as a PNG.

    =============  ====================  =========================================================================
    version        int                   2
    vertices       float32 (h, w, 3)     head axes; four neighbours that are all in ``mask`` are a face of the mesh
    back           float32 (h, w, 3)     the same grid on the back of the head; both meet at the border
    mask           bool (h, w)           vertices that belong to the head; its border vertices lie on the outline
    confidence     float32 (h, w)        in [0, 1], how well the footage determines the depth
    uv             float32 (h, w, 2)     in the canonical picture, in [0, 1], v up
    times          float64 (n,)          seconds from the start of the medium, of each frame
    found          bool (n,)             whether the frame shows a face; elsewhere pose and curves are interpolated
    poses          float32 (n, 4, 4)     camera_from_head, where the footage's camera has an identity matrix
    intrinsics     float64 (6,)          fx, fy, cx, cy, width, height of the footage's camera in pixels
    curve_names    str (k,)              see :data:`s2l_core.whole_head.expression.CURVES`
    curves         float32 (n, k)        see :func:`s2l_core.whole_head.expression.expression_curves`
    torso_vertices float32 (a, b, 3)     neck and shoulders, in the axes of the footage's camera, which is at the origin
    torso_mask     bool (a, b)           vertices of neck and shoulders, as in ``mask``
    plate_depth    float64               metres in front of the footage's camera at which the plate stands
    directions     float32 (c, 2)        corners of the convex hull of the trusted directions, yaw and pitch in degrees
    margin         float64               degrees around that hull trusted too, see :mod:`s2l_core.geometry.trust`
    =============  ====================  =========================================================================

    Raises:
        CannotWrite: The file name of the plate is taken by a file that is not the plate of an earlier run.
        Speech2LipError: As :func:`s2l_core.whole_head.scene.open_scene`, or a file cannot be used.
    """
    read = (*files_of(job.footage), job.speaker_path, job.landmarks)
    with reserved(job.output_path, *read):
        plate_path = str(companion(Path(job.output_path).with_suffix(""), "_plate.png"))
        with reserved(plate_path, *read):
            _refuse_strange_plate(job.output_path, plate_path)
            return _head(job, plate_path, report or Report())


def _refuse_strange_plate(output_path: str, plate_path: str) -> None:
    """Refuse to overwrite a file at the name of the plate, which the user did not choose."""
    if not os.path.lexists(output_path) and os.path.lexists(plate_path):
        hint = "Move it elsewhere, or choose another output name: the background plate gets this name."
        raise CannotWrite(f"There is already a file {plate_path}.", hint)


def _head(job: HeadJob, plate_path: str, report: Report) -> HeadResult:
    scene = open_scene(job, report)
    arrays = head_arrays(scene, report)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    plate = cv2.imencode(".png", scene.plate.picture[..., ::-1])[1]
    write_together({plate_path: plate.tobytes(), job.output_path: content.getvalue()})
    mask = arrays["mask"]
    return {
        "output_path": job.output_path,
        "plate_path": plate_path,
        "frames": len(arrays["times"]),
        "frames_without_face": int((~arrays["found"]).sum()),
        "vertices": int(mask.sum()),
        "confidence": float(arrays["confidence"][mask].mean()),
        "plate_known_share": float(scene.plate.known.mean()),
    }


def head_arrays(scene: HeadScene, report: Report) -> dict[str, NDArray[Any]]:
    """The arrays of the file, see :func:`head`."""
    mesh, footage, camera = head_mesh(scene.head), scene.footage, scene.footage.track.intrinsics
    return {
        "version": np.array(VERSION),
        "vertices": points_to_blender(mesh.vertices).astype(np.float32),
        "back": points_to_blender(mesh.back).astype(np.float32),
        "mask": mesh.mask,
        "confidence": mesh.confidence,
        "uv": mesh.uv,
        "times": footage.times,
        "found": footage.track.found,
        "poses": poses_to_blender(footage.track.poses).astype(np.float32),
        "intrinsics": np.array([camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height]),
        "curve_names": np.array(CURVES),
        "curves": expression_curves(footage, report),
        "torso_vertices": points_to_blender(scene.torso.points()).astype(np.float32),
        "torso_mask": scene.torso.mask,
        "plate_depth": np.array(scene.plate.depth_mm / MILLIMETRES),
        "directions": scene.region.hull.astype(np.float32),
        "margin": np.array(scene.region.margin),
    }
