"""Which frame of the footage each frame of a dub shows."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_core.face.layout import MESH468
from s2l_core.footage import Footage
from s2l_core.jobs import Media
from s2l_core.media.writing import VideoWriter
from s2l_core.mouth.schedule import forth_and_back, frames_in_order, rest_of

RATES = [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(60)]


class Clip:
    """What dubbing asks of footage, without a head."""

    def __init__(self, path: str, count: int, rate: Fraction, first: float = 0.0) -> None:
        self.media = Media(path, first)
        self.times = first + np.arange(count) / float(rate)
        self.seconds = count / float(rate)
        self.layout = MESH468


def clip(count: int = 50, rate: Fraction = Fraction(25), first: float = 0.0, path: str = "clip.mp4") -> Footage:
    return cast(Footage, Clip(path, count, rate, first))


@given(
    count=st.integers(1, 80), wanted=st.integers(1, 400), rate=st.sampled_from(RATES), out_rate=st.sampled_from(RATES)
)
@settings(max_examples=100, deadline=None)
def test_footage_plays_forth_and_back_without_a_jump(
    count: int, wanted: int, rate: Fraction, out_rate: Fraction
) -> None:
    order = forth_and_back(clip(count, rate), wanted, out_rate)
    assert len(order) == wanted
    assert order[0] == 0 and order.min() >= 0 and order.max() < count
    assert np.abs(np.diff(order)).max(initial=0) <= math.ceil(rate / out_rate)


def test_at_the_footages_own_rate_every_frame_is_shown_once_on_the_way() -> None:
    order = forth_and_back(clip(5), 12, Fraction(25))
    assert order.tolist() == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]


def test_a_span_that_begins_within_a_frame_shows_its_last_one_too() -> None:
    footage = clip(5)
    footage.times[0] += 0.01
    footage.seconds -= 0.01  # type: ignore[misc]
    assert forth_and_back(footage, 7, Fraction(25)).tolist() == [0, 1, 2, 3, 4, 3, 2]


@pytest.mark.parametrize("rate", RATES)
def test_the_picture_on_screen_is_the_one_that_has_last_begun(rate: Fraction) -> None:
    order = forth_and_back(clip(50), 40, rate)
    expected = [int(np.floor(index / float(rate) * 25 + 0.03)) for index in range(40)]
    assert order.tolist() == [min(index, 98 - index) for index in expected]


def test_what_is_kept_goes_on_where_the_voice_stops() -> None:
    footage = clip(50)
    assert rest_of(footage, 20, Fraction(25)).tolist() == list(range(20, 50))
    assert rest_of(footage, 60, Fraction(25)).tolist() == []


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 90 frames: the left half's grey tells the tens of the number, the right half's the ones."""
    path = tmp_path_factory.mktemp("dubbing") / "numbered.mp4"
    with VideoWriter(str(path), 64, 48, Fraction(25)) as writer:
        for index in range(90):
            image = np.zeros((48, 64, 3), np.uint8)
            image[:, :32], image[:, 32:] = 25 * (index // 10), 25 * (index % 10)
            writer.write(image)
    return path


@pytest.mark.parametrize(
    "order",
    [
        list(range(90)),
        list(range(89, -1, -1)),
        [0, 1, 2, 3, 2, 1, 0, 1, 2],
        [10, 10, 11, 11, 12, 12, 11, 11, 10, 10],
        [0, 2, 4, 6, 88, 89, 87, 50],
        [7],
    ],
)
def test_frames_come_in_the_order_asked_for(numbered: Path, order: list[int]) -> None:
    images = [frame.image for frame in frames_in_order(clip(90, path=str(numbered)), np.array(order))]
    halves = [(image[:, 4:28].mean(), image[:, 36:60].mean()) for image in images]
    numbers = [10 * round(float(tens) / 25) + round(float(ones) / 25) for tens, ones in halves]
    assert numbers == order
