"""How a head recedes behind the outline that a camera in front of it sees."""

from __future__ import annotations

import numpy as np
import pytest

from s2l_core.whole_head.head_profile import recede

DIRECTIONS = np.linspace(-np.pi, np.pi, 90, endpoint=False)
RIGHT, DOWN, UP = 0.0, np.pi / 2, -np.pi / 2


def test_the_profile_begins_on_the_outline() -> None:
    assert not recede(DIRECTIONS, 8)[:, 0].any()


def test_it_runs_backwards_and_inwards_in_even_steps() -> None:
    backwards, inwards, along = np.diff(recede(DIRECTIONS, 16), axis=1)
    assert (backwards > -1e-9).all() and (inwards > -1e-9).all()
    assert np.allclose(along, along[:1])


def test_both_sides_of_a_head_recede_alike() -> None:
    right = np.linspace(-1.2, 1.2, 30)
    assert recede(right, 16) == pytest.approx(recede(np.pi - right, 16), abs=0.06)


def test_an_ear_recedes_sooner_than_the_top_of_the_head() -> None:
    ear, top = (recede(np.array([direction]), 16)[..., 0] for direction in (RIGHT, UP))
    assert np.interp(0.3, ear[0], ear[1]) > 2 * np.interp(0.3, top[0], top[1])


def test_directions_next_to_each_other_recede_alike() -> None:
    steps = np.diff(recede(np.linspace(-np.pi, np.pi, 720), 16), axis=-1)
    assert np.abs(steps).max() < 0.03
