"""Benchmarks of speakers: figures of several clips in one file, their tables, and what is looked at."""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import look, quality
from benchmarks.looking.moments import COUNT, closed_to_open, end_of_pause, fast_opening
from benchmarks.looking.mouths import enlargement, plan_crops, show_mouths
from benchmarks.quality import main_measures
from benchmarks.trials import command
from benchmarks.trials.results import ClipFigures, Results
from s2l_core.evaluation.drivers import Driver
from s2l_core.events import Report
from s2l_core.footage import Footage
from s2l_core.jobs import Media
from s2l_core.media.video import probe, read_frames
from s2l_core.media.writing import VideoWriter

A = {"clip": "a.mp4", "fingerprint": "1", "version": "1.0"}
B = {"clip": "b.mp4", "fingerprint": "2", "version": "1.0"}


def movie(path: Path) -> str:
    with VideoWriter(str(path), 16, 16, Fraction(25)) as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))
    return str(path)


# ---- Figures


def test_figures_of_several_clips_are_kept_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    results = Results(path)
    a, b = results.of(A), results.of(B)
    results.add(b, "grids", 0, {"kid": 0.2})
    results.add(a, "grids", 0, {"kid": 0.1})
    assert [each["clip"] for each in json.loads(path.read_text())["clips"]] == ["a.mp4", "b.mp4"]
    again = Results(path)
    assert again.of(A).runs == {"grids": {"0": {"kid": 0.1}}}
    assert again.of(B).has("grids", 0) and not again.of(B).has("grids", 1)


def test_figures_of_another_version_are_dropped_for_their_clip_alone(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    results = Results(path)
    for identity in (A, B):
        results.add(results.of(identity), "grids", 0, {"kid": 0.1})
    newer = Results(path)
    assert newer.of({**A, "version": "2.0"}).runs == {}
    newer.add(newer.of({**A, "version": "2.0"}), "real", 0, {"kid": 0.3})
    assert [list(each["rows"]) for each in json.loads(path.read_text())["clips"]] == [["real"], ["grids"]]


def test_figures_are_summarised_over_seeds() -> None:
    figures = ClipFigures(A, {"grids": {"0": {"kid": 1.0, "lpips": None}, "1": {"kid": 3.0, "lpips": None}}})
    assert figures.rows["grids"] == {"kid": 2.0, "kid_std": 1.0, "lpips": None, "lpips_std": None}


def test_main_measures_have_a_column_for_each_clip_and_row() -> None:
    first = ClipFigures(A, {"real": {"0": {"kid": 0.1, "lmd": 0.0}}, "grids": {"0": {"kid": 0.3, "mouth_ssim": 0.9}}})
    second = ClipFigures(B, {"grids": {"0": {"kid": 0.4}, "1": {"kid": 0.6}}})
    columns = main_measures([first, second], ["real", "grids"])
    assert list(columns) == ["a\nreal", "a\ngrids", "b\ngrids"]
    assert columns["b\ngrids"]["kid"] == pytest.approx(0.5) and columns["b\ngrids"]["kid_std"] == pytest.approx(0.1)
    assert columns["a\ngrids"]["lmd"] is None and "mouth_ssim" not in columns["a\ngrids"]


def test_only_missing_rows_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[tuple[str, str, int]] = []
    shown: list[list[str]] = []

    def open_trial(clip: str, *_: object) -> Any:
        footage = SimpleNamespace(fingerprint=clip)
        return SimpleNamespace(name=Path(clip).stem, footage=footage, measure=lambda contender: {"kid": 0.1})

    def contend(trial: Any, row: str, seed: int) -> Any:
        measured.append((trial.name, row, seed))

    def run(*arguments: str) -> None:
        options = command.trial_parser("quality", "", ("real", "grids")).parse_args(
            ["--clip", *clips, "--json", str(tmp_path / "figures.json"), *arguments]
        )
        show, conclude = lambda trial, figures: None, lambda all_clips: shown.append([each.name for each in all_clips])
        assert command.run_trials(options, contend, show, ["real"], conclude) == 0

    monkeypatch.setattr(command, "open_trial", open_trial)
    clips = [movie(tmp_path / "a.mp4"), movie(tmp_path / "b.mp4")]
    run("--rows", "grids")
    assert measured == [("a", "grids", 0), ("b", "grids", 0)]
    measured.clear()
    run("--seeds", "2")
    assert measured == [(clip, row, seed) for clip in "ab" for row, seed in (("real", 0), ("grids", 1))]
    assert shown == [["a", "b"]] * 2


def test_clips_are_refused_before_anything_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other").mkdir()
    same = [movie(tmp_path / "a.mp4"), movie(tmp_path / "other/a.mp4")]
    assert quality.main(["--clip", *same]) == 1
    assert "Two clips are named a" in capsys.readouterr().err
    assert quality.main(["--clip", same[0], str(tmp_path / "missing.mp4")]) == 1
    assert "missing.mp4" in capsys.readouterr().err


# ---- Looking


def openings(count: int = 40) -> NDArray[np.float64]:
    """A mouth that opens once, between frames 20 and 23, and is not seen in frame 5."""
    values = np.concatenate([np.full(21, 0.02), [0.08, 0.16, 0.24], np.linspace(0.24, 0.02, count - 24)])
    values[5] = np.nan
    return values


def test_moments_go_from_closed_to_open() -> None:
    moments = closed_to_open(openings())
    chosen = openings()[moments]
    assert chosen[0] == 0.02 and chosen[-1] == 0.24 and (np.diff(chosen) >= 0).all()
    assert len(set(chosen)) == COUNT
    assert closed_to_open(np.full(10, np.nan)) == []


def test_moments_are_different_frames_even_if_few_are_open() -> None:
    moments = closed_to_open(np.concatenate([np.full(20, 0.02), [0.24]]))
    assert len(set(moments)) == COUNT and moments[-1] == 20
    assert closed_to_open(np.array([0.1, np.nan, 0.0])) == [2, 0]


def test_a_run_of_frames_has_the_fastest_opening_in_its_middle() -> None:
    assert fast_opening(openings()) == list(range(18, 26))
    assert fast_opening(openings()[:24]) == list(range(16, 24))
    assert fast_opening(np.full(5, np.nan)) == list(range(5))


def test_a_run_of_frames_has_the_end_of_the_longest_rest_in_its_middle() -> None:
    values = np.concatenate([np.full(4, 0.02), [0.2], np.full(15, 0.02), [0.1], np.full(12, 0.2), np.full(20, 0.02)])
    assert end_of_pause(values) == list(range(16, 24))
    assert end_of_pause(np.full(20, np.nan)) == end_of_pause(np.array([0.2, 0.02, 0.02])) == []


def test_crops_follow_the_mouth_in_whole_pixels_and_do_not_shake() -> None:
    left = np.concatenate([np.tile([100.25, 100.75], 10), 100 + 3.0 * np.arange(20)])
    boxes = np.stack([left, np.full(40, 50.0), left + 60, np.full(40, 90.0)], axis=1)
    crops = plan_crops(boxes)
    assert (crops.width, crops.height) == (84, 64)
    middles = crops.corners[:, 0] + crops.width / 2
    assert np.abs(middles - (left + 30)).max() <= 1.0
    assert len(set(crops.corners[:20, 0])) <= 2 and (np.diff(crops.corners[20:, 0]) == 3).all()


@pytest.mark.parametrize(("width", "factor"), [(40, 5), (84, 3), (199, 2), (200, 1), (800, 1)])
def test_only_small_mouths_are_enlarged(width: int, factor: int) -> None:
    assert enlargement(width) == factor


def test_mouths_are_shown_beside_the_source() -> None:
    images = [np.full((240, 320, 3), level, np.uint8) for level in range(20)]
    footage = SimpleNamespace(times=np.arange(20) / 25, frames=lambda: (SimpleNamespace(image=each) for each in images))
    driver = Driver(cast(Any, None), lambda seen, indices: [np.bitwise_not(image) for image in seen])
    crops = plan_crops(np.tile([20.0, 20.0, 200.0, 100.0], (20, 1)))
    shown = dict(show_mouths(cast(Footage, footage), [driver], crops, Report()))
    assert list(shown) == list(range(20))
    for index, (source, dubbed) in shown.items():
        assert source.shape == dubbed.shape == (crops.height, crops.width, 3)
        assert (source == index).all() and (dubbed == 255 - index).all()


def test_a_slow_movie_shows_each_frame_four_times(tmp_path: Path) -> None:
    levels = (20, 120, 220)
    path = tmp_path / "slow.mp4"
    look.write_slowly(path, (np.full((32, 48, 3), level, np.uint8) for level in levels), Fraction(25))
    assert probe(str(path)).rate == 25
    seen = [round(float(frame.image.mean()) / 20) * 20 for frame in read_frames(Media(str(path)))]
    assert seen == np.repeat(levels, 4).tolist()


def test_other_words_are_cut_or_followed_by_silence() -> None:
    sound = np.ones(16_000, np.float32)
    assert look.lasting(sound, 0.5).sum() == 8000 and len(look.lasting(sound, 0.5)) == 8000
    assert look.lasting(sound, 2.0).sum() == 16_000 and len(look.lasting(sound, 2.0)) == 32_000


def test_speakers_of_the_same_file_name_have_their_folders_in_the_caption() -> None:
    assert look.captions(["old/a.s2l", "new/b.s2l"]) == ["a", "b"]
    assert look.captions(["old/grids_0.s2l", "new/grids_0.s2l"]) == ["old/grids_0", "new/grids_0"]


def test_exemplars_are_shown_unless_speakers_are_named(tmp_path: Path) -> None:
    def rows(*arguments: str) -> list[str]:
        options: argparse.Namespace = look.read_options(["--clip", "a.mp4", "--out", str(tmp_path / "out"), *arguments])
        return list(options.rows)

    assert rows() == ["exemplars"] and rows("--speaker", "a.s2l") == []
    assert rows("--speaker", "a.s2l", "--rows", "grids", "ceiling") == ["grids", "ceiling"]


def test_what_cannot_be_shown_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = movie(tmp_path / "a.mp4")
    with pytest.raises(SystemExit):
        look.main(["--clip", clip, "--out", clip])
    assert "cannot make the folder" in capsys.readouterr().err
    assert look.main(["--clip", clip, "--out", str(tmp_path), "--speaker", str(tmp_path / "missing.s2l")]) == 1
    assert "missing.s2l" in capsys.readouterr().err
    assert look.main(["--clip", clip, "--out", str(tmp_path), "--rows", "nearest_frame"]) == 1
    assert "input of this job" in capsys.readouterr().err and probe(clip).width == 16
