"""The speaker's head as numbers: ICT-FaceKit geometry, posed and expressed. NumPy only.

Head axes, used by every module of this package and by ``truth.npz``: millimetres, x to the image's right when the head
faces the camera, y down, z away from the camera; the origin lies inside the head, midway between the ears. With the
identity as rotation the head faces the camera. Camera axes are OpenCV's: x right, y down, z forward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MILLIMETRES_FROM_ICT = np.array([10.0, -10.0, -10.0])  # ICT-FaceKit: centimetres, y up, z out of the face

# Vertices of the outer and the inner border of the lips, clockwise in the image from its left corner.
LIPS_OUTER = (5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841)
LIPS_INNER = (5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966)
# Vertices along each brow from the nose to the temple.
BROWS = ((1401, 2044, 1914, 493, 268), (3615, 4240, 4114, 2734, 2509))
CHIN, NOSE_TIP = 966, 4857

_IDENTITY_SPREAD = 0.8
_EYE_RETRACTION = 2.6  # mm; an eyeball sinks in as it blinks, and here the lids' straight path needs the room
_NECK_LENGTH = 52.0


@dataclass(frozen=True)
class Head:
    """One person's head.

    Attributes:
        rest: (V, 3) vertices of the resting face in head axes, mm.
        faces: (F, 4) vertex indices; -1 in the last column marks a triangle.
        face_uv: (F, 4) indices into ``uv``.
        uv: (U, 2) texture coordinates; each part has a unit tile of its own.
        part: (F,) index into ``part_names``.
        part_names: Names of the parts such as ``"M_Face"``.
        shapes: (E, V, 3) displacement of each expression shape at weight 1, mm.
        shape_names: Names of the expression shapes such as ``"jawOpen"``.
        rigidity: (V,) 1 where the neck follows the head, 0 where it follows the shoulders.
    """

    rest: np.ndarray
    faces: np.ndarray
    face_uv: np.ndarray
    uv: np.ndarray
    part: np.ndarray
    part_names: tuple[str, ...]
    shapes: np.ndarray
    shape_names: tuple[str, ...]
    rigidity: np.ndarray

    def faces_of(self, *names: str) -> np.ndarray:
        """Indices of the faces that belong to the named parts."""
        return np.flatnonzero(np.isin(self.part, [self.part_names.index(name) for name in names]))

    def vertices_of(self, *names: str) -> np.ndarray:
        """Indices of the vertices that the named parts use."""
        used = np.unique(self.faces[self.faces_of(*names)])
        return used[used >= 0]

    def express(self, weights: Mapping[str, float], gaze: Sequence[float] | np.ndarray = (0.0, 0.0)) -> np.ndarray:
        """Vertices (V, 3) in head axes for expression weights and a gaze (yaw, pitch) in degrees, mm."""
        vertices = self.rest.copy()
        for name, weight in weights.items():
            if weight:
                vertices += weight * self.shapes[self.shape_names.index(name)]
        turn = rotation(gaze[0], gaze[1], 0.0)
        for side in ("Left", "Right"):
            eye, centre = self.vertices_of(f"M_Sclera{side}"), self.eye_centre(side)
            retraction = _EYE_RETRACTION * min(1.0, 2.5 * weights.get(f"eyeBlink_{side[0]}", 0.0))
            vertices[eye] = (vertices[eye] - centre) @ turn.T + centre + [0.0, 0.0, retraction]
        return vertices

    def eye_centre(self, side: str) -> np.ndarray:
        """Centre (3,) of the ``"Left"`` or ``"Right"`` eyeball at rest: of its sphere, without the bulge in front."""
        ball = self.rest[self.vertices_of(f"M_Sclera{side}")]
        low, high = ball.min(axis=0), ball.max(axis=0)
        return np.array([*(low + high)[:2] / 2.0, high[2] - (high - low)[0] / 2.0])

    def place(
        self, vertices: np.ndarray, camera_from_head: np.ndarray, camera_from_shoulders: np.ndarray
    ) -> np.ndarray:
        """Vertices (V, 3) in camera axes: the head follows one pose, the shoulders another, the neck blends them."""
        with_head, with_shoulders = (transform(pose, vertices) for pose in (camera_from_head, camera_from_shoulders))
        return with_shoulders + self.rigidity[:, None] * (with_head - with_shoulders)


def load_head(path: Path, identity_seed: int) -> Head:
    """The head of a person drawn at random from the model's identity shapes; the same seed gives the same person."""
    with np.load(path, allow_pickle=False) as data:
        identity = np.random.default_rng(identity_seed).normal(0.0, _IDENTITY_SPREAD, len(data["identity"]))
        offset = np.tensordot(identity, data["identity"].astype(np.float64), 1)
        neutral = data["neutral"].astype(np.float64)
        rigidity = _rigidity(neutral * MILLIMETRES_FROM_ICT)
        rest = (neutral + rigidity[:, None] * offset) * MILLIMETRES_FROM_ICT  # shoulders stay, the shirt fits them
        return Head(
            rest=rest,
            faces=data["faces"],
            face_uv=data["face_uv"],
            uv=data["uv"].astype(np.float64),
            part=data["material"],
            part_names=tuple(data["material_names"].tolist()),
            shapes=data["expression"].astype(np.float64) * MILLIMETRES_FROM_ICT,
            shape_names=tuple(data["expression_names"].tolist()),
            rigidity=rigidity,
        )


def _rigidity(rest: np.ndarray) -> np.ndarray:
    chin_height, nape_height = 88.0, 50.0
    slope = (chin_height - nape_height) / 160.0
    below_jaw = rest[:, 1] - (chin_height - slope * (rest[:, 2] + 95.0))
    t = np.clip(below_jaw / _NECK_LENGTH, 0.0, 1.0)
    return 1.0 - t * t * (3.0 - 2.0 * t)


def triangulate(faces: np.ndarray) -> np.ndarray:
    """Triangles (T, 3) of faces (F, 4) whose last index is -1 where they are triangles already."""
    quads = faces[faces[:, 3] >= 0]
    return np.concatenate([faces[:, :3], quads[:, [0, 2, 3]]])


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rotation (3, 3) = Ry(yaw) Rx(pitch) Rz(roll) in OpenCV axes, degrees.

    Positive yaw turns the face to the image's left, positive pitch lowers it and positive roll tilts it clockwise in
    the image.
    """
    (cy, cp, cr), (sy, sp, sr) = (f(np.radians([yaw, pitch, roll])) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def pose_matrix(angles: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """camera_from_head (4, 4) from (yaw, pitch, roll) in degrees and a translation in mm."""
    pose = np.eye(4)
    pose[:3, :3] = rotation(*angles)
    pose[:3, 3] = translation
    return pose


def transform(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (N, 3) mapped by a rigid pose (4, 4)."""
    return points @ pose[:3, :3].T + pose[:3, 3]
