"""The three-dimensional shape of one head from its landmarks in many frames.

Head axes: x to the right of the image, y down, z into the head when the face looks into the camera. The eyes lie
63 mm apart along x, the plane through eyes and mouth corners has constant z, and the origin is the middle of the
rigid points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .adjustment import Scene, linearise, measure_noise, robust_weights
from .layout import LandmarkLayout

Array = NDArray[np.float64]

# A single camera cannot tell a small head nearby from a large one far away; the average adult settles it.
_PUPIL_DISTANCE = 63.0
# Half axes in millimetres of the ellipsoid that stands for a head whose landmarks come without depth.
_ELLIPSOID = np.array([85.0, 125.0, 90.0])


def average_shape(landmarks: Array, layout: LandmarkLayout) -> Array:
    """The typical shape (P, 3) in head axes of landmarks (K, P, 3) in pixels: a median after Procrustes alignment.

    Landmarks whose z is 0 throughout get the depth of an ellipsoid.
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
    """A shape (P, 3) of any size and turn in head axes."""
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
    """The shape of all landmarks once that of the rigid ones is known.

    The points that speech moves follow the rigid ones by an affine map, and are then drawn to where the frames show
    them: their typical place, with the depth of the landmark model where the head turns too little to tell.

    Args:
        scene: Adjusted rigid points with the poses of K keyframes.
        start: (P, 3) the shape that the adjustment started from.
        points: (K, P, 2) all landmarks of the keyframes.
        layout: Which landmark is which.
        shape_prior: (3,) standard deviations in millimetres by which points may differ from the affine map.
        iterations: Gauss-Newton steps.
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
