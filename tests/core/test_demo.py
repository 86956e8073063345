"""What the demo measures and shows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo.run import out_of_bounds, read_at
from demo.sheet import Moment, choose_moments, draw_sheet
from s2l_core.media.writing import VideoWriter

GOOD: dict[str, Any] = {
    "frames_expected": 250,
    "frames_written": 250,
    "duration_error_ms": -13.0,
    "outside_mask_max_error": 0,
    "opening_correlation": 0.7,
    "mouth_psnr": 27.3,
    "mean_image_psnr": 26.1,
}


def test_a_good_run_has_nothing_out_of_bounds() -> None:
    assert out_of_bounds(GOOD, half_frame_ms=20.0) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frames_written", 249),
        ("duration_error_ms", 20.5),
        ("outside_mask_max_error", 1),
        ("opening_correlation", 0.44),
        ("opening_correlation", float("nan")),
        ("mouth_psnr", 26.2),
    ],
)
def test_each_bad_number_gets_a_sentence(name: str, value: float) -> None:
    (sentence,) = out_of_bounds({**GOOD, name: value}, half_frame_ms=20.0)
    assert sentence.startswith(f"{name} is {value:.4g}; it must be between ")


def test_moments_go_from_shut_to_wide_and_are_spread_in_time() -> None:
    times = np.arange(300) / 25
    openings = np.abs(np.sin(times)) * 0.1
    openings[100:110] = np.nan
    chosen = choose_moments(openings)
    assert [index // 50 for index in chosen] == [0, 1, 2, 3, 4, 5]
    assert np.nanmin(openings[chosen]) < 0.01
    assert np.nanmax(openings[chosen]) > 0.09


def test_pictures_are_the_ones_shown_at_a_time(tmp_path: Path) -> None:
    with VideoWriter(str(tmp_path / "a.mp4"), 32, 32, Fraction(25)) as writer:
        for level in range(0, 250, 25):
            writer.write(np.full((32, 32, 3), level, np.uint8))
    pictures = read_at(tmp_path / "a.mp4", np.array([0.0, 0.08, 0.1, 9.0]))
    assert [round(float(picture.mean()) / 25) for picture in pictures] == [0, 2, 2, 9]


@pytest.mark.parametrize("size", [(64, 64), (48, 96), (96, 48)])
def test_a_sheet_shows_both_frames_of_each_moment(size: tuple[int, int]) -> None:
    source, dubbed = (np.full((*size, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 0, 200)))
    moments = [Moment(float(second), source, dubbed, (20.0, 30.0, 40.0, 40.0)) for second in range(6)]
    times = np.arange(150) / 25
    voice = np.sin(np.arange(96000) / 20).astype(np.float32)
    sheet = np.asarray(draw_sheet("Title", ["Note"], moments, times, np.abs(np.sin(times)), voice, 16000))
    shares = [(sheet == colour).all(axis=-1).mean() for colour in ((200, 0, 0), (0, 0, 200))]
    assert shares[0] == shares[1] > 0.05
