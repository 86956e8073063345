"""The sound of a dub."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from s2l_core.dubbing import _fit_sound
from s2l_core.jobs import Media
from s2l_core.media.video import probe
from s2l_core.media.writing import VideoWriter


def test_the_sound_has_the_length_of_its_pictures() -> None:
    voice = np.ones((16_000, 2), np.float32), 16_000
    samples, rate = _fit_sound(voice, None, 24, 24, Fraction(25))
    assert (len(samples), rate) == (round(24 / 25 * 16_000), 16_000)
    samples, _ = _fit_sound(voice, None, 30, 30, Fraction(25))
    assert len(samples) == round(30 / 25 * 16_000)
    assert samples[:16_000].all() and not samples[16_000:].any()


def test_the_footages_own_sound_follows_where_its_pictures_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "loud.mp4"
    time = np.arange(4 * 16_000) / 16_000
    own = (0.5 * np.sin(2 * np.pi * 300 * time))[:, None].astype(np.float32)
    with VideoWriter(str(path), 64, 48, Fraction(25), sound=(own, 16_000)) as writer:
        for _ in range(100):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    assert probe(str(path)).has_sound
    silence = np.zeros((16_000, 1), np.float32), 16_000
    samples, _ = _fit_sound(silence, Media(str(path)), 25, 100, Fraction(25))
    assert not samples[:16_000].any()
    assert np.abs(samples[20_000:60_000]).max() == pytest.approx(0.5, abs=0.05)
