"""A few of many: evenly spaced, or as different as possible."""

from __future__ import annotations

import numpy as np
import pytest

from s2l_core.subsampling import evenly_spaced, farthest_points


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(9, 3, [0, 4, 8]), (3, 9, [0, 1, 2]), (5, 5, [0, 1, 2, 3, 4]), (1, 4, [0]), (0, 4, [])],
)
def test_indices_are_evenly_spaced_and_never_repeated(count: int, most: int, expected: list[int]) -> None:
    assert evenly_spaced(count, most).tolist() == expected


def test_each_point_is_the_farthest_from_those_before_it() -> None:
    points = np.array([[0.0], [1.0], [2.0], [10.0], [-7.0]])
    assert farthest_points(points, 4).tolist() == [1, 3, 4, 0]
    assert sorted(farthest_points(points, 9).tolist()) == [0, 1, 2, 3, 4]
