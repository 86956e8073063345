"""Measures of pictures and of mouths."""

from __future__ import annotations

import numpy as np
import pytest

from s2l_core.evaluation.metrics import correlation, deviation_ratio, psnr


def test_psnr_of_a_known_error() -> None:
    dark, light = np.full((4, 4, 3), 100, np.uint8), np.full((4, 4, 3), 110, np.uint8)
    assert psnr(dark, light) == psnr(light, dark) == pytest.approx(20 * np.log10(255 / 10))
    assert psnr(dark, dark) == 100.0


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
