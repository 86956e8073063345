"""The ground truth of the rendered clip, as ``truth.npz``. All values are exact: they made the pictures.

============== ===================== =================================================================================
Name           Shape, type           Meaning
============== ===================== =================================================================================
frame_rate     float                 frames per second; frame k shows the time k / frame_rate
intrinsics     (3, 3) float64        pinhole camera in pixels; the centre of the first pixel lies at 0.5
image_size     (2,) int              width, height
pose           (N, 4, 4) float64     camera_from_head, mm; head axes as in :mod:`.head`, camera axes are OpenCV's
angles         (N, 3) float64        yaw, pitch, roll in degrees; ``rotation`` in :mod:`.head` has the convention
gaze           (N, 2) float32        yaw, pitch of the eyes in the head, degrees
weight_names   (E,) str              expression shapes of ICT-FaceKit
weights        (N, E) float32        their weights
viseme         (N,) str              viseme whose phoneme sounds; "rest" in pauses
octant_frame   (8,) int              a frame for each combination of signs of yaw, pitch and roll
depth          (8, H, W) float32     camera z of the head at pixel centres in those frames, mm; 0 off the head
mask           (8, H, W) bool        where the head is seen: skin above the neck, ears, eyes, mouth, cap and hair
============== ===================== =================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from mathutils.bvhtree import BVHTree

from .camera import SIZE, Camera
from .head import Head, transform, triangulate
from .outfit import Outfit
from .people import Person
from .performance import Performance

_RIGID = 0.99  # the neck, which bends, is not part of the head
_DEPTH_STEP = 1.0 / 64.0  # mm; rounding to it makes the file small
_SOLID_PARTS = ("M_Face", "M_BackHead", "M_Teeth", "M_GumsTongue", "M_ScleraLeft", "M_ScleraRight")


def write(path: Path, person: Person, caster: HeadCaster, camera: Camera, performance: Performance) -> None:
    """Write ``truth.npz``."""
    chosen = octant_frames(performance.angles, person.angle_limits)
    depth = np.stack([caster.depth(camera, performance, frame) for frame in chosen])
    names = tuple(performance.weights)
    unfinished = path.with_name(f"unfinished_{path.name}")
    np.savez_compressed(
        unfinished,
        frame_rate=float(person.frame_rate),
        intrinsics=camera.matrix,
        image_size=np.array([SIZE, SIZE]),
        pose=performance.poses,
        angles=performance.angles,
        gaze=performance.gaze.astype(np.float32),
        weight_names=np.array(names),
        weights=np.stack([performance.weights[name] for name in names], axis=1).astype(np.float32),
        viseme=performance.visemes,
        octant_frame=np.array(chosen),
        depth=depth,
        mask=depth > 0.0,
    )
    unfinished.rename(path)


def octant_frames(angles: np.ndarray, limits: Sequence[float]) -> list[int]:
    """For each combination of signs of the angles (N, 3), the frame that is farthest from all its borders, measured in
    the limits (3,) of the angles.
    """
    frames = []
    for signs in product((-1.0, 1.0), repeat=3):
        inside = (angles * signs / limits).min(axis=1)
        frame = int(inside.argmax())
        if inside[frame] <= 0.0:
            raise ValueError(
                f"No frame has the signs {signs} of yaw, pitch and roll; choose another seed of the motion."
            )
        frames.append(frame)
    return frames


class HeadCaster:
    """Casts a ray through each pixel centre at the posed surfaces; exact depth, independent of the renderer."""

    def __init__(self, head: Head, outfit: Outfit) -> None:
        self._head, self._outfit = head, outfit
        self._skin = triangulate(head.faces[head.faces_of(*_SOLID_PARTS)])

    def depth(self, camera: Camera, performance: Performance, frame: int) -> np.ndarray:
        """Depth (H, W) of the head in one frame, mm; 0 where the head is not the nearest surface."""
        tree, is_head = self._tree(performance, frame)
        middle, focal = SIZE / 2.0, camera.focal_length
        depth = np.zeros((SIZE, SIZE), np.float32)
        for row in range(SIZE):
            for column in range(SIZE):
                ray = ((column + 0.5 - middle) / focal, (row + 0.5 - middle) / focal, 1.0)
                hit, _, triangle, _ = tree.ray_cast((0.0, 0.0, 0.0), ray)
                if triangle is not None and is_head[triangle]:
                    depth[row, column] = round(hit.z / _DEPTH_STEP) * _DEPTH_STEP
        return depth

    def _tree(self, performance: Performance, frame: int) -> tuple[BVHTree, np.ndarray]:
        """All surfaces, and which of their triangles belong to the head."""
        pose, shoulders = performance.poses[frame], performance.shoulder_poses[frame]
        expressed, outfit = self._head.express(performance.expression(frame), performance.gaze[frame]), self._outfit
        rigid = (self._head.rigidity[self._skin] > _RIGID).all(axis=1)
        surfaces = [(self._head.place(expressed, pose, shoulders), self._skin, rigid)]

        def add(place: np.ndarray, vertices: np.ndarray, triangles: np.ndarray, of_head: bool) -> None:
            surfaces.append((transform(place, vertices), triangles, np.full(len(triangles), of_head)))

        add(pose, outfit.short_hair.vertices(expressed), triangulate(outfit.short_hair.faces), True)
        if outfit.hair is not None:
            add(pose, *outfit.hair.ribbons(), True)
        for worn in outfit.on_head.values():
            add(pose, worn.surface.vertices, triangulate(worn.surface.faces), True)
        for worn in outfit.on_shoulders.values():
            add(shoulders, worn.surface.vertices, triangulate(worn.surface.faces), False)
        vertices, triangles, of_head = zip(*surfaces, strict=True)
        first = np.cumsum([0, *(len(each) for each in vertices)])
        tree = BVHTree.FromPolygons(
            np.concatenate(vertices).tolist(),
            np.concatenate([each + start for each, start in zip(triangles, first, strict=False)]).tolist(),
            all_triangles=True,
        )
        return tree, np.concatenate(of_head)
