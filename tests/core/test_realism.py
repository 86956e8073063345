"""Measures that see a set of pictures, or their change in time, and not single frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2l_core.evaluation import realism
from s2l_core.model.perception import load_lpips


def features(count: int, seed: int, shift: float = 0.0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(shift, 1.0, (count, 40))


def textured(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.asarray((smooth - smooth.min()) / np.ptp(smooth) * 255, np.uint8)


def test_sets_of_one_kind_have_no_distance() -> None:
    assert abs(realism.kernel_distance(features(300, 0), features(300, 1))) < 100
    assert realism.kernel_distance(features(300, 0), features(300, 1, shift=1.0)) > 1000


def test_distance_grows_with_blur() -> None:
    perception = load_lpips()
    pictures = torch.from_numpy(np.stack([np.roll(textured(), 3 * i, axis=1) for i in range(20)])).permute(0, 3, 1, 2)
    sharp, other = pictures[::2], pictures[1::2]
    blurred = torch.nn.functional.avg_pool2d(sharp.float(), 9, stride=1, padding=4).to(torch.uint8)
    real = realism.lip_features(perception, other)
    distances = [realism.kernel_distance(realism.lip_features(perception, each), real) for each in (sharp, blurred)]
    assert distances[1] > 2 * abs(distances[0])


@pytest.mark.parametrize(("shift", "least", "most"), [(0.0, 0.3, 0.7), (1.0, 0.95, 1.0)])
def test_a_classifier_tells_sets_apart_if_they_differ(shift: float, least: float, most: float) -> None:
    assert least <= realism.separability(features(200, 0), features(200, 1, shift)) <= most


def test_motion_is_no_flicker_but_noise_is() -> None:
    moving = np.stack([np.roll(textured(), i, axis=1) for i in range(8)])[:, :, 8:-8]
    noise = np.random.default_rng(1).integers(-20, 21, moving.shape)
    noisy = (np.repeat(moving[:1], 8, axis=0) + noise).clip(0, 255).astype(np.uint8)
    assert realism.flicker(np.repeat(moving[:1], 8, axis=0)) == 0.0
    assert realism.flicker(moving) < 0.5 * realism.flicker(noisy)


def test_brightness_is_that_inside_of_the_lips() -> None:
    picture = np.zeros((60, 60, 3), np.uint8)
    picture[20:40, 20:40] = 204
    inside = np.array([[20, 20], [39, 20], [39, 39], [20, 39]], np.float32)
    assert realism.brightness_inside(picture, inside) == pytest.approx(0.8)
    assert np.isnan(realism.brightness_inside(picture, np.full((4, 2), 30, np.float32)))
    assert np.isnan(realism.brightness_inside(picture, np.full((4, 2), np.nan, np.float32)))
