"""The face in a picture that is to speak: which one, its landmarks, and how the head is turned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import BadJob, FaceTooSmall, FaceTurnedAway, NoFace, SeveralFaces
from ..face.adjustment import weak_perspective_poses
from ..face.detector import ChosenFace, Face
from ..face.head_shape import average_shape
from ..face.landmarks import open_detector
from ..face.layout import MESH468
from ..face.mesh_detector import MeshDetector, region_of
from ..geometry.camera import Intrinsics, head_angles, make_pose, rotation_matrix
from ..jobs import Media

Array = NDArray[np.float64]

SMALLEST_FACE = 40
"""Width in pixels of a face from which a mouth has enough pixels to open."""
MOST_YAW, DOUBTFUL_YAW = 35.0, 20.0
"""Degrees to the side from which a face is refused, and from which it will look bad."""
_DOMINANT = 1.5
"""Ratio of the size of the largest face to that of the next from which it needs no choice."""
_REPETITIONS = 3
"""How often the landmarks are found again in the region that they define, which settles them."""


@dataclass(frozen=True)
class Portrait:
    """A face in a picture, seen under weak perspective.

    Attributes:
        points: float64 (468, 2) landmarks in pixels of the picture with square pixels.
        shape: float64 (468, 3) the same landmarks in head axes, see :mod:`s2l_core.face.head_shape`, in millimetres.
        image_from_head: float64 (2, 3), pixels by which a point of the picture moves with each millimetre of the head.
        angles: float64 (3,) yaw, pitch and roll in degrees, see :func:`s2l_core.geometry.camera.head_angles`.
    """

    points: Array
    shape: Array
    image_from_head: Array
    angles: Array

    @property
    def width(self) -> float:
        """Width of the face in pixels."""
        return float(np.ptp(self.points[:, 0]))

    @cached_property
    def mouth_width_mm(self) -> float:
        """Distance of the corners of the mouth in millimetres."""
        left, right = self.shape[MESH468.mouth_corners]
        return float(np.linalg.norm(right - left))


def find_portrait(image: NDArray[np.uint8], picture: Media, landmarks: str, device: str) -> Portrait:
    """Find the face that is to speak: the one at ``picture.face``, or else the only one, or the much largest one.

    Args:
        image: uint8 (H, W, 3) RGB.
        picture: Where the image comes from, for messages, and the choice of a face.
        landmarks: Landmark back-end, see :func:`s2l_core.face.landmarks.open_detector`.
        device: Device of the back-end.

    Raises:
        NoFace: The picture shows no face, or none at that position.
        SeveralFaces: The picture shows several faces, and none is chosen.
        FaceTooSmall: The face has too few pixels.
        FaceTurnedAway: The face is turned to the side.
        BadJob: The landmark model does not have 468 points.
        LandmarksUnavailable: The back-end cannot be used.
    """
    detector = open_detector(landmarks, device)
    if not isinstance(detector, MeshDetector):
        raise BadJob("A picture needs landmarks with 468 points.", "Use 'bundled' or the path of a .task file.")
    face = _choose(detector.detect_all(image), image, picture)
    for _ in range(_REPETITIONS):
        detector.follow(face.points)
        face = detector.track(image) or face
    portrait = _portrait_of(face, *image.shape[1::-1])
    if portrait.width < SMALLEST_FACE:
        size = f"{portrait.width:.0f} pixels"
        raise FaceTooSmall(f"The face in {picture.path} is {size} wide; at least {SMALLEST_FACE} are needed.")
    if abs(portrait.angles[0]) > MOST_YAW:
        turn = f"{abs(portrait.angles[0]):.0f} degrees"
        raise FaceTurnedAway(f"The face in {picture.path} is turned {turn} to the side.")
    return portrait


def _choose(faces: list[Face], image: NDArray[np.uint8], picture: Media) -> Face:
    if not faces:
        raise NoFace(f"{picture.path} shows no face.", "Choose a picture that shows a face, turned to the camera.")
    regions = [region_of(face.points) for face in faces]
    sizes = np.array([region.face_side for region in regions])
    if picture.face:
        place = picture.face[0] * image.shape[1], picture.face[1] * image.shape[0]
        number = ChosenFace(place).nearest(np.array([[region.x, region.y] for region in regions]), sizes)
        if number is None:
            raise NoFace(f"{picture.path} shows no face at that position.", "Choose the position of a face.")
        return faces[number]
    order = np.argsort(-sizes)
    if len(faces) > 1 and sizes[order[0]] < _DOMINANT * sizes[order[1]]:
        width, height = image.shape[1::-1]
        places = ", ".join(f"({regions[k].x / width:.2f}, {regions[k].y / height:.2f})" for k in order[:4])
        raise SeveralFaces(f"{picture.path} shows {len(faces)} faces, at {places}.")
    return faces[order[0]]


def _portrait_of(face: Face, width: int, height: int) -> Portrait:
    points = face.points.astype(np.float64)
    shape = average_shape(points[None], MESH468)
    camera = Intrinsics.centred(10.0 * max(width, height), width, height)
    rigid = MESH468.rigid
    pose = weak_perspective_poses(shape[rigid], points[None, rigid, :2], camera)[0]
    rotation, size = rotation_matrix(pose[:3]), camera.fx / pose[5]
    angles = head_angles(make_pose(pose[:3], pose[3:]))
    return Portrait(points[:, :2], shape, size * rotation[:2], angles)
