"""Held-out mouths measured: the evaluator, what it is laid beside, and the files that keep the figures."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2l_core.canonical.regions import lip_shape_size
from s2l_core.canonical.view import CanonicalFace, CanonicalHead, choose_canonical
from s2l_core.evaluation.baselines import Baselines
from s2l_core.evaluation.drivers import (
    Driver,
    Images,
    Indices,
    canonical_lips,
    ceiling,
    exemplar_ceiling,
    painted,
    real,
)
from s2l_core.evaluation.evaluator import Evaluator
from s2l_core.evaluation.held_out import other_sounds
from s2l_core.footage import Footage, prepare
from s2l_core.geometry.camera import Intrinsics, Rectangle
from s2l_core.geometry.mapping import CanonicalView
from s2l_core.jobs import Media
from s2l_core.model.speaker import SpeakerModel

ROOT = Path(__file__).resolve().parents[2]
SECONDS, HELD_OUT = 10.0, (9.0, 9.8)
SILENCE = np.zeros(round(SECONDS * 16_000), np.float32)


@pytest.fixture(scope="module")
def footage() -> Footage:
    return prepare(Media(str(ROOT / "demo" / "speaker.mp4"), 0.0, SECONDS))


@pytest.fixture(scope="module")
def face(footage: Footage) -> CanonicalFace:
    return choose_canonical(footage, footage.times < 8.0)


@pytest.fixture(scope="module")
def lips(footage: Footage, face: CanonicalFace) -> torch.Tensor:
    return canonical_lips(face, footage, np.flatnonzero(footage.track.found & (footage.times < 8.0)))


@pytest.fixture(scope="module")
def evaluator(footage: Footage, face: CanonicalFace) -> Evaluator:
    return Evaluator(footage, face, HELD_OUT)


def measure(evaluator: Evaluator, driver: Driver) -> dict[str, float]:
    measures = cast(dict[str, float | None], evaluator.measure(driver, SILENCE))
    return {name: value for name, value in measures.items() if value is not None}


def still(footage: Footage, face: CanonicalFace, lips: torch.Tensor) -> Driver:
    average = lips.float().mean(dim=0) / 255
    return painted(face, footage, lambda seen, times: average.expand_as(seen))


def test_the_real_frames_measure_as_themselves(evaluator: Evaluator, face: CanonicalFace) -> None:
    columns = measure(evaluator, real(face))
    assert columns["mouth_psnr"] == columns["frame_psnr"] == 100.0
    assert columns["mouth_ssim"] == pytest.approx(1.0)
    assert columns["lmd"] == columns["outside_mask_max_error"] == 0.0
    assert columns["mouth_delay_frames"] == pytest.approx(0.0)
    for column in ("opening_correlation", "width_correlation", "articulation", "jitter", "seam", "grain"):
        assert columns[column] == pytest.approx(1.0)


def test_a_mouth_that_keeps_still_is_seen_as_one(
    evaluator: Evaluator, footage: Footage, face: CanonicalFace, lips: torch.Tensor
) -> None:
    driver = still(footage, face, lips)
    columns = measure(evaluator, driver)
    assert 15 < columns["mouth_psnr"] < 35
    assert columns["mouth_psnr"] == pytest.approx(evaluator.mouth_psnr(driver))
    assert columns["articulation"] < 0.5
    assert columns["jitter"] < 1.0
    assert columns["outside_mask_max_error"] == 0.0
    assert evaluator.moving_share(driver) < evaluator.moving_share(real(face))


def test_whoever_changes_other_pixels_than_the_mouths_is_found_out(evaluator: Evaluator, face: CanonicalFace) -> None:
    def paint_a_corner(images: Images, indices: Indices) -> list[NDArray[np.uint8]]:
        results = [image.copy() for image in images]
        results[0][0, 0] = 255 - results[0][0, 0]
        return results

    assert measure(evaluator, Driver(face, paint_a_corner))["outside_mask_max_error"] > 0


def test_lips_that_follow_the_base_video_leak(evaluator: Evaluator, face: CanonicalFace) -> None:
    assert evaluator.leakage(real(face)) == pytest.approx(1.0)


def test_true_codes_give_nearly_the_real_lips(
    evaluator: Evaluator, footage: Footage, face: CanonicalFace, lips: torch.Tensor
) -> None:
    speaker = SpeakerModel.untrained("Ada", face, footage.known_head, lip_shape_size(footage.layout)).to("cpu")
    pictures = lips.float() / 255
    mean = pictures.mean(dim=0)
    _, _, axes = torch.pca_lowrank((pictures - mean).flatten(1), 64, niter=4)
    speaker.lip.start(mean, axes.T.unflatten(1, mean.shape))
    assert evaluator.mouth_psnr(ceiling(speaker, footage)) > evaluator.mouth_psnr(still(footage, face, lips)) + 4


def test_exemplars_of_true_codes_are_nearer_to_the_real_lips_than_any_still_mouth(hasty_speaker: str) -> None:
    speaker = SpeakerModel.load(hasty_speaker)
    media = Media(str(ROOT / "demo" / "speaker.mp4"), 11.0, 13.0)
    footage = prepare(media, known=speaker.known_head)
    evaluator = Evaluator(footage, speaker.face, (11.0, 13.0))
    average = canonical_lips(speaker.face, footage, np.arange(len(footage.times)))
    shown, mean = exemplar_ceiling(speaker, footage), still(footage, speaker.face, average)
    assert evaluator.mouth_psnr(shown) > evaluator.mouth_psnr(mean) + 4


def test_speech_for_the_held_out_frames_begins_with_them(evaluator: Evaluator) -> None:
    said = evaluator.say(np.ones(100_000, np.float32))
    assert np.flatnonzero(said)[0] == round(HELD_OUT[0] * 16_000)
    assert len(said) == round(HELD_OUT[1] * 16_000)


def test_other_sounds_are_of_the_training_part() -> None:
    speech = np.arange(20 * 16_000, dtype=np.float32)
    sounds = other_sounds(speech, 17.0, 2.0)
    assert [len(sound) for sound in sounds] == [32_000] * 3
    assert sounds[0][0] == 0
    assert sounds[-1][-1] == 17 * 16_000 - 1


@pytest.fixture(scope="module")
def flat_face() -> CanonicalFace:
    """A canonical view of 24 by 20 pixels whose mouth box is its middle."""
    camera = Intrinsics(100.0, 100.0, 12.0, 10.0, 24, 20)
    view = CanonicalView(torch.full((20, 24), 500.0), Rectangle(0, 0, 24, 20), camera, torch.eye(4))
    head = CanonicalHead(view, torch.ones(20, 24, dtype=torch.bool), torch.zeros(20, 24))
    return CanonicalFace(view, view, head, (6.0, 5.0, 18.0, 15.0))


@pytest.fixture(scope="module")
def heard() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1600, 80)).astype(np.float32)


@pytest.fixture(scope="module")
def baselines(flat_face: CanonicalFace, heard: np.ndarray) -> Baselines:
    """Lips that get brighter, all together, as the first band gets louder."""
    times = np.arange(400) * 0.04
    return Baselines(flat_face, shining(heard, times), times, heard)


def shining(mel: np.ndarray, times: np.ndarray) -> torch.Tensor:
    pattern = torch.from_numpy(np.random.default_rng(1).uniform(20, 40, (3, 20, 24)))
    loudness = torch.from_numpy(mel[np.round(times * 100).astype(int), 0])
    return (128 + pattern * loudness[:, None, None, None]).clamp(0, 255).to(torch.uint8)


def test_oracles_find_what_training_has_shown(baselines: Baselines, heard: np.ndarray) -> None:
    some = shining(heard, np.array([1.0, 2.0])).float() / 255
    assert torch.equal(baselines.nearest_frame(some), some)
    torch.testing.assert_close(baselines.pca_64(some), some, atol=0.01, rtol=0)
    mean = baselines.mean_image(some)
    assert torch.equal(mean[0], mean[1])
    assert float(mean.mean()) == pytest.approx(0.5, abs=0.02)


def test_the_nearest_frame_is_the_one_with_the_nearest_mouth(baselines: Baselines, heard: np.ndarray) -> None:
    some = shining(heard, np.array([1.0])).float() / 255
    other_chin = some.clone()
    other_chin[..., 16:, :] = 0
    assert torch.equal(baselines.nearest_frame(other_chin), some)


def test_a_ridge_hears_what_is_linear(baselines: Baselines, heard: np.ndarray) -> None:
    times = np.array([3.0, 5.0, 7.0])
    expected = shining(heard, times).float() / 255
    still_error = (baselines.mean_image(expected) - expected).square().mean()
    assert (baselines.audio_ridge(heard, times) - expected).square().mean() < 0.2 * still_error
