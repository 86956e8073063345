"""The many people whom ``demo/make_crowd.py`` renders, and the colours of their skins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from demo.speaker.complexion import DEFAULT
from demo.speaker.crowd import draw_stranger

COUNT = 12


def test_people_differ_and_are_the_same_each_time() -> None:
    crowd = [draw_stranger(number, COUNT) for number in range(COUNT)]
    assert len({stranger.identity_seed for stranger in crowd}) == COUNT
    assert all(draw_stranger(number, COUNT).complexion == crowd[number].complexion for number in range(COUNT))
    assert 0 < sum(stranger.complexion.beard > 0 for stranger in crowd) < COUNT


def test_skins_go_from_dark_to_pale() -> None:
    lightness = [np.mean(draw_stranger(number, COUNT).complexion.skin) for number in range(COUNT)]
    assert lightness[0] < 0.35 and lightness[-1] > 0.7
    assert np.all(np.diff(lightness) > -0.05)


def test_the_embedded_speaker_keeps_the_colours_of_the_skin() -> None:
    random = np.random.default_rng(0)
    colour, lip, hairy = random.random((5, 3)), random.random(5), random.random(5)
    np.testing.assert_array_equal(DEFAULT.tint(colour, lip, hairy), colour)


def test_a_full_beard_covers_skin_of_any_colour() -> None:
    bearded = replace(DEFAULT, skin=(0.3, 0.2, 0.15), beard=1.0, hair=(0.1, 0.1, 0.1))
    tinted = bearded.tint(np.full((2, 3), 0.6), np.zeros(2), np.array([0.0, 1.0]))
    assert tinted[0, 0] > tinted[0, 2] > 0.1
    np.testing.assert_allclose(tinted[1], 0.1)
