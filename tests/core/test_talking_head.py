"""What the example of a moving camera shows."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from demo.talking_head import choose_shots, draw_sheet, main
from s2l_core.media.writing import VideoWriter


def test_shots_are_spread_over_the_way_of_the_camera() -> None:
    degrees = [-10 * math.cos(math.pi * frame / 200) for frame in range(201)]
    shots = choose_shots(degrees, Fraction(25))
    assert [shot.degrees for shot in shots] == pytest.approx([-10, -5, 0, 5, 10], abs=0.2)
    assert [shot.time for shot in shots] == pytest.approx([0, 200 / 75, 4, 400 / 75, 8], abs=0.05)


def test_sheet_shows_the_footage_above_what_became_of_it(tmp_path: Path) -> None:
    footage, movie = tmp_path / "footage.mp4", tmp_path / "movie.mp4"
    for path, colour in ((footage, (200, 0, 0)), (movie, (0, 0, 200))):
        with VideoWriter(str(path), 32, 32, Fraction(25)) as writer:
            for _ in range(10):
                writer.write(np.full((32, 32, 3), colour, np.uint8))
    sheet = np.asarray(draw_sheet(footage, movie, choose_shots(range(10), Fraction(25)))).astype(int)
    rows = [
        np.flatnonzero((np.abs(sheet - colour).max(axis=-1) < 20).any(axis=1)) for colour in ((200, 0, 0), (0, 0, 200))
    ]
    assert len(rows[0]) == len(rows[1]) > 300
    assert rows[0].max() < rows[1].min()


def test_missing_results_of_the_demo_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), "--extension", "none.zip"]) == 1
    assert (
        "does not hold speaker.s2l and speaker_dubbed.mp4. Run python3 build.py demo first." in capsys.readouterr().err
    )
