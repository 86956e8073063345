"""The three-dimensional shape of a head, from its landmarks in many frames.

Head axes: for a face that looks into the camera, x points to the right of the image, y down and z into the head. The
eyes are 63 mm apart along x, the plane through eyes and mouth corners has constant z, and the origin is the mean of the
rigid points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .adjustment import Scene, linearise, measure_noise, robust_weights
from .layout import LandmarkLayout

Array = NDArray[np.float64]

# A single camera cannot distinguish a small head nearby from a large one far away, so an average size is assumed.
_PUPIL_DISTANCE = 63.0
# Semi-axes in millimetres of the ellipsoid that models a head if landmarks have no depth.
_ELLIPSOID = np.array([85.0, 125.0, 90.0])


def average_shape(landmarks: Array, layout: LandmarkLayout) -> Array:
    """Typical shape float64 (P, 3) in head axes of landmarks (K, P, 3) in pixels: a median after Procrustes alignment.

    Landmarks without depth, whose z is always 0, get the depth of an ellipsoid.
    """
    centred = landmarks - landmarks[:, layout.rigid].mean(axis=1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=(1, 2), keepdims=True)
    shape = centred[0]
    for _ in range(5):
        left, _, right = np.linalg.svd(centred[:, layout.rigid].transpose(0, 2, 1) @ shape[layout.rigid])
        left[..., 2] *= np.linalg.det(left @ right)[:, None]
        turned = centred @ (left @ right)
        size = (turned * shape).sum(axis=(1, 2)) / np.square(turned).sum(axis=(1, 2))
        shape = np.median(turned * size[:, None, None], axis=0)
    shape = in_head_axes(shape, layout)
    if not landmarks[..., 2].any():
        across, down, deep = _ELLIPSOID
        distance = np.square(shape[:, 0] / across) + np.square(shape[:, 1] / down)
        shape[:, 2] = -deep * np.sqrt(np.maximum(0.0, 1.0 - distance))
        shape = in_head_axes(shape, layout)
    return shape


def in_head_axes(shape: Array, layout: LandmarkLayout) -> Array:
    """Transform a shape float64 (P, 3) of any size and orientation to head axes."""
    first, second = np.split(shape[layout.eye_corners], 2)
    left, right = first.mean(axis=0), second.mean(axis=0)
    across = (right - left) / np.linalg.norm(right - left)
    down = shape[layout.mouth_corners].mean(axis=0) - (left + right) / 2
    down -= down @ across * across
    down /= np.linalg.norm(down)
    axes = np.stack([across, down, np.cross(across, down)])
    scale = _PUPIL_DISTANCE / np.linalg.norm(right - left)
    return (shape - shape[layout.rigid].mean(axis=0)) @ axes.T * scale


def complete_shape(
    scene: Scene, start: Array, points: Array, layout: LandmarkLayout, shape_prior: Array, iterations: int = 8
) -> Array:
    """Shape float64 (P, 3) of all landmarks, given that of the rigid ones.

    The other points are mapped affinely like the rigid ones, and then fitted to the frames with a prior: to their
    typical position, with the depth of the landmark model if the head does not turn enough to measure it.

    Args:
        scene: Adjusted rigid points, with the poses of K keyframes.
        start: float64 (P, 3) initial shape of the adjustment.
        points: float64 (K, P, 2) all landmarks of the keyframes in pixels.
        layout: Layout of the landmarks.
        shape_prior: float64 (3,) standard deviations in millimetres of points from the affine map, along the head's
            axes. Larger values let the landmarks determine more of the shape.
        iterations: Number of Gauss-Newton steps.
    """
    homogeneous = np.concatenate([start, np.ones((len(start), 1))], axis=1)
    expected = homogeneous @ np.linalg.lstsq(homogeneous[layout.rigid], scene.shape, rcond=None)[0]
    shape = expected.copy()
    for _ in range(iterations):
        at = linearise(shape, scene.parameters, points, scene.intrinsics)
        weights = robust_weights(at.residual, measure_noise(at.residual))
        pull = (expected - shape) / np.square(shape_prior)
        system = np.einsum("npai,np,npaj->pij", at.by_point, weights, at.by_point) + np.diag(1 / np.square(shape_prior))
        right = np.einsum("npai,np,npa->pi", at.by_point, weights, at.residual) + pull
        shape += np.linalg.solve(system, right[..., None])[..., 0]
    shape[layout.rigid] = scene.shape
    return shape
