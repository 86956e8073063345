"""The motion of anybody's lips from speech."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s2l_core.errors import EngineIncomplete, SpeechFeaturesUnavailable
from s2l_core.face.landmarks import open_detector
from s2l_core.jobs import Media
from s2l_core.media.audio import read_speech
from s2l_core.media.video import read_frames
from s2l_core.speech.features import SAMPLE_RATE
from s2l_core.stills import lip_motion
from s2l_core.stills.lip_motion import LipMotion, load_lip_motion
from s2l_core.stills.lip_shape import POINTS, lip_offsets, opening_of

LINE = Path(__file__).resolve().parents[2] / "demo" / "line.flac"
PERSON, ANOTHER = (Path("../shared/data/grid_people") / name for name in ("lrwp9a.mpg", "swiz3n.mpg"))
RATE = 25.0


@pytest.fixture(scope="module")
def motion() -> LipMotion:
    return load_lip_motion()


@pytest.fixture(scope="module")
def line() -> np.ndarray:
    return read_speech(replace(Media(str(LINE)), end=5.0))


def moments(speech: np.ndarray) -> np.ndarray:
    return np.arange(int(len(speech) / SAMPLE_RATE * RATE)) / RATE


@pytest.fixture(scope="module")
def offsets(motion: LipMotion, line: np.ndarray) -> np.ndarray:
    return motion.offsets(line, moments(line))


def test_speech_opens_and_closes_the_mouth(offsets: np.ndarray) -> None:
    assert offsets.shape == (125, len(POINTS), 2)
    assert offsets.dtype == np.float32
    openings = opening_of(offsets)
    assert openings.min() >= -1e-6
    assert 0.1 < openings.max() < 0.5
    chin = offsets[:, -1, 1]
    assert np.corrcoef(chin, openings)[0, 1] > 0.7


def test_silence_closes_the_mouth(motion: LipMotion) -> None:
    silent = np.zeros(2 * SAMPLE_RATE, np.float32)
    assert not motion.offsets(silent, moments(silent)).any()


def test_the_mouth_closes_in_a_long_pause(motion: LipMotion, line: np.ndarray) -> None:
    pause = np.zeros(SAMPLE_RATE, np.float32)
    speech = np.concatenate([line[: 2 * SAMPLE_RATE], pause, line[2 * SAMPLE_RATE :]])
    times = moments(speech)
    resting = np.abs(motion.offsets(speech, times)).max(axis=(1, 2))[(times > 2.3) & (times < 2.7)]
    np.testing.assert_array_equal(resting, 0)


def test_the_same_speech_gives_the_same_motion(motion: LipMotion, line: np.ndarray, offsets: np.ndarray) -> None:
    np.testing.assert_array_equal(motion.offsets(line, moments(line)), offsets)


def test_parts_of_a_line_are_those_of_the_whole(motion: LipMotion, line: np.ndarray, offsets: np.ndarray) -> None:
    times = moments(line)
    parts = [motion.offsets(line, part) for part in (times[:31], times[31:90], times[90:])]
    np.testing.assert_array_equal(np.concatenate(parts), offsets)


def test_the_level_of_the_voice_does_not_matter(motion: LipMotion, line: np.ndarray, offsets: np.ndarray) -> None:
    np.testing.assert_allclose(motion.offsets(line / 4, moments(line)), offsets, atol=0.01)


def test_without_moonshine_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise SpeechFeaturesUnavailable("The speech network Moonshine cannot be used: it is not there.")

    monkeypatch.setattr(lip_motion, "open_moonshine", missing)
    with pytest.raises(SpeechFeaturesUnavailable):
        load_lip_motion()


def test_lips_part_to_breathe_in_a_pause_with_the_noise_of_a_room(motion: LipMotion, line: np.ndarray) -> None:
    noise = np.random.default_rng(1).normal(0, 0.02 * np.abs(line).max(), round(0.6 * SAMPLE_RATE)).astype(np.float32)
    speech = np.concatenate([line[: 2 * SAMPLE_RATE], noise, line[2 * SAMPLE_RATE :]])
    assert 0.03 < opening_of(motion.offsets(speech, np.array([2.3])))[0] < 0.1


def test_damaged_weights_are_refused() -> None:
    content = bytearray(lip_motion.read_file())
    content[len(content) // 2] ^= 1
    with pytest.raises(EngineIncomplete, match="checksum"):
        lip_motion.parse(bytes(content))
    with pytest.raises(EngineIncomplete):
        lip_motion.parse(b"")


@pytest.mark.skipif(not PERSON.exists(), reason="needs ../shared/data")
def test_a_real_mouth_moves_with_its_own_speech_and_not_with_that_of_another(motion: LipMotion) -> None:
    detector = open_detector("bundled")
    frames = list(read_frames(Media(str(PERSON))))
    points = np.stack([face.points for frame in frames if (face := detector.detect(frame.image))])
    true = opening_of(lip_offsets(points))
    times = np.array([frame.time for frame in frames])
    own, other = (
        np.corrcoef(opening_of(motion.offsets(read_speech(Media(str(path))), times)), true)[0, 1]
        for path in (PERSON, ANOTHER)
    )
    assert own > 0.6
    assert other < own - 0.2
