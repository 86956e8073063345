"""Learning the motion of lips: what ``demo/make_lip_motion.py`` and its benchmark are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from benchmarks.glancing.motion import landmark_distance
from demo.lip_motion import network, regression
from demo.lip_motion.recordings import Recording
from demo.lip_motion.regression import Study, symmetric
from demo.lip_motion.viseme_shapes import offsets_of
from s2l_core.events import Report
from s2l_core.speech.features import SAMPLE_RATE
from s2l_core.speech.sources import SpeechSource
from s2l_core.stills.lip_motion import LipMotion
from s2l_core.stills.lip_shape import LIPS, POINTS, opening_of, width_of

BANDS, SECONDS, LOWER = 100, 60, [11, 13, 15, 17, 19, 31, 33, 35, 36, 37, 39, LIPS]
RIGHT = [10, 30]
"""The right corner of the mouth."""
HEAD = Path("../shared/data/models/ict_facekit.npz")


class Told(SpeechSource):
    """Features that were made up, whatever is heard."""

    name, silence = "told", np.zeros(BANDS, np.float32)

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows

    def pieces(
        self, speech: np.ndarray, gain: float | np.float32 = 1.0, report: Report | None = None
    ) -> Iterator[np.ndarray]:
        yield self._rows


def speak(person: str, seed: int, depth: float) -> tuple[Recording, np.ndarray]:
    """A recording whose lower lip is moved by the first of many bands, and its features."""
    random = np.random.default_rng(seed)
    rows = gaussian_filter1d(random.normal(size=(100 * SECONDS + 1, BANDS)), 4.0, axis=0).astype(np.float32)
    offsets = np.zeros((25 * SECONDS, len(POINTS), 2), np.float32)
    offsets[:, LOWER, 1] = depth * (0.1 + rows[: 100 * SECONDS : 4, :1])
    speech = random.normal(0, 0.1, SECONDS * SAMPLE_RATE).astype(np.float32)
    return Recording(person, person, speech, np.arange(25 * SECONDS) / 25.0, offsets, True), rows


@pytest.fixture(autouse=True)
def _brief_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_STEPS", 200)


def test_lips_follow_what_was_learnt_from_others() -> None:
    heard = [speak("anna", 0, 1.0)]
    for seed in range(1, 6):  # a network needs more examples than it has inputs
        heard += [speak("bert", seed, 1.0), speak("carl", seed + 10, -1.0)]
    recordings, features = zip(*heard, strict=True)
    study = Study(recordings, features)
    wanted = recordings[0]
    learnt = study.fit({"anna", "carl"})
    assert learnt.motions.shape == (6, len(POINTS), 2)
    motion = LipMotion(Told(features[0]), learnt)
    made, true = opening_of(motion.offsets(wanted.speech, wanted.times)), opening_of(wanted.offsets)
    assert np.corrcoef(made, np.maximum(true, 0.0))[0, 1] > 0.9
    other = LipMotion(Told(features[0]), study.fit({"anna", "bert"}))
    assert np.corrcoef(opening_of(other.offsets(wanted.speech, wanted.times)), true)[0, 1] < -0.5


def test_the_same_recordings_teach_the_same() -> None:
    recording, rows = speak("anna", 1, 1.0)
    study = Study([recording], [rows])
    first, second = (asdict(study.fit()) for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_opening_and_width_vary_as_much_as_those_of_others_each_by_its_own_factor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recording, rows = speak("anna", 1, 1.0)
    recording.offsets[:, RIGHT, 0] = 0.2 * rows[: 100 * SECONDS : 4, 1:2] - 0.3 * recording.offsets[:, LOWER[:1], 1]
    study = Study([recording], [rows])
    sizes = {}
    for factors in ((1.0, 1.0), (1.0, 1.5), (1.2, 1.0)):
        monkeypatch.setattr(regression, "_STRETCH", np.array(factors))
        learnt = study.fit()
        shapes = np.tensordot(learnt.codes, learnt.motions, 1)
        sizes[factors] = np.stack([opening_of(shapes), width_of(shapes)])
    plain = sizes[1.0, 1.0]
    np.testing.assert_allclose(sizes[1.0, 1.5], plain * [[1.0], [1.5]], atol=1e-5)
    np.testing.assert_allclose(sizes[1.2, 1.0], plain * [[1.2], [1.0]], atol=1e-5)


def test_which_side_a_mouth_prefers_is_not_learnt() -> None:
    offsets = np.random.default_rng(1).normal(size=(3, len(POINTS), 2))
    both = symmetric(offsets)
    np.testing.assert_allclose(symmetric(both), both)
    left, right = both[:, 0], both[:, 10]
    np.testing.assert_allclose(left, right * [-1, 1])
    np.testing.assert_allclose(opening_of(both), opening_of(offsets))


def test_the_distance_of_lips_ignores_where_the_mouth_is() -> None:
    true = np.random.default_rng(1).normal(0, 0.1, (4, len(POINTS), 2))
    assert landmark_distance(true + 0.3, true) == pytest.approx(0, abs=1e-9)
    wider = true.copy()
    wider[:, :LIPS, 0] += np.tile([0.13, -0.13], LIPS // 2)
    assert landmark_distance(wider, true) == pytest.approx(0.13 * 64 / 1.3)


@pytest.mark.skipif(not HEAD.exists(), reason="needs ../shared/data")
def test_an_open_jaw_lowers_lip_and_chin_of_the_model() -> None:
    offsets = offsets_of({"jawOpen": np.array([0.0, 0.5])}, HEAD)
    assert not offsets[0].any()
    assert opening_of(offsets[1]) > 0.15
    assert offsets[1, LIPS, 1] > 0.1
