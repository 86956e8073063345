"""Pinhole cameras and rigid head poses.

Camera axes are OpenCV's: x to the image right, y down, z forward, in millimetres. A pose is the 4x4 matrix
``camera_from_head``, which transforms head coordinates to camera coordinates. Pixel centres lie at +0.5, so an image of
width W spans 0..W and its centre is W/2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rectangle:
    """A block of whole pixels of an image: columns left..left+width-1, rows top..top+height-1."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths, principal point and image size of a pinhole camera, in pixels."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    @classmethod
    def centred(cls, focal: float, width: int, height: int) -> Intrinsics:
        """A camera with square pixels and its principal point at the centre of the image."""
        return cls(focal, focal, width / 2, height / 2, width, height)

    @property
    def matrix(self) -> Array:
        """The 3x3 matrix K from camera coordinates to homogeneous pixels."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def rectangle(self) -> Rectangle:
        """The whole image."""
        return Rectangle(0, 0, self.width, self.height)

    def scaled(self, factor: float) -> Intrinsics:
        """The camera of the resized image, whose size is rounded to whole pixels."""
        width, height = round(self.width * factor), round(self.height * factor)
        return Intrinsics(self.fx * factor, self.fy * factor, self.cx * factor, self.cy * factor, width, height)

    def cropped(self, rectangle: Rectangle) -> Intrinsics:
        """The camera of a part of the image."""
        cx, cy = self.cx - rectangle.left, self.cy - rectangle.top
        return Intrinsics(self.fx, self.fy, cx, cy, rectangle.width, rectangle.height)

    @property
    def horizontal_field_of_view(self) -> float:
        """Horizontal field of view in degrees."""
        return math.degrees(2 * math.atan(self.width / (2 * self.fx)))


def transform(points: ArrayLike, pose: ArrayLike) -> Array:
    """Transform points float64 (..., P, 3) with poses (..., 4, 4); leading dimensions are broadcast."""
    points, pose = np.asarray(points, np.float64), np.asarray(pose, np.float64)
    return points @ np.swapaxes(pose[..., :3, :3], -1, -2) + pose[..., None, :3, 3]


def project(points: ArrayLike, pose: ArrayLike, intrinsics: Intrinsics) -> Array:
    """Project head points float64 (..., P, 3) with poses ``camera_from_head`` (..., 4, 4) to pixels (..., P, 2)."""
    camera = transform(points, pose)
    focal, centre = np.array([intrinsics.fx, intrinsics.fy]), np.array([intrinsics.cx, intrinsics.cy])
    return camera[..., :2] / camera[..., 2:] * focal + centre


def unproject(pixels: ArrayLike, depth: ArrayLike, intrinsics: Intrinsics) -> Array:
    """Camera coordinates (..., 3) of pixels (..., 2) at depths (...) along the camera's z axis."""
    pixels, depth = np.asarray(pixels, np.float64), np.asarray(depth, np.float64)
    focal, centre = np.array([intrinsics.fx, intrinsics.fy]), np.array([intrinsics.cx, intrinsics.cy])
    return np.concatenate([(pixels - centre) / focal * depth[..., None], depth[..., None]], axis=-1)


def make_pose(rotation_vector: ArrayLike, translation: ArrayLike) -> Array:
    """Poses (..., 4, 4) from rotation vectors (..., 3) in radians and translations (..., 3) in millimetres."""
    rotation_vector, translation = np.asarray(rotation_vector, np.float64), np.asarray(translation, np.float64)
    pose = np.zeros((*rotation_vector.shape[:-1], 4, 4))
    pose[..., :3, :3] = rotation_matrix(rotation_vector)
    pose[..., :3, 3] = translation
    pose[..., 3, 3] = 1.0
    return pose


def invert_pose(pose: ArrayLike) -> Array:
    """The inverses of rigid poses (..., 4, 4)."""
    pose = np.asarray(pose, np.float64)
    inverse = np.zeros_like(pose)
    inverse[..., :3, :3] = np.swapaxes(pose[..., :3, :3], -1, -2)
    inverse[..., :3, 3] = -(inverse[..., :3, :3] @ pose[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def rotation_matrix(rotation_vector: ArrayLike) -> Array:
    """Matrices (..., 3, 3) of rotation vectors (..., 3) in radians."""
    vectors = np.asarray(rotation_vector, np.float64)
    return Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*vectors.shape[:-1], 3, 3)


def rotation_vector(matrix: ArrayLike) -> Array:
    """Rotation vectors (..., 3) in radians of matrices (..., 3, 3)."""
    matrices = np.asarray(matrix, np.float64)
    return Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec().reshape(*matrices.shape[:-2], 3)


def head_angles(pose: ArrayLike) -> Array:
    """Yaw, pitch and roll (..., 3) in degrees of head poses (..., 4, 4).

    The head turns by yaw about its own y axis, is then pitched about x and last rolled about the camera's z axis;
    all are zero in a frontal view. Positive yaw turns the nose to the image left, positive pitch lowers it, positive
    roll leans the head clockwise as the image shows it.
    """
    matrices = np.asarray(pose, np.float64)[..., :3, :3]
    angles = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_euler("ZXY", degrees=True)
    return angles[:, ::-1].reshape(*matrices.shape[:-2], 3)
