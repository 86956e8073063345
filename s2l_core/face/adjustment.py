"""Bundle adjustment of the shape of a rigid head, the focal length and the poses, from landmarks in many frames.

Poses are parameters (N, 6): rotation vector in radians, then translation in millimetres, of ``camera_from_head``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry.camera import Intrinsics, rotation_matrix, rotation_vector

Array = NDArray[np.float64]

# Residuals beyond this many standard deviations get less and less weight (Cauchy).
_OUTLIER = 2.5
# Landmark errors are correlated: a detector shifts whole parts of a face. Any number of landmarks has the information
# of about this many with independent errors (measured: poses jitter three to four times as much as with independent
# errors of a hundred points). This matters only relative to priors.
_INDEPENDENT = 10.0
# Standard deviation of the prior of the logarithm of the focal length.
_FOCAL_PRIOR = 0.25


@dataclass(frozen=True)
class Scene:
    """Variables of the bundle adjustment.

    Attributes:
        shape: float64 (P, 3) rigid points in head axes, in millimetres.
        parameters: float64 (N, 6) poses.
        intrinsics: The camera.
        noise: float64 (P,) standard deviation of each landmark along one axis of the image, in pixels.
    """

    shape: Array
    parameters: Array
    intrinsics: Intrinsics
    noise: Array


def weak_perspective_poses(shape: Array, points: Array, intrinsics: Intrinsics) -> Array:
    """Initial poses (N, 6) under weak perspective: one linear fit for each frame.

    Args:
        shape: float64 (P, 3) points in head axes, in millimetres.
        points: float64 (N, P, 2) landmarks in pixels.
        intrinsics: The camera; its focal length relates size and distance.
    """
    middle = shape.mean(axis=0)
    rows = np.linalg.pinv(shape - middle) @ (points - points.mean(axis=1, keepdims=True))
    left, size, right = np.linalg.svd(rows.transpose(0, 2, 1), full_matrices=False)
    first_rows = left @ right
    rotation = np.concatenate([first_rows, np.cross(first_rows[:, :1], first_rows[:, 1:])], axis=1)
    distance = intrinsics.fx / size.mean(axis=1)
    offset = (points.mean(axis=1) - [intrinsics.cx, intrinsics.cy]) / intrinsics.fx * distance[:, None]
    translation = np.concatenate([offset, distance[:, None]], axis=1) - rotation @ middle
    return np.concatenate([rotation_vector(rotation), translation], axis=1)


@dataclass(frozen=True)
class Linearisation:
    """Residuals of N frames with P points, and derivatives of the projection.

    Attributes:
        residual: float64 (N, P, 2) observed minus projected pixels; 0 for frames without landmarks.
        by_pose: float64 (N, P, 2, 6) derivatives with respect to rotation vector and translation.
        by_point: float64 (N, P, 2, 3) derivatives with respect to the point in head axes.
        by_focal: float64 (N, P, 2) derivatives with respect to the logarithm of the focal length.
    """

    residual: Array
    by_pose: Array
    by_point: Array
    by_focal: Array


def linearise(shape: Array, parameters: Array, points: Array, intrinsics: Intrinsics) -> Linearisation:
    """Project a shape (P, 3) with poses (N, 6) and compare it with landmarks (N, P, 2)."""
    rotation = rotation_matrix(parameters[:, :3])
    turned = shape @ rotation.transpose(0, 2, 1)
    x, y, z = np.moveaxis(turned + parameters[:, None, 3:], -1, 0)
    by_focal = np.stack([intrinsics.fx * x / z, intrinsics.fy * y / z], axis=-1)
    residual = points - (by_focal + [intrinsics.cx, intrinsics.cy])
    zero = np.zeros_like(z)
    by_camera_point = np.stack(
        [
            np.stack([intrinsics.fx / z, zero, -by_focal[..., 0] / z], axis=-1),
            np.stack([zero, intrinsics.fy / z, -by_focal[..., 1] / z], axis=-1),
        ],
        axis=-2,
    )
    by_rotation = np.cross(turned[:, :, None, :], by_camera_point) @ _left_jacobian(parameters[:, :3])[:, None]
    return Linearisation(
        residual=residual,
        by_pose=np.concatenate([by_rotation, by_camera_point], axis=-1),
        by_point=by_camera_point @ rotation[:, None],
        by_focal=by_focal,
    )


def robust_weights(residual: Array, noise: Array) -> Array:
    """Weights (N, P) of landmarks in a least-squares sum: inverse variances, reduced for outliers and for correlated
    errors.

    Args:
        residual: float64 (N, P, 2) in pixels.
        noise: float64 (P,) standard deviations in pixels.
    """
    squared = np.square(residual).sum(axis=-1) / np.square(noise)
    share = min(1.0, _INDEPENDENT / len(noise))
    return share / (np.square(noise) * (1.0 + squared / (2 * _OUTLIER**2)))


def measure_noise(residual: Array) -> Array:
    """Robust standard deviations (P,) of landmarks from their residuals (N, P, 2)."""
    noise = 1.4826 * np.median(np.abs(residual), axis=(0, 2))
    return np.maximum(noise, 0.5 * np.median(noise) + 1e-6)


def adjust(scene: Scene, points: Array, shape_prior: Array, on_step: Callable[[], None], iterations: int = 30) -> Scene:
    """Refine shape, focal length and poses jointly by Levenberg-Marquardt steps on robust least squares.

    A prior on the points keeps the head near its initial position, rotation and scale.

    Args:
        scene: Initial values.
        points: float64 (N, P, 2) landmarks of the keyframes in pixels, without NaN.
        shape_prior: float64 (3,) standard deviations in millimetres of points from the initial shape, along the head's
            axes. Larger values let the landmarks determine more of the shape.
        on_step: Called after each step.
        iterations: Maximum number of steps.
    """
    prior = _Prior(scene.shape, np.log(scene.intrinsics.fx), 1 / np.square(shape_prior))
    damping, cost = 1e-3, _cost(scene, points, prior)
    for _ in range(iterations):
        candidate = _step(scene, points, prior, damping)
        candidate_cost = _cost(candidate, points, prior)
        on_step()
        if candidate_cost < cost:
            settled = cost - candidate_cost < 1e-5 * cost
            scene, cost, damping = candidate, candidate_cost, damping / 5
            if settled:
                break
        else:
            damping *= 8
    return scene


@dataclass(frozen=True)
class _Prior:
    """Prior of shape and focal length; ``certainty`` (3,) is the inverse variance along the head's axes."""

    shape: Array
    log_focal: float
    certainty: Array

    def gradient(self, scene: Scene) -> tuple[Array, float]:
        """Gradient with respect to the shape (P, 3) and to the logarithm of the focal length."""
        focal = (self.log_focal - np.log(scene.intrinsics.fx)) / _FOCAL_PRIOR**2
        return (self.shape - scene.shape) * self.certainty, float(focal)


def _cost(scene: Scene, points: Array, prior: _Prior) -> float:
    residual = linearise(scene.shape, scene.parameters, points, scene.intrinsics).residual
    squared = np.square(residual).sum(axis=-1) / np.square(scene.noise)
    share = min(1.0, _INDEPENDENT / len(scene.noise))
    data = share * (2 * _OUTLIER**2 * np.log1p(squared / (2 * _OUTLIER**2))).sum()
    shape_pull, focal_pull = prior.gradient(scene)
    return float(data + (shape_pull**2 / prior.certainty).sum() + (focal_pull * _FOCAL_PRIOR) ** 2)


def _step(scene: Scene, points: Array, prior: _Prior, damping: float) -> Scene:
    """One damped step. The poses are eliminated (Schur complement), so that the linear system has the size of the
    shape. Distances change with the focal length, so that the size in the image is constant.
    """
    count = len(scene.shape)
    at = linearise(scene.shape, scene.parameters, points, scene.intrinsics)
    root = np.sqrt(robust_weights(at.residual, scene.noise))[..., None]
    residual, by_pose, by_point = at.residual * root, at.by_pose * root[..., None], at.by_point * root[..., None]
    by_zoom = (at.by_focal + (at.by_pose[..., 3:] @ scene.parameters[:, None, 3:, None])[..., 0]) * root

    pose_block = np.einsum("npai,npaj->nij", by_pose, by_pose)
    pose_block += damping * pose_block * np.eye(6)
    pose_right = np.einsum("npai,npa->ni", by_pose, residual)
    coupling = np.concatenate(
        [
            np.einsum("npai,npaj->nipj", by_pose, by_point).reshape(len(points), 6, 3 * count),
            np.einsum("npai,npa->ni", by_pose, by_zoom)[..., None],
        ],
        axis=-1,
    )

    shape_pull, focal_pull = prior.gradient(scene)
    system = np.diag(np.append(np.tile(prior.certainty, count), 1 / _FOCAL_PRIOR**2))
    point_blocks = system[:-1, :-1].reshape(count, 3, count, 3)
    each = np.arange(count)
    point_blocks[each, :, each, :] += np.einsum("npai,npaj->pij", by_point, by_point)
    system[:-1, -1] = system[-1, :-1] = np.einsum("npai,npa->pi", by_point, by_zoom).ravel()
    system[-1, -1] += np.square(by_zoom).sum()
    system += damping * np.diag(np.diag(system))
    shape_right = np.einsum("npai,npa->pi", by_point, residual) + shape_pull
    right = np.append(shape_right.ravel(), (by_zoom * residual).sum() + focal_pull)

    eliminated = np.linalg.solve(pose_block, np.concatenate([coupling, pose_right[..., None]], axis=-1))
    from_scene, from_pose = eliminated[..., :-1], eliminated[..., -1]
    coupling = coupling.reshape(-1, 3 * count + 1)
    system -= coupling.T @ from_scene.reshape(coupling.shape)
    right -= coupling.T @ from_pose.ravel()
    step = np.linalg.solve(system, right)

    zoomed = np.exp(np.clip(step[-1], -0.2, 0.2))
    parameters = scene.parameters + from_pose - from_scene @ step
    parameters[:, 3:] *= zoomed
    intrinsics = Intrinsics.centred(scene.intrinsics.fx * zoomed, scene.intrinsics.width, scene.intrinsics.height)
    return Scene(scene.shape + step[:-1].reshape(-1, 3), parameters, intrinsics, scene.noise)


def _left_jacobian(vectors: Array) -> Array:
    """Matrices (N, 3, 3) from small changes of rotation vectors (N, 3) to the added rotations in camera axes."""
    angle = np.linalg.norm(vectors, axis=-1)[:, None, None]
    safe = np.maximum(angle, 1e-6)
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    first = np.where(angle < 1e-6, 0.5, (1 - np.cos(safe)) / safe**2)
    second = np.where(angle < 1e-6, 1 / 6, (safe - np.sin(safe)) / safe**3)
    return np.eye(3) + first * skew + second * skew @ skew
