"""Measures of pictures and of mouths."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from s2l_core.evaluation.metrics import (
    correlation,
    cpbd,
    deviation_ratio,
    edge_gradient,
    grain,
    kept_closures,
    landmark_distance,
    lip_jitter,
    mouth_delay,
    mouth_width,
    moving_share,
    open_closed_ratio,
    psnr,
    ssim,
)
from s2l_core.face.layout import IBUG68

LIPS = np.concatenate([IBUG68.lips_outer, IBUG68.lips_inner])
LEFT_EYE, RIGHT_EYE = IBUG68.eye_corners[0], IBUG68.eye_corners[3]


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma)).astype(picture.dtype)


def noise(seed: int) -> np.ndarray:
    return blurred(np.random.default_rng(seed).uniform(0, 255, (48, 64, 3)), 1.0).astype(np.uint8)


def face(frames: int = 1) -> np.ndarray:
    """Landmarks (frames, 68, 2) of a face that keeps still, its eyes 100 pixels apart, its mouth 40 wide."""
    points = np.random.default_rng(0).uniform(100, 140, (68, 2))
    points[LEFT_EYE], points[RIGHT_EYE] = (70, 80), (170, 80)
    points[IBUG68.mouth_corners] = [[100, 130], [140, 130]]
    return np.tile(points, (frames, 1, 1))


def test_psnr_of_a_known_error() -> None:
    dark, light = np.full((4, 4, 3), 100, np.uint8), np.full((4, 4, 3), 110, np.uint8)
    assert psnr(dark, light) == psnr(light, dark) == pytest.approx(20 * np.log10(255 / 10))
    assert psnr(dark, dark) == 100.0


def test_ssim_is_that_of_the_reference_implementation() -> None:
    reference = pytest.importorskip("skimage.metrics").structural_similarity
    first, second = noise(0), noise(1)
    mixed = (0.7 * first + 0.3 * second).astype(np.uint8)
    expected = reference(
        first, mixed, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(first, mixed) == pytest.approx(expected, abs=1e-3)
    assert ssim(first, first) == pytest.approx(1.0)


def test_ssim_inside_a_mask_does_not_see_what_lies_far_outside() -> None:
    first, changed = noise(0), noise(0)
    changed[:, 32:] = 0
    mask = np.zeros(first.shape[:2], bool)
    mask[:, :26] = True
    assert ssim(first, changed, mask) == pytest.approx(1.0)
    assert ssim(first, changed, ~mask) < 0.5


def test_cpbd_is_the_share_of_edges_that_look_sharp() -> None:
    bars = np.zeros((64, 128, 3), np.uint8)
    bars[:, 32:64] = bars[:, 96:] = 200
    assert cpbd(bars) == 1.0
    half = bars.copy()
    half[:, 64:] = blurred(bars, 3.0)[:, 64:]
    assert 0.2 < cpbd(half) < 0.8
    assert cpbd(blurred(bars, 3.0)) == 0.0
    assert cpbd(np.full((64, 64, 3), 90, np.uint8)) == 0.0


def test_a_faint_edge_may_be_wider_before_it_looks_blurred() -> None:
    ramp = np.interp(np.arange(64), [30, 34], [0, 1])[None, :, None] * np.ones((64, 1, 3))
    assert cpbd((100 + 40 * ramp).astype(np.uint8)) == 1.0
    assert cpbd((20 + 200 * ramp).astype(np.uint8)) == 0.0


def test_a_step_along_the_masks_edge_is_a_seam() -> None:
    picture = noise(2)
    mask = np.zeros((48, 64))
    mask[12:36, 16:48] = 1.0
    mask = blurred(mask, 2.0)
    brighter = np.clip(picture + 60 * mask[..., None], 0, 255).astype(np.uint8)
    other_inside = np.where((mask > 0.99)[..., None], noise(3), picture)
    real = edge_gradient(picture, mask)
    assert edge_gradient(brighter, mask) > 1.2 * real
    assert edge_gradient(other_inside, mask) == pytest.approx(real, rel=0.1)
    assert edge_gradient(picture, np.zeros((48, 64))) == 0.0


def test_openings_are_compared_where_both_are_known() -> None:
    real = np.array([0.0, 0.1, np.nan, 0.3, 0.2])
    half = np.array([0.0, 0.05, 0.9, 0.15, np.nan])
    assert correlation(half, real) == pytest.approx(1.0)
    assert deviation_ratio(half, real) == pytest.approx(0.5)


@pytest.mark.parametrize("real", [[np.nan] * 3, [0.2] * 3, [0.1, np.nan, np.nan]])
def test_openings_that_tell_nothing_give_zero_and_not_nan(real: list[float]) -> None:
    openings = np.array([0.1, 0.2, 0.3])
    assert correlation(openings, np.array(real)) == 0.0
    assert deviation_ratio(openings, np.array(real)) == 0.0


def test_a_mouth_that_does_not_close_has_a_low_ratio_of_open_to_closed() -> None:
    swing = np.append(np.linspace(0.02, 0.1, 101), np.nan)
    assert open_closed_ratio(swing) == pytest.approx(0.092 / 0.028)
    assert open_closed_ratio(swing + 0.1) < 2
    assert open_closed_ratio(np.array([0.0, 0.0, 0.0])) == 1.0
    assert np.isnan(open_closed_ratio(np.full(3, np.nan)))


def test_a_mouth_moves_where_it_leaves_its_rest() -> None:
    openings = np.array([0.02] * 8 + [0.05, 0.021, np.nan])
    assert moving_share(openings) == pytest.approx(0.1)
    assert moving_share(np.full(3, np.nan)) == 0.0


def test_the_width_of_a_mouth_does_not_depend_on_the_size_of_the_face() -> None:
    assert mouth_width(face(), IBUG68) == pytest.approx([0.4])
    assert mouth_width(3.0 * face(), IBUG68) == pytest.approx([0.4])


def test_landmark_distance_is_in_percent_between_the_eyes_wherever_the_lips_lie() -> None:
    real, moved, opened = face(3), face(3), face(3)
    moved[:, LIPS] += (7, -3)
    opened[:, LIPS[::2], 1] += 4
    assert landmark_distance(moved, real, IBUG68) == pytest.approx([0.0] * 3)
    assert landmark_distance(opened, real, IBUG68) == pytest.approx([2.0] * 3)
    assert landmark_distance(5.0 * opened, 5.0 * real, IBUG68) == pytest.approx([2.0] * 3)


def test_jitter_is_what_is_neither_rest_nor_steady_motion() -> None:
    steady, shaking = face(9), face(9)
    steady[:, LIPS, 1] += np.arange(9)[:, None]
    shaking[::2, LIPS, 1] += 1
    assert lip_jitter(steady, IBUG68) == pytest.approx(0.0)
    assert lip_jitter(shaking, IBUG68) == pytest.approx(2.0)
    shaking[4] = np.nan
    assert lip_jitter(shaking, IBUG68) == pytest.approx(2.0)
    assert np.isnan(lip_jitter(face(2), IBUG68))


def test_a_closure_counts_as_kept_if_the_mouth_closes_at_most_two_frames_beside_it() -> None:
    real = np.full(60, 0.1)
    real[[10, 11, 30, 50]] = 0.0
    near, far, half = (np.full(60, 0.1) for _ in range(3))
    near[[13, 28, 50]] = 0.01
    far[[14, 27, 54]] = 0.01
    half[[10, 30, 50]] = 0.05
    assert kept_closures(real, real) == kept_closures(near, real) == 1.0
    assert kept_closures(far, real) == kept_closures(half, real) == 0.0
    far[30] = 0.0
    assert kept_closures(far, real) == pytest.approx(1 / 3)


def test_pauses_are_no_closures() -> None:
    real = np.full(60, 0.1)
    real[:5] = real[20:40] = real[58:] = 0.0
    assert np.isnan(kept_closures(real, real))
    assert np.isnan(kept_closures(real, np.full(60, np.nan)))


def test_the_delay_of_a_mouth_is_found_between_frames() -> None:
    real = gaussian_filter1d(np.random.default_rng(0).normal(size=200), 2.0)
    times = np.arange(200.0)
    assert mouth_delay(real, real) == pytest.approx(0.0)
    for delay in (-2.0, 0.5, 1.0):
        assert mouth_delay(np.interp(times - delay, times, real), real) == pytest.approx(delay, abs=0.1)


def test_a_mouth_that_keeps_still_has_no_delay() -> None:
    assert np.isnan(mouth_delay(np.full(50, 0.1), np.sin(np.arange(50.0))))
    assert np.isnan(mouth_delay(np.arange(5.0), np.arange(5.0)))


def test_grain_is_noise_inside_the_mask_and_not_an_edge() -> None:
    random, mask = np.random.default_rng(0), np.zeros((80, 80))
    mask[20:60, 20:60] = 1.0
    noise = random.normal(0, 4, (80, 80, 1))
    grey = np.full((80, 80, 3), 128.0)
    grey[:, 40:] = 60.0
    noisy, flat = (np.clip(np.round(grey + each), 0, 255).astype(np.uint8) for each in (noise, 0 * noise))
    beside = np.where(mask[..., None] > 0, flat, noisy)
    assert grain(flat, mask) == grain(flat, 0 * mask) == 0.0
    assert grain(beside, mask) < 0.3 < 2.0 < grain(noisy, mask)
