"""Head tracking: the pose of the head in each frame, its shape, and the focal length of the camera."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, median_filter

from ..errors import NoFace
from ..events import Report
from ..geometry.camera import Intrinsics, head_angles, make_pose, project
from ..subsampling import farthest_points
from .adjustment import Scene, adjust, linearise, measure_noise, weak_perspective_poses
from .blocks import in_blocks
from .head_shape import average_shape, complete_shape, in_head_axes
from .layout import LandmarkLayout
from .trajectory import solve_poses

Array = NDArray[np.float64]

_KEYFRAMES = 150
# Typical number of steps, for the progress.
_STEPS = 90
# Field of view of the longer side of the image in degrees, before it is fitted.
_FIELD_OF_VIEW = 30.0
# Distance in millimetres of a head that is never seen.
_FAR = 1000.0
# Standard deviations of points from their positions in the landmark model, in millimetres along the head's axes; and
# for models without depth, where the head starts as an ellipsoid.
_SHAPE_PRIOR = np.array([1.5, 1.5, 1.0])
_FLAT_SHAPE_PRIOR = np.array([5.0, 5.0, 15.0])
# Standard deviations for a head whose shape is known.
_KNOWN_SHAPE_PRIOR = np.full(3, 1e-3)
# At a cut, the face jumps by at least this share of the distance between the eyes, ...
_JUMP = 0.025
# ... and by at least this factor of its median motion in this many surrounding frames.
_JUMP_RATIO = 8.0
_SURROUNDINGS = 17


@dataclass(frozen=True)
class HeadTrack:
    """Track of a head through N frames, in the axes of :mod:`s2l_core.face.head_shape`: a frontal face has the identity
    rotation.

    Attributes:
        poses: float64 (N, 4, 4) camera_from_head in millimetres, interpolated in frames without a face.
        intrinsics: The camera, with its principal point at the centre of the image.
        shape: float64 (P, 3) landmarks in head axes, in millimetres; those that speech moves are at their typical
            position.
        residual_px: float64 (N,) root mean square reprojection error of the rigid landmarks in pixels; NaN without a
            face.
        found: bool (N,) whether the frame shows the face.
        shots: int64 (N,) number of the shot of each frame.
        noise_px: float64 (R,) standard deviation of each rigid landmark along one axis of the image, in pixels.
        acceleration: float64 (2,) root mean square acceleration of the head, rotational in rad/s² and linear in mm/s².
    """

    poses: Array
    intrinsics: Intrinsics
    shape: Array
    residual_px: Array
    found: NDArray[np.bool_]
    shots: NDArray[np.int64]
    noise_px: Array
    acceleration: Array

    def part(self, frames: slice) -> HeadTrack:
        """The track in a range of frames."""
        per_frame = {name: getattr(self, name)[frames] for name in ("poses", "residual_px", "found", "shots")}
        return replace(self, **per_frame)


@dataclass(frozen=True)
class KnownHead:
    """Parameters of a head that was tracked before, for consistent tracking in other footage.

    Attributes:
        shape: float64 (P, 3) landmarks in head axes, in millimetres.
        noise_px: float64 (R,) noise in its file, see :class:`HeadTrack`.
        acceleration: float64 (2,) acceleration in its file, see :class:`HeadTrack`.
        intrinsics: The camera of its file.
        file: Fingerprint of the file in which it was tracked.
    """

    shape: Array
    noise_px: Array
    acceleration: Array
    intrinsics: Intrinsics
    file: str


def no_head(count: int, layout: LandmarkLayout, width: int, height: int) -> HeadTrack:
    """Track for ``count`` frames without a face: a head at rest in front of the camera."""
    pose = make_pose(np.zeros(3), np.array([0.0, 0.0, _FAR]))
    return HeadTrack(
        poses=np.repeat(pose[None], count, axis=0),
        intrinsics=_usual_camera(width, height),
        shape=np.zeros((layout.count, 3)),
        residual_px=np.full(count, np.nan),
        found=np.zeros(count, dtype=bool),
        shots=np.zeros(count, np.int64),
        noise_px=np.zeros(len(layout.rigid)),
        acceleration=np.zeros(2),
    )


def track_head(
    landmarks: NDArray[np.floating],
    times: Array,
    shots: NDArray[np.integer],
    layout: LandmarkLayout,
    width: int,
    height: int,
    report: Report | None = None,
    known: KnownHead | None = None,
    same_file: bool = False,
) -> HeadTrack:
    """Fit one rigid head and one camera to the landmarks of a clip.

    The shape of the rigid points, the focal length and the poses of up to 150 keyframes are adjusted jointly. Then the
    poses of all frames are computed with constant shape and camera, and a prior for smooth motion within a shot. For a
    known head, only the focal length and the poses are fitted; in the file in which it was tracked, only the poses, so
    that any span of the file is tracked consistently.

    Args:
        landmarks: float (N, P, 3) landmarks in pixels, NaN in frames without a face.
        times: float64 (N,) times of the frames in seconds, increasing.
        shots: int (N,) number of the shot of each frame, see :func:`find_shots`.
        layout: Layout of the landmarks.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        report: Receives the progress of the phase ``"Track head"``.
        known: Parameters of the head, if it was tracked before with the same layout.
        same_file: Whether the known head was tracked in the file of these landmarks.

    Raises:
        NoFace: No frame shows a face.
    """
    report = report or Report()
    steps = itertools.count(1)

    def tell() -> None:
        report.progress("Track head", min(next(steps), _STEPS), _STEPS)

    found = np.isfinite(landmarks).all(axis=(1, 2))
    rigid_points = np.asarray(landmarks[:, layout.rigid, :2], np.float64)
    if not found.any():
        raise NoFace("No frame of the footage shows a face.")
    acceleration = None
    if known is None:
        scene, shape = _fit_head(landmarks, rigid_points, np.flatnonzero(found), layout, width, height, tell)
    else:
        shape = known.shape
        scene = Scene(shape[layout.rigid], np.empty((0, 6)), known.intrinsics, known.noise_px)
        if same_file:
            acceleration = known.acceleration
        else:
            seen = np.flatnonzero(found)
            keyframes = rigid_points[seen[_evenly(len(seen))]]
            scene = _adjust(scene.shape, keyframes, _KNOWN_SHAPE_PRIOR, _usual_camera(width, height), tell)

    scene = replace(scene, shape=shape[layout.rigid])
    parameters, acceleration = solve_poses(scene, rigid_points, times, shots, tell, acceleration)
    poses = make_pose(parameters[:, :3], parameters[:, 3:])
    residual = in_blocks(
        lambda points, poses: _residual(points, project(shape[layout.rigid], poses, scene.intrinsics)),
        rigid_points,
        poses,
    )
    report.progress("Track head", _STEPS, _STEPS)
    return HeadTrack(
        poses, scene.intrinsics, shape, residual, found, np.asarray(shots, np.int64), scene.noise, acceleration
    )


def find_shots(landmarks: NDArray[np.floating], layout: LandmarkLayout) -> NDArray[np.int64]:
    """Number the shots of a clip from 0: a shot begins at a frame in which the face jumps.

    Consecutive takes of one person often differ only in the position of the head, so landmarks detect a cut better than
    the pictures do. Only jumps between neighbouring frames count; a face that is lost and found again elsewhere has
    moved.

    Args:
        landmarks: float (N, P, 3) landmarks in pixels, NaN in frames without a face.
        layout: Layout of the landmarks.

    Returns:
        int64 (N,) number of the shot of each frame.
    """
    if len(landmarks) < 2:
        return np.zeros(len(landmarks), np.int64)
    motion = np.nan_to_num(in_blocks(partial(_motion, layout), landmarks[:-1], landmarks[1:]))
    usual = median_filter(motion, size=_SURROUNDINGS)
    # After a cut, a detector that follows the face may need a second frame to find it, hence the maximum.
    cuts = (motion > _JUMP) & (motion > _JUMP_RATIO * usual) & (motion == maximum_filter(motion, size=_SURROUNDINGS))
    return np.concatenate([[0], np.cumsum(cuts)])


def _motion(layout: LandmarkLayout, before: NDArray[np.floating], after: NDArray[np.floating]) -> Array:
    """Motion (n,) of faces between landmarks (n, P, 3) of two neighbouring frames, as a share of the distance between
    the eyes.
    """
    first, second = np.asarray(before[..., :2], np.float64), np.asarray(after[..., :2], np.float64)
    eyes = second[:, layout.eye_corners].reshape(-1, 2, 2, 2).mean(axis=2)
    scale = np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=-1)
    return np.asarray(np.median(np.linalg.norm(second - first, axis=-1), axis=-1) / scale)


def _residual(points: Array, projected: Array) -> Array:
    """Root mean square distance (n,) between landmarks (n, P, 2) and their projections."""
    return np.asarray(np.sqrt(np.square(points - projected).sum(axis=-1).mean(axis=-1)))


def _fit_head(
    landmarks: NDArray[np.floating],
    rigid_points: Array,
    seen: NDArray[np.int64],
    layout: LandmarkLayout,
    width: int,
    height: int,
    tell: Callable[[], None],
) -> tuple[Scene, Array]:
    """Camera and noise, and the shape (P, 3), of an unknown head, from its landmarks (N, P, 3) in the frames ``seen``.
    ``rigid_points`` (N, R, 2) are the rigid ones.
    """
    start = average_shape(np.asarray(landmarks[seen[_evenly(len(seen))]], np.float64), layout)
    shape_prior = _SHAPE_PRIOR if landmarks[seen, :, 2].any() else _FLAT_SHAPE_PRIOR
    intrinsics = _usual_camera(width, height)
    chosen = seen[_spread(start[layout.rigid], rigid_points[seen], intrinsics)]
    keyframes = np.asarray(landmarks[chosen, :, :2], np.float64)
    scene = _adjust(start[layout.rigid], keyframes[:, layout.rigid], shape_prior, intrinsics, tell)
    return scene, in_head_axes(complete_shape(scene, start, keyframes, layout, shape_prior), layout)


def _usual_camera(width: int, height: int) -> Intrinsics:
    """Initial camera."""
    return Intrinsics.centred(max(width, height) / (2 * np.tan(np.radians(_FIELD_OF_VIEW / 2))), width, height)


def _evenly(count: int) -> NDArray[np.int64]:
    """As :func:`s2l_core.subsampling.evenly_spaced`, but rounded down: other frames would change every head's track."""
    return np.unique(np.linspace(0, count - 1, _KEYFRAMES).astype(np.int64))


def _spread(shape: Array, points: Array, intrinsics: Intrinsics) -> NDArray[np.int64]:
    """Frames in which the head is turned as differently as possible, ascending.

    The tenth of the frames that fits a rigid head worst is left out, since a wrong detection is far from everything.
    """
    parameters = in_blocks(lambda part: weak_perspective_poses(shape, part, intrinsics), points)
    misfit = in_blocks(
        lambda poses, part: np.square(linearise(shape, poses, part, intrinsics).residual).mean(axis=(1, 2)),
        parameters,
        points,
    )
    candidates = np.flatnonzero(misfit <= np.quantile(misfit, 0.9))
    angles = head_angles(make_pose(parameters[candidates, :3], parameters[candidates, 3:]))
    return candidates[np.sort(farthest_points(angles, _KEYFRAMES))]


def _adjust(
    shape: Array, points: Array, shape_prior: Array, intrinsics: Intrinsics, on_step: Callable[[], None]
) -> Scene:
    """Bundle adjustment of the rigid points: first with a common noise level, then with that of each point."""
    poses = weak_perspective_poses(shape, points, intrinsics)
    noise = measure_noise(linearise(shape, poses, points, intrinsics).residual)
    scene = adjust(Scene(shape, poses, intrinsics, np.full(len(shape), np.median(noise))), points, shape_prior, on_step)
    residual = linearise(scene.shape, scene.parameters, points, scene.intrinsics).residual
    return adjust(replace(scene, noise=measure_noise(residual)), points, shape_prior, on_step)
