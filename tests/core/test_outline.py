"""Planes that are continued beyond the outline of a surface."""

from __future__ import annotations

import torch

from s2l_core.geometry.outline import continued


def square() -> torch.Tensor:
    """Coverage (1, 40, 40) of a square with 20 pixels along each side."""
    coverage = torch.zeros(1, 40, 40)
    coverage[:, 10:30, 10:30] = 1.0
    return coverage


def test_planes_are_continued_as_at_the_nearest_pixel_inside() -> None:
    planes = square()[:, None] * torch.arange(40.0)[:, None]
    result, weights = continued(planes, square(), 0.2)
    assert result[0, 0, 20, 8:32].tolist() == [20.0] * 24
    assert result[0, 0, 31, 20] == 29.0
    assert result[0, 0, 20, 5] == 0.0
    assert torch.equal(result[square()[:, None] > 0], planes[square()[:, None] > 0])
    assert weights[0, 20, 9] == 1.0


def test_weights_fall_to_zero_at_the_distance() -> None:
    weights = continued(square()[:, None], square(), 0.3)[1][0, 20, :10]
    assert (weights.diff() >= 0).all()
    assert weights[0] == weights[4] == 0.0
    assert weights[8] == 1.0
    assert continued(square()[:, None], square(), 0.3)[1][square() > 0].max() == 0.0


def test_without_a_surface_nothing_is_continued() -> None:
    planes, weights = continued(torch.zeros(1, 2, 8, 8), torch.zeros(1, 8, 8), 0.1)
    assert planes.max() == weights.max() == 0.0
