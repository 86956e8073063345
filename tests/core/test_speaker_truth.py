"""The rendered speakers: lips move as lips do, heads stay in range, and the ground truth is consistent."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from demo.speaker import motion, visemes
from demo.speaker.camera import SIZE
from demo.speaker.head import rotation
from demo.speaker.people import EMBEDDED, HAIRED, PEOPLE, Person, folder_of
from demo.speaker.voice import Phoneme
from s2l_core.geometry.camera import head_angles
from s2l_core.jobs import Media
from s2l_core.media.video import read_frames

RATE = 100


@pytest.fixture(scope="module", params=PEOPLE)
def person(request: pytest.FixtureRequest) -> Person:
    return PEOPLE[request.param]


@pytest.fixture(scope="module")
def truth(person: Person) -> dict[str, np.ndarray]:
    with np.load(folder_of(person) / "truth.npz", allow_pickle=False) as data:
        return dict(data)


def say(*names: str, seconds: float = 0.1) -> tuple[Phoneme, ...]:
    """Phonemes of equal length between two pauses of half a second."""
    starts = 0.5 + seconds * np.arange(len(names) + 1)
    spoken = (Phoneme(name, starts[i], starts[i + 1]) for i, name in enumerate(names))
    return (Phoneme("_", 0.0, 0.5), *spoken, Phoneme("_", starts[-1], starts[-1] + 0.5))


def weights_of(phonemes: tuple[Phoneme, ...]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    times = np.arange(0.0, phonemes[-1].end, 1.0 / RATE)
    return times, visemes.speech_weights(phonemes, times)


@pytest.mark.parametrize("bilabial", ["p", "b", "m"])
def test_lips_close_between_open_vowels(bilabial: str) -> None:
    times, weights = weights_of(say("a", bilabial, "a"))
    jaw, close = weights["jawOpen"], weights["mouthClose"]
    during = np.abs(times - 0.64) < 0.02
    assert jaw[during].min() > 0.05  # the jaw need not close
    np.testing.assert_allclose(close[during] / jaw[during], visemes.JAW_UNDONE, rtol=0.02)
    assert weights["mouthLowerDown_L"][during].max() < 0.01
    vowel = np.abs(times - 0.53) < 0.01
    assert close[vowel].max() < 0.3 * jaw[vowel].min()


def test_neighbours_colour_a_consonant() -> None:
    times, beside_oo = weights_of(say("u:", "t", "u:"))
    _, beside_ee = weights_of(say("i:", "t", "i:"))
    middle = np.argmin(np.abs(times - 0.65))
    assert beside_oo["mouthPucker"][middle] > 0.3
    assert beside_ee["mouthPucker"][middle] < 0.05


def test_jaw_never_snaps() -> None:
    _, weights = weights_of(say("a", "t", "i:", "s", "aU", "k", "o@", "S", seconds=0.07))
    for name, curve in weights.items():
        steepest = np.abs(np.diff(curve)).max() * RATE
        assert steepest < (4.0 if name == "jawOpen" else 15.0), name


def test_mouth_rests_in_pauses() -> None:
    times, weights = weights_of(say("aI", "f", "O:"))
    resting = (times < 0.2) | (times > times[-1] - 0.2)
    assert max(curve[resting].max() for curve in weights.values()) < 0.01


def test_unknown_phoneme_is_an_error() -> None:
    with pytest.raises(KeyError, match="xyz"):
        visemes.gestures(say("xyz"))


def test_motion_reaches_and_keeps_its_limits() -> None:
    limits = (12.0, 6.0, 5.0)
    moving = motion.head_motion(1500, 25, 3, limits)
    np.testing.assert_allclose(np.abs(moving.angles).max(axis=0), limits)
    assert (np.abs(moving.places - motion.HEAD_PLACE).max(axis=0) <= motion.SHIFT_LIMITS + 1e-9).all()
    assert np.abs(np.diff(moving.angles, axis=0)).max() * 25 < 20.0  # degrees a second


def test_the_haired_speaker_hardly_turns() -> None:
    with np.load(folder_of(HAIRED) / "truth.npz", allow_pickle=False) as truth:
        yaw, pitch, _ = np.abs(head_angles(truth["pose"])).max(axis=0)
    assert pitch < yaw <= 4.0 + 0.1  # roll, which is applied first here, changes the angles a little


def test_truth_has_a_row_for_each_frame(person: Person, truth: dict[str, np.ndarray]) -> None:
    count = len(truth["pose"])
    assert count >= (60 if person is EMBEDDED else 20) * truth["frame_rate"]
    assert count == sum(1 for _ in read_frames(Media(str(folder_of(person) / f"{person.name}.mp4"))))
    assert truth["weights"].shape == (count, len(truth["weight_names"]))
    assert len(truth["angles"]) == len(truth["gaze"]) == len(truth["viseme"]) == count
    assert set(truth["viseme"]) <= set(visemes.VISEME_NAMES)


def test_truth_poses_are_rigid_and_in_range(person: Person, truth: dict[str, np.ndarray]) -> None:
    turns = truth["pose"][:, :3, :3]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape), atol=1e-12)
    np.testing.assert_allclose(turns, [rotation(*angles) for angles in truth["angles"]], atol=1e-12)
    assert (np.abs(truth["angles"]) <= np.array(person.angle_limits) + 1e-9).all()


def test_truth_weights_are_continuous_and_lips_close(truth: dict[str, np.ndarray]) -> None:
    names = truth["weight_names"].tolist()
    jaw, close = (truth["weights"][:, names.index(name)] for name in ("jawOpen", "mouthClose"))
    assert jaw.min() >= 0.0 and 0.3 < jaw.max() < 0.6
    assert np.abs(np.diff(jaw)).max() * truth["frame_rate"] < 3.75
    closing = (truth["viseme"] == "PP") & (jaw > 0.03)
    assert np.median(close[closing] / jaw[closing]) > 0.9


def test_truth_head_lies_in_every_frame(truth: dict[str, np.ndarray]) -> None:
    head_box = np.array(list(product((-70.0, 70.0), (-120.0, 75.0), (-100.0, 0.0))))
    points = np.einsum("nij,pj->npi", truth["pose"][:, :3, :3], head_box) + truth["pose"][:, None, :3, 3]
    image = points @ truth["intrinsics"].T
    pixels = image[..., :2] / image[..., 2:]
    assert pixels.min() > 0.0 and pixels.max() < SIZE


def test_truth_depth_belongs_to_the_pose(truth: dict[str, np.ndarray]) -> None:
    frames = truth["octant_frame"]
    signs = {tuple(np.sign(truth["angles"][frame])) for frame in frames}
    assert len(signs) == 8
    for frame, depth, mask in zip(frames, truth["depth"], truth["mask"], strict=True):
        np.testing.assert_array_equal(mask, depth > 0.0)
        rows, columns = np.nonzero(mask)
        rays = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], axis=1) @ np.linalg.inv(truth["intrinsics"]).T
        in_camera = rays * depth[mask][:, None]
        pose = truth["pose"][frame]
        in_head = (in_camera - pose[:3, 3]) @ pose[:3, :3]
        assert 0.2 < mask.mean() < 0.6
        assert np.abs(in_head[:, 0]).max() < 110.0
        nose_tip = in_head[in_head[:, 2].argmin()]
        assert abs(nose_tip[0]) < 8.0 and -145.0 < nose_tip[2] < -105.0  # the foremost point, in the middle of the face
