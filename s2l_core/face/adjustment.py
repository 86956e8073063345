"""Bundle adjustment: the shape of a rigid head, the focal length and the poses that explain its landmarks together.

Poses are parameters (N, 6): rotation vector in radians, then translation in millimetres, of ``camera_from_head``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry.camera import Intrinsics, rotation_matrix, rotation_vector

Array = NDArray[np.float64]

# Residuals beyond this many standard deviations count ever less (Cauchy).
_OUTLIER = 2.5
# Landmark errors hang together: a detector shifts whole parts of a face. However many there are, they tell as much as
# about this many that err on their own (measured: poses jitter by three to four times what independent errors of a
# hundred points would give). It matters only against priors.
_INDEPENDENT = 10.0
# Standard deviation of the logarithm of the focal length about its prior.
_FOCAL_PRIOR = 0.25


@dataclass(frozen=True)
class Scene:
    """What the bundle adjustment finds.

    Attributes:
        shape: (P, 3) rigid points in head axes, millimetres.
        parameters: (N, 6) poses.
        intrinsics: The camera.
        noise: (P,) standard deviation of each landmark along one axis of the image, in pixels.
    """

    shape: Array
    parameters: Array
    intrinsics: Intrinsics
    noise: Array


def weak_perspective_poses(shape: Array, points: Array, intrinsics: Intrinsics) -> Array:
    """First guesses (N, 6) of the poses from a head seen from afar: one linear fit a frame.

    Args:
        shape: (P, 3) in head axes.
        points: (N, P, 2) pixels.
        intrinsics: The camera; its focal length turns size into distance.
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
    """Residuals of N frames with P points, and how they answer to small changes.

    Attributes:
        residual: (N, P, 2) observed minus projected pixels; 0 where a frame has no landmarks.
        by_pose: (N, P, 2, 6) derivatives of the projection by rotation vector and translation.
        by_point: (N, P, 2, 3) by the point in head axes.
        by_focal: (N, P, 2) by the logarithm of the focal length.
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
    """Weights (N, P) of landmarks in a least-squares sum: inverse variances, reduced for outliers and for the errors
    that landmarks share.

    Args:
        residual: (N, P, 2) pixels.
        noise: (P,) standard deviations in pixels.
    """
    squared = np.square(residual).sum(axis=-1) / np.square(noise)
    share = min(1.0, _INDEPENDENT / len(noise))
    return share / (np.square(noise) * (1.0 + squared / (2 * _OUTLIER**2)))


def measure_noise(residual: Array) -> Array:
    """Standard deviations (P,) of landmarks from their residuals (N, P, 2), outliers aside."""
    noise = 1.4826 * np.median(np.abs(residual), axis=(0, 2))
    return np.maximum(noise, 0.5 * np.median(noise) + 1e-6)


def adjust(scene: Scene, points: Array, shape_prior: Array, on_step: Callable[[], None], iterations: int = 30) -> Scene:
    """Refine shape, focal length and poses together by Levenberg-Marquardt steps on robust least squares.

    The head keeps the place, turn and scale in which it comes: its points are drawn to where they start.

    Args:
        scene: Start.
        points: (N, P, 2) landmarks of the keyframes, all found.
        shape_prior: (3,) standard deviations in millimetres by which points may differ from the starting shape
            along the head's axes.
        on_step: Called after each step.
        iterations: Steps at most.
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
    """What shape and focal length are drawn to; ``certainty`` (3,) is the inverse variance along the head's axes."""

    shape: Array
    log_focal: float
    certainty: Array

    def gradient(self, scene: Scene) -> tuple[Array, float]:
        """Pull on the shape (P, 3) and on the logarithm of the focal length."""
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
    """One damped step. The poses are eliminated (Schur complement), so that the system to solve has the size of the
    shape. The focal length changes at constant size in the image: the distances follow it.
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
    """(N, 3, 3) that take a small change of rotation vectors (N, 3) to the rotation it adds in camera axes."""
    angle = np.linalg.norm(vectors, axis=-1)[:, None, None]
    safe = np.maximum(angle, 1e-6)
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    first = np.where(angle < 1e-6, 0.5, (1 - np.cos(safe)) / safe**2)
    second = np.where(angle < 1e-6, 1 / 6, (safe - np.sin(safe)) / safe**3)
    return np.eye(3) + first * skew + second * skew @ skew
