"""The sound of a dub."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from s2l_core.dubbing import _fit_sound
from s2l_core.jobs import Encoding, Media
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


def test_what_is_kept_sounds_as_the_footage_does_until_its_sound_ends(tmp_path: Path) -> None:
    """Two channels at 48 kHz under a voice of one at 16 kHz, and a second less of sound than of pictures."""
    path = tmp_path / "stereo.mkv"
    time = np.arange(3 * 48_000) / 48_000
    own = np.stack([0.5 * np.sin(2 * np.pi * tone * time) for tone in (12_000, 300)], axis=1).astype(np.float32)
    with VideoWriter(str(path), 64, 48, Fraction(25), sound=(own, 48_000), encoding=Encoding("ffv1")) as writer:
        for _ in range(100):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    said = (0.3 * np.sin(2 * np.pi * 500 * np.arange(16_000) / 16_000))[:, None].astype(np.float32)
    samples, rate = _fit_sound((said, 16_000), Media(str(path)), 25, 100, Fraction(25))
    assert (samples.shape, rate) == ((4 * 48_000, 2), 48_000)
    assert np.abs(samples[999:47_001:3] - said[333:15_667]).max() < 0.01
    assert np.abs(samples[48_000 : 3 * 48_000] - own[48_000:]).max() < 1e-3
    assert not samples[3 * 48_000 :].any()
    samples, rate = _fit_sound((said, 16_000), Media(str(path)), 75, 100, Fraction(25))
    assert (samples.shape, rate) == ((4 * 16_000, 1), 16_000)
    assert not samples[16_000:].any()
