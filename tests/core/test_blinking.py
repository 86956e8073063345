"""Blinks are found in pictures of an eye, where there are any."""

from __future__ import annotations

import numpy as np
import pytest

from s2l_core.whole_head.blinking import openness

FRAMES = 300
BLINKS = [40, 41, 42, 150, 151, 152, 260, 261, 262]


def eye(shut: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of an eye that looks around and closes, and lids that hardly tell."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:20, :32]
    gaze = 2 * np.sin(np.arange(FRAMES) / 9)[:, None, None]
    iris = np.hypot(rows - 10, columns - 16 - gaze) < 5
    opened = np.where(iris, 60.0, 170.0)
    lid = np.where(np.abs(rows - 13) < 2, 30.0, 110.0)
    pictures = opened + shut[:, None, None] * (lid - opened) + random.normal(0, 4, (FRAMES, 20, 32))
    return pictures.reshape(FRAMES, -1), 10.0 - 1.5 * shut + random.normal(0, 0.5, FRAMES)


@pytest.fixture
def shut() -> np.ndarray:
    result = np.zeros(FRAMES)
    result[BLINKS] = [0.5, 1.0, 0.5] * 3
    return result


def test_an_eye_that_blinks_is_shut_at_0_and_open_at_1(shut: np.ndarray) -> None:
    opened = openness(*eye(shut))
    assert np.corrcoef(opened, shut)[0, 1] < -0.9
    assert np.abs(opened[shut == 1.0]).max() < 0.15
    assert np.median(opened) == pytest.approx(1.0, abs=0.05)


def test_without_blinks_the_lids_tell(shut: np.ndarray) -> None:
    pictures, lids = eye(0 * shut)
    np.testing.assert_allclose(openness(pictures, lids), lids / np.median(lids))


def test_what_has_nothing_to_do_with_the_lids_is_no_blink(shut: np.ndarray) -> None:
    """A hand that passes the face, say."""
    pictures, lids = eye(shut)
    lids = np.random.default_rng(1).normal(10.0, 0.5, FRAMES)
    np.testing.assert_allclose(openness(pictures, lids), lids / np.median(lids))


def test_two_frames_are_not_enough_to_look_for_blinks(shut: np.ndarray) -> None:
    pictures, lids = eye(shut)
    np.testing.assert_allclose(openness(pictures[:2], lids[:2]), lids[:2] / np.median(lids[:2]))
