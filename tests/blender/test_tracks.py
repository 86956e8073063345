"""The sound of movies: its start, and the choice of a track, compared with Blender's mixdown."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import versions
from test_mix import LENGTH, RATE, mixdown

MOVIES = [
    "both.mkv",
    "late_sound.mkv",
    "late_pictures.mkv",
    "late_sound.mov",
    "late_pictures.mp4",
    "late_sound.ts",
    "both.ts",
    "both.avi",
    "quiet_first.mkv",
]

needs_engine = pytest.mark.skipif("S2L_WORKER_PYTHON" not in os.environ, reason="needs a Python with the library")


@pytest.fixture(scope="module")
def movies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("movies")
    subprocess.run([os.environ["S2L_WORKER_PYTHON"], Path(__file__).with_name("make_sounds.py"), folder], check=True)
    return folder


def onsets(samples: np.ndarray) -> np.ndarray:
    """Seconds at which the bursts of a mix begin, and their frequencies: (n, 2)."""
    loud = np.flatnonzero(np.abs(samples[:, 0]) > 0.1)
    begins = loud[np.flatnonzero(np.diff(loud, prepend=-RATE) > RATE // 10)]
    windows = [samples[begin : begin + RATE // 25, 0] for begin in begins if begin + RATE // 25 < len(samples)]
    tones = [np.abs(np.fft.rfft(window * np.hanning(len(window)), RATE)).argmax() for window in windows]
    return np.stack([begins[: len(tones)] / RATE, tones], axis=1)


@needs_engine
@pytest.mark.parametrize("trim", [0, 30])
@pytest.mark.parametrize("name", MOVIES)
def test_the_sound_of_a_movie_begins_where_blender_begins_it(
    scene, strips, movies, tmp_path, engine_mix, name, trim
) -> None:
    strip = strips.new_sound("A", str(movies / name), 1, 1)
    versions.trim(strip, start=trim)
    truth, own = mixdown(scene, tmp_path / "truth.wav"), engine_mix([strip], LENGTH)
    assert len(onsets(truth)) >= 1
    assert onsets(own)[:, 0] == pytest.approx(onsets(truth)[:, 0], abs=0.01)
    assert onsets(own)[:, 1] == pytest.approx(onsets(truth)[:, 1], abs=30)
    assert np.abs(own).max() == pytest.approx(np.abs(truth).max(), rel=0.1)  # so it is the same track


@needs_engine
def test_a_track_is_chosen_by_its_strip_and_a_silent_one_is_passed_over(strips, movies, engine_mix) -> None:
    strip = strips.new_sound("A", str(movies / "quiet_first.mkv"), 1, 1)
    strip.s2l.track = 2
    assert np.abs(engine_mix([strip], LENGTH)).max() == pytest.approx(0.7 / 2**0.5, abs=0.03)
    strip = strips.new_sound("B", str(movies / "silent_first.mkv"), 2, 1)
    assert np.abs(engine_mix([strip], LENGTH)).max() == pytest.approx(0.7 / 2**0.5, abs=0.03)


def test_the_track_of_a_movie_strip_goes_into_its_jobs(module, scene, footage) -> None:
    library = module("s2l_blender_addon.sequencer.strips")
    assert library.visible_media(scene, footage).track is None
    footage.s2l.track = 3
    assert library.visible_media(scene, footage).track == 3
