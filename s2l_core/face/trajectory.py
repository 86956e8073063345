"""Joint estimation of the poses in all frames of a clip, with a prior on the acceleration of the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from scipy.ndimage import maximum_filter, median_filter
from scipy.sparse import csr_array

from ..geometry.camera import make_pose, project
from .adjustment import Scene, linearise, robust_weights, weak_perspective_poses
from .blocks import in_blocks

Array = NDArray[np.float64]

# Root mean square accelerations of a head, in rad/s² of the rotation vector and mm/s². They are measured in each clip
# over a third of a second, and limited to plausible bounds; a clip too short for that has the usual ones.
_STILL = np.array([np.radians(3.0), 3.0])
_WILD = np.array([np.radians(1000.0), 2000.0])
_USUAL = np.array([np.radians(75.0), 125.0])
_SPAN = 1 / 3
# Share of the measured acceleration that is real. Rotations are visible in the image only by their parallax, so errors
# of landmarks caused by speech look like rotations.
_SHARE = np.array([0.5, 1.0])
# A quick nod in a calm clip must not be smoothed out: if the prior moves the landmarks by more than this share of the
# face's width for as long as the span above, it is relaxed, repeatedly if necessary. Landmarks that jump move back
# sooner.
_STRAIN = 0.01
_LOOSENING = 4.0
_ROUNDS = 3
# Duration of a frame in seconds for the weight of the prior, whatever the frame rate.
_FRAME = 1 / 25
# Largest deviation, in radians and millimetres, from linear interpolation between the frames that show the head.
_STRAY = np.array([*np.radians([20.0, 20.0, 20.0]), 200.0, 200.0, 200.0])
# Number of frames whose equations are set up at a time, which limits memory.
_CHUNK = 1000
# Initial poses that differ from their neighbours are replaced by the median over this many frames.
_MEDIAN = 5


def solve_poses(
    scene: Scene,
    points: Array,
    times: Array,
    shots: NDArray[np.integer],
    on_step: Callable[[], None],
    acceleration: Array | None = None,
    iterations: int = 6,
) -> tuple[Array, Array]:
    """Poses of a head of known shape in each frame, as rotation vectors and translations, and its acceleration.

    Gauss-Newton on robust reprojection errors plus the squared acceleration of the pose, integrated over each shot.
    Since the acceleration depends on three frames, the normal equations are banded, and solving them takes time
    proportional to N. Poses in frames without a face are interpolated. The strength of the prior depends on the
    acceleration of the head; if it is unknown, it is measured in poses that are computed with a very weak prior.

    Args:
        scene: Shape, camera and noise of the rigid points; its poses are not used.
        points: float64 (N, P, 2) landmarks in pixels, NaN in frames without a face; at least one frame must have one.
        times: float64 (N,) times of the frames in seconds, increasing.
        shots: int (N,) number of the shot of each frame.
        on_step: Called after each step.
        acceleration: float64 (2,) root mean square acceleration of the head in rad/s² and mm/s², if it is known. Larger
            values make the track less smooth.
        iterations: Number of steps.

    Returns:
        Parameters float64 (N, 6) and root mean square acceleration float64 (2,).
    """
    found = np.isfinite(points).all(axis=(1, 2))
    guess = _guess(scene, points, found, times, shots)
    clip = _Clip(scene, points, times, shots, found, guess, on_step)
    loose = clip.solve(guess, np.broadcast_to(_WILD, (len(points), 2)), iterations)
    if acceleration is None:
        acceleration = _measure_acceleration(loose, found, times, shots)
    everywhere = np.broadcast_to(acceleration, (len(points), 2))
    parameters = clip.solve(loose, everywhere, iterations)
    span = _frames(_SPAN, times)
    for _ in range(_ROUNDS):
        strained = median_filter(clip.strain(parameters, loose), size=span + 1) > _STRAIN
        if not strained.any():
            break
        around = maximum_filter(strained, size=2 * span + 1)
        everywhere = np.where(around[:, None], np.minimum(_LOOSENING * everywhere, _WILD), everywhere)
        parameters = clip.solve(loose, everywhere, iterations)
    return parameters, acceleration


@dataclass(frozen=True)
class _Clip:
    scene: Scene
    points: Array
    times: Array
    shots: NDArray[np.integer]
    found: NDArray[np.bool_]
    guess: Array
    on_step: Callable[[], None]

    def solve(self, start: Array, acceleration: Array, iterations: int) -> Array:
        """Poses (N, 6) with a prior of root mean square accelerations (N, 2), rotational and linear."""
        turns, shifts = (self._stiffness(column) for column in acceleration.T)
        held = np.where(self.found, 0.0, 1.0)[:, None] / np.square(_STRAY)
        parameters = start.copy()
        for _ in range(iterations):
            blocks, right = _normal_equations(self.scene, parameters, self.points, self.found)
            blocks[:, range(6), range(6)] += held
            right += held * (self.guess - parameters)
            right -= np.concatenate([turns @ parameters[:, :3], shifts @ parameters[:, 3:]], axis=1)
            parameters += _solve_banded(blocks, turns, shifts, right)
            self.on_step()
        return parameters

    def strain(self, first: Array, second: Array) -> Array:
        """Distance (N,) of the landmarks in two sets of poses, relative to the face's width; 0 without a face."""
        shape, camera = self.scene.shape, self.scene.intrinsics

        def distances(*both: Array) -> Array:
            pixels = [project(shape, make_pose(poses[:, :3], poses[:, 3:]), camera) for poses in both]
            return np.asarray(np.sqrt(np.square(pixels[0] - pixels[1]).sum(axis=-1).mean(axis=-1)))

        distance = in_blocks(distances, first, second)
        return self.found * distance * second[:, 5] / (camera.fx * np.ptp(shape[:, 0]))

    def _stiffness(self, acceleration: Array) -> csr_array:
        """(N, N) second derivative of half the squared accelerations of one quantity, in units of the prior's (N,)."""
        differences = _second_differences(self.times, self.shots, acceleration)
        return differences.T @ differences


def _measure_acceleration(
    parameters: Array, found: NDArray[np.bool_], times: Array, shots: NDArray[np.integer]
) -> Array:
    """Root mean square accelerations (2,) of a head, rotational and linear, from noisy poses.

    White noise of variance s² gives second differences a variance of 6 s², and a covariance of -4 s² with their
    neighbours, for any span over which they are taken, while those of a smooth motion grow with the square of the span:
    short spans measure the noise, long ones the motion. The three angles have a common value; and so have distance,
    which is much noisier, and position in the image.
    """
    span = _frames(_SPAN, times)
    near, near_good = _differences_over(parameters, 1, found, shots)
    far, far_good = _differences_over(parameters, span, found, shots)
    pairs = near_good[1:] & near_good[:-1]
    if min(pairs.sum(), far_good.sum()) < 30:
        return _USUAL
    variance = np.square(near[near_good]).mean(axis=0)
    noise = np.maximum(variance - (near[1:] * near[:-1])[pairs].mean(axis=0), 0.0) / 10
    seconds = np.median(times[2 * span :] - times[: -2 * span]) / 2
    motion = np.maximum(np.square(far[far_good]).mean(axis=0) - 6 * noise, 0.0)
    measured = np.sqrt([motion[:3].mean(), motion[3:5].mean()]) / seconds**2
    return np.clip(_SHARE * measured, _STILL, _WILD)


def _frames(seconds: float, times: Array) -> int:
    """Approximate number of frames in a duration, at least one."""
    return max(1, round(seconds / np.median(np.diff(times)))) if len(times) > 1 else 1


def _differences_over(
    values: Array, span: int, found: NDArray[np.bool_], shots: NDArray[np.integer]
) -> tuple[Array, NDArray[np.bool_]]:
    """Second differences (M, 6) over a span of frames, and whether they are within a shot and not outliers."""
    ends, starts = slice(2 * span, None), slice(None, -2 * span)
    difference = values[ends] - 2 * values[span:-span] + values[starts]
    good = (shots[ends] == shots[starts]) & found[ends] & found[span:-span] & found[starts]
    usual = np.median(np.abs(difference[good]), axis=0) if good.any() else np.zeros(6)
    return difference, good & (np.abs(difference) <= 10 * usual).all(axis=1)


def _guess(scene: Scene, points: Array, found: NDArray[np.bool_], times: Array, shots: NDArray[np.integer]) -> Array:
    """Poses of individual frames, without isolated outliers, and interpolated linearly within each shot."""
    seen = np.flatnonzero(found)
    poses = in_blocks(lambda some: weak_perspective_poses(scene.shape, points[some], scene.intrinsics), seen)
    guess = np.empty((len(points), 6))
    starts = np.flatnonzero(np.diff(shots, prepend=shots[0] - 1))
    for first, end in zip(starts, np.append(starts[1:], len(points)), strict=True):
        frames = np.arange(first, end)
        inside = np.arange(*np.searchsorted(seen, [first, end]))
        if len(inside) == 0:
            inside = np.array([np.abs(seen - frames[0]).argmin()])
        steady = median_filter(poses[inside], size=(_MEDIAN, 1), mode="nearest")
        for column in range(6):
            guess[frames, column] = np.interp(times[frames], times[seen[inside]], steady[:, column])
    return guess


def _second_differences(times: Array, shots: NDArray[np.integer], unit: Array) -> csr_array:
    """Matrix (M, N) from a quantity in each frame to its acceleration at the inner frames of all shots, in units (N,),
    weighted by the square root of the duration of the frame.
    """
    before, after = np.diff(times)[:-1], np.diff(times)[1:]
    before, after = np.maximum(before, 1e-3), np.maximum(after, 1e-3)
    values = np.stack([2 / (before * (before + after)), -2 / (before * after), 2 / (after * (before + after))], axis=-1)
    values *= (np.sqrt((before + after) / (2 * _FRAME)) / unit[1:-1])[:, None]
    rows = np.flatnonzero(shots[:-2] == shots[2:])
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


def _solve_banded(blocks: Array, turns: csr_array, shifts: csr_array, right: Array) -> Array:
    """Solve for steps (N, 6), with blocks (N, 6, 6) plus the stiffness (N, N) of rotations and translations."""
    count, band = len(blocks), 17
    upper = np.zeros((band + 1, count, 6))
    for row in range(6):
        for column in range(row, 6):
            upper[band + row - column, :, column] = blocks[:, row, column]
    for apart in range(min(3, count)):
        for stiffness, columns in ((turns, slice(0, 3)), (shifts, slice(3, 6))):
            upper[band - 6 * apart, apart:, columns] += stiffness.diagonal(apart)[:, None]
    return solveh_banded(upper.reshape(band + 1, -1), right.ravel()).reshape(count, 6)
