"""Poses of all frames of a clip, solved together with a prior on how fast a head changes its motion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from scipy.ndimage import median_filter
from scipy.sparse import csr_array

from .adjustment import Scene, linearise, robust_weights, weak_perspective_poses

Array = NDArray[np.float64]

# Root mean square acceleration of a talking head at 25 frames a second: rad/s² of the rotation vector and mm/s². This
# alone says how smooth the poses become.
_ACCELERATION = np.array([*np.radians([75.0, 75.0, 75.0]), 125.0, 125.0, 125.0])
_FRAME = 1 / 25
# How far a head may stray, in radians and millimetres, from the straight way between the frames that show it.
_STRAY = np.array([*np.radians([20.0, 20.0, 20.0]), 200.0, 200.0, 200.0])
# Frames whose equations are set up at a time; bounds the memory that long footage takes.
_CHUNK = 1000
# Poses that differ from those of their neighbours are guessed anew from the median over this many frames.
_MEDIAN = 5


def solve_poses(scene: Scene, points: Array, times: Array, shots: NDArray[np.integer], iterations: int = 10) -> Array:
    """Poses (N, 6) of a head of known shape in every frame, as rotation vectors and translations.

    Gauss-Newton on robust reprojection errors plus the squared acceleration of the pose, integrated over each shot.
    As the acceleration joins three frames, the normal equations are banded and their solution takes time
    proportional to N. Frames without a face are bridged.

    Args:
        scene: Shape, camera and noise of the rigid points; its poses are not used.
        points: (N, P, 2) landmarks in pixels, with NaN in frames without a face, which may not be all.
        times: (N,) seconds, increasing.
        shots: (N,) shot of each frame.
        iterations: Steps.
    """
    found = np.isfinite(points).all(axis=(1, 2))
    guess = _guess(scene, points, found, times, shots)
    differences = _second_differences(times, shots)
    stiffness = (differences.T @ differences).tocsr()
    smoothness = 1 / np.square(_ACCELERATION)
    held = np.where(found, 0.0, 1.0)[:, None] / np.square(_STRAY)

    parameters = guess.copy()
    for _ in range(iterations):
        blocks, right = _normal_equations(scene, parameters, points, found)
        blocks[:, range(6), range(6)] += held
        right += held * (guess - parameters) - (stiffness @ parameters) * smoothness
        parameters += _solve_banded(blocks, stiffness, smoothness, right)
    return parameters


def _guess(scene: Scene, points: Array, found: NDArray[np.bool_], times: Array, shots: NDArray[np.integer]) -> Array:
    """Poses frame by frame, without lone outliers and with gaps bridged by straight lines inside each shot."""
    seen = np.flatnonzero(found)
    poses = weak_perspective_poses(scene.shape, points[seen], scene.intrinsics)
    guess = np.empty((len(points), 6))
    for shot in np.unique(shots):
        frames = np.flatnonzero(shots == shot)
        inside = np.flatnonzero(shots[seen] == shot)
        if len(inside) == 0:
            inside = np.array([np.abs(seen - frames[0]).argmin()])
        steady = median_filter(poses[inside], size=(_MEDIAN, 1), mode="nearest")
        for column in range(6):
            guess[frames, column] = np.interp(times[frames], times[seen[inside]], steady[:, column])
    return guess


def _second_differences(times: Array, shots: NDArray[np.integer]) -> csr_array:
    """(M, N) that takes a quantity in every frame to its acceleration at the inner frames of all shots, each weighted
    by the root of the time that it stands for.
    """
    before, after = np.diff(times)[:-1], np.diff(times)[1:]
    before, after = np.maximum(before, 1e-3), np.maximum(after, 1e-3)
    rows = np.flatnonzero(shots[:-2] == shots[2:])
    values = np.stack([2 / (before * (before + after)), -2 / (before * after), 2 / (after * (before + after))], axis=-1)
    values *= np.sqrt((before + after) / (2 * _FRAME))[:, None]
    number = np.repeat(np.arange(len(rows)), 3)
    columns = (rows[:, None] + np.arange(3)).ravel()
    return csr_array((values[rows].ravel(), (number, columns)), shape=(len(rows), len(times)))


def _normal_equations(scene: Scene, parameters: Array, points: Array, found: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Blocks (N, 6, 6) and right-hand sides (N, 6) of the reprojection errors; 0 without a face."""
    blocks, right = np.zeros((len(points), 6, 6)), np.zeros((len(points), 6))
    seen = np.flatnonzero(found)
    for frames in np.array_split(seen, -(-len(seen) // _CHUNK)):
        at = linearise(scene.shape, parameters[frames], points[frames], scene.intrinsics)
        weights = robust_weights(at.residual, scene.noise)
        by_pose = at.by_pose.reshape(len(frames), -1, 6)
        weighted = by_pose.transpose(0, 2, 1) * np.repeat(weights, 2, axis=1)[:, None]
        blocks[frames] = weighted @ by_pose
        right[frames] = (weighted @ at.residual.reshape(len(frames), -1, 1))[..., 0]
    return blocks, right


def _solve_banded(blocks: Array, stiffness: csr_array, smoothness: Array, right: Array) -> Array:
    """Solve (blocks + stiffness x diag(smoothness)) step = right for steps (N, 6)."""
    count, band = len(blocks), 17
    upper = np.zeros((band + 1, count, 6))
    for row in range(6):
        for column in range(row, 6):
            upper[band + row - column, :, column] = blocks[:, row, column]
    for apart in range(min(3, count)):
        upper[band - 6 * apart, apart:] += stiffness.diagonal(apart)[:, None] * smoothness
    return solveh_banded(upper.reshape(band + 1, -1), right.ravel()).reshape(count, 6)
