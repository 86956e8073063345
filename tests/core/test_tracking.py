"""Poses, focal length and shape of a head from its landmarks."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from s2l_core.errors import NoFace
from s2l_core.face.landmarks import open_detector
from s2l_core.face.layout import IBUG68, MESH468, LandmarkLayout
from s2l_core.face.tracking import find_shots, track_head
from s2l_core.geometry.camera import Intrinsics, head_angles, make_pose, project, transform
from s2l_core.jobs import Media
from s2l_core.media.video import read_frames

CAMERA = Intrinsics.centred(1100.0, 640, 480)
RATE = 25.0
FRAMES = 250
DEMO = Path(__file__).resolve().parents[2] / "demo"


class Talker:
    """A synthetic head seen by ``CAMERA``: smooth motion in two takes, with the landmarks of a layout."""

    def __init__(self, layout: LandmarkLayout, seed: int = 0, noise: float = 0.005) -> None:
        generator = np.random.default_rng(seed)
        self.layout = layout
        self.times = np.arange(FRAMES) / RATE
        self.shots = (np.arange(FRAMES) >= 140).astype(int)
        self.shape = self._head(layout, generator)
        wander = gaussian_filter1d(generator.normal(size=(FRAMES, 6)), 8, axis=0)
        wander *= np.array([0.06, 0.12, 0.05, 12, 8, 12]) / wander.std(axis=0)
        wander[self.shots == 1] += [0.05, -0.1, 0.03, 20, -10, 25]
        self.see(make_pose(wander[:, :3], wander[:, 3:] + [0, 0, 650]), noise)

    def see(self, poses: np.ndarray, noise: float) -> None:
        """Landmarks of the head in other poses; noise as a share of the distance between the eyes."""
        generator = np.random.default_rng(1)
        self.poses = poses
        self.eye_distance = 63 * 1100 / 650
        depth = transform(self.shape, poses)[..., 2:] * 1100 / 650
        self.landmarks = np.concatenate([project(self.shape, poses, CAMERA), depth], axis=-1)
        self.landmarks += generator.normal(size=self.landmarks.shape) * noise * self.eye_distance

    @staticmethod
    def _head(layout: LandmarkLayout, generator: np.random.Generator) -> np.ndarray:
        """An ellipsoid with a nose, whose named landmarks are where a face has them."""
        x, y = generator.uniform(-60, 60, layout.count), generator.uniform(-60, 80, layout.count)
        x[layout.eye_corners], y[layout.eye_corners] = [-46, -17, 17, 46], [0, 1, 1, 0]
        x[layout.mouth_corners], y[layout.mouth_corners] = [-26, 26], 70
        x[layout.chin], y[layout.chin] = 0, 110
        nose = 25 * np.exp(-(x**2) / 200 - (y - 40) ** 2 / 400)
        shape = np.stack([x, y, -90 * np.sqrt(1 - (x / 85) ** 2 - (y / 125) ** 2) - nose], axis=-1)
        shape[layout.eye_corners, 2] = shape[layout.mouth_corners, 2] = shape[layout.eye_corners, 2].mean()
        return shape - shape[layout.rigid].mean(axis=0)

    def track(self, landmarks: np.ndarray | None = None):
        landmarks = self.landmarks if landmarks is None else landmarks
        return track_head(landmarks, self.times, self.shots, self.layout, CAMERA.width, CAMERA.height)


def rotation_errors(poses: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Degrees (N,) between two tracks of one head, whose axes in the head may differ by a constant rotation."""
    offset = Rotation.from_matrix(truth[:, :3, :3].transpose(0, 2, 1) @ poses[:, :3, :3]).mean()
    difference = Rotation.from_matrix(poses[:, :3, :3]) * offset.inv() * Rotation.from_matrix(truth[:, :3, :3]).inv()
    return np.degrees(difference.magnitude())


def jitter(poses: np.ndarray, shots: np.ndarray) -> float:
    """Root mean square second difference of yaw, pitch and roll inside shots, degrees."""
    return float(np.sqrt(np.square(np.diff(head_angles(poses), 2, axis=0)[shots[2:] == shots[:-2]]).mean()))


@pytest.mark.parametrize("noise", [0.003, 0.006])
def test_poses_of_a_synthetic_head_are_found_and_smooth(noise):
    talker = Talker(MESH468, noise=noise)
    track = talker.track()
    assert rotation_errors(track.poses, talker.poses).mean() < 0.9
    assert jitter(track.poses, talker.shots) < 1.5 * jitter(talker.poses, talker.shots)
    assert np.nanmedian(track.residual_px) < 2 * noise * talker.eye_distance
    assert np.abs(head_angles(track.poses).mean(axis=0) - head_angles(talker.poses).mean(axis=0)).max() < 2.5
    assert np.abs(track.shape - talker.shape).mean() < 3


def test_landmarks_without_depth_are_enough():
    talker = Talker(IBUG68)
    talker.landmarks[..., 2] = 0
    track = talker.track()
    assert rotation_errors(track.poses, talker.poses).mean() < 1.5
    assert jitter(track.poses, talker.shots) < 2 * jitter(talker.poses, talker.shots)


def test_gaps_and_wrong_detections_are_bridged():
    talker = Talker(MESH468)
    landmarks = talker.landmarks.copy()
    landmarks[40:46] = np.nan
    landmarks[:3] = np.nan
    landmarks[200] += [80.0, -30.0, 0.0]
    wandering = MESH468.rigid[::10]
    landmarks[:, wandering, :2] += np.random.default_rng(1).normal(size=(FRAMES, len(wandering), 2)) * 15
    track = talker.track(landmarks)
    assert not track.found[40:46].any() and track.found.sum() == FRAMES - 9
    assert np.isnan(track.residual_px[40:46]).all() and np.isfinite(track.poses).all()
    errors = rotation_errors(track.poses, talker.poses)
    assert errors.mean() < 1.0 and errors[[42, 200]].max() < 2.5
    assert np.linalg.norm(track.poses[200, :2, 3] - track.poses[198, :2, 3]) < 5


def test_a_quick_nod_in_a_calm_clip_is_kept():
    talker = Talker(MESH468)
    nod = np.zeros((FRAMES, 3))
    nod[120:132, 0] = np.radians(12) * np.sin(np.linspace(0, np.pi, 12))
    talker.see(make_pose(nod, np.tile([0.0, 0.0, 650.0], (FRAMES, 1))), noise=0.005)
    errors = rotation_errors(talker.track().poses, talker.poses)
    assert errors.mean() < 0.4 and errors.max() < 5


def test_poses_are_not_smoothed_across_a_cut():
    talker = Talker(MESH468)
    track = talker.track()
    seen = track.poses[[139, 140], :3, 3] / track.intrinsics.fx
    expected = talker.poses[[139, 140], :3, 3] / CAMERA.fx
    np.testing.assert_allclose(np.diff(seen[:, :2], axis=0), np.diff(expected[:, :2], axis=0), atol=1e-3)


def test_cuts_are_found_where_the_head_jumps_and_nowhere_else():
    talker = Talker(MESH468)
    np.testing.assert_array_equal(find_shots(talker.landmarks, MESH468), talker.shots)
    talker.landmarks[50:55] = np.nan
    np.testing.assert_array_equal(find_shots(talker.landmarks, MESH468), talker.shots)


def test_one_frame_is_a_track():
    talker = Talker(MESH468)
    track = track_head(talker.landmarks[:1], talker.times[:1], np.zeros(1, int), MESH468, CAMERA.width, CAMERA.height)
    assert np.abs(project(track.shape, track.poses, track.intrinsics) - talker.landmarks[:1, :, :2]).mean() < 3
    assert find_shots(talker.landmarks[:1], MESH468).tolist() == [0]


def test_footage_without_any_face_is_refused():
    with pytest.raises(NoFace):
        track_head(np.full((5, 468, 3), np.nan), np.arange(5) / RATE, np.zeros(5, int), MESH468, 640, 480)


@pytest.mark.skipif(not (DEMO / "truth.npz").is_file(), reason="needs demo/truth.npz, made by demo/make_speaker.py")
@pytest.mark.skipif(not (DEMO / "speaker.mp4").is_file(), reason="needs demo/speaker.mp4, made by demo/make_speaker.py")
def test_the_embedded_speaker_is_tracked_as_it_was_posed():
    truth = np.load(DEMO / "truth.npz")
    width, height = truth["image_size"].tolist()
    detector = open_detector("bundled")
    frames = [(frame.time, detector.detect(frame.image)) for frame in read_frames(Media(str(DEMO / "speaker.mp4")))]
    times = np.array([time for time, _ in frames])
    missing = np.full((detector.layout.count, 3), np.nan)
    landmarks = np.stack([face.points if face else missing for _, face in frames])
    posed = truth["pose"][np.round(times * truth["frame_rate"]).astype(int)]

    shots = find_shots(landmarks, detector.layout)
    track = track_head(landmarks, times, shots, detector.layout, width, height)

    assert not shots.any()
    assert rotation_errors(track.poses, posed).mean() <= 1.5
    assert jitter(track.poses, shots) <= 2 * jitter(posed, shots)


def test_the_track_of_a_long_clip_is_computed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    talker = Talker(MESH468)
    whole = talker.track(), find_shots(talker.landmarks, MESH468)
    monkeypatch.setattr("s2l_core.face.blocks._FRAMES", 7)
    np.testing.assert_allclose(talker.track().poses, whole[0].poses, rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(find_shots(talker.landmarks, MESH468), whole[1])
