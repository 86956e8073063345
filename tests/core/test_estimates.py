"""What is told of a job before it starts."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import s2l_core
from s2l_core.errors import BadJob, NotAVideo
from s2l_core.estimates import Calibration, estimate, from_json, from_values, load_calibration, to_json
from s2l_core.jobs import CalibrateJob, CheckJob, DubJob, EstimateJob, Job, Media, TrainJob
from s2l_core.verbs import calibrate as measuring

KNOWN = Calibration("0.1.0", "cpu", 0.009, 0.02, 0.035, 0.004)
FOOTAGE = Media("take.mp4")
TRAIN = TrainJob(FOOTAGE, "ada.s2l", preset="draft")
DUB = DubJob("ada.s2l", FOOTAGE, Media("line.wav"), "dubbed.mp4")


def seconds(job: Any, frames: int = 1500, width: int = 640, height: int = 360, **options: Any) -> float:
    return estimate(job, frames, width, height, KNOWN, **options).seconds


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (seconds(CheckJob(FOOTAGE)), seconds(TRAIN)),
        (seconds(TRAIN), seconds(replace(TRAIN, preset="balanced"))),
        (seconds(replace(TRAIN, preset="balanced")), seconds(replace(TRAIN, preset="final"))),
        (seconds(TRAIN), seconds(replace(TRAIN, architecture="paper"))),
        (seconds(TRAIN), seconds(TRAIN, frames=6000)),
        (seconds(DUB), seconds(DUB, width=1920, height=1080)),
        (seconds(DUB, looked_at=True), seconds(DUB)),
        (seconds(DUB, output_frames=100), seconds(DUB)),
    ],
)
def test_more_work_takes_longer(less: float, more: float) -> None:
    assert 0 < less < more


def test_longer_footage_takes_more_memory_and_disk() -> None:
    short, long = (estimate(TRAIN, frames, 640, 360, KNOWN) for frames in (500, 5000))
    assert 0 < short.memory_bytes < long.memory_bytes
    assert 0 < short.disk_bytes < long.disk_bytes


def test_training_takes_little_more_memory_beyond_five_minutes() -> None:
    five, hour = (estimate(TRAIN, 25 * 60 * minutes, 1920, 1080, KNOWN).memory_bytes for minutes in (6, 60))
    assert five < hour < 2 * five


def test_estimates_follow_what_jobs_took() -> None:
    known = KNOWN
    for _ in range(20):
        known = known.corrected("dub", estimate(DUB, 1500, 640, 360, known).seconds, 90.0)
    assert estimate(DUB, 1500, 640, 360, known).seconds == pytest.approx(90.0, rel=0.01)
    assert estimate(TRAIN, 1500, 640, 360, known) == estimate(TRAIN, 1500, 640, 360, KNOWN)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "{" * 5000, to_json(KNOWN)[:-1]]
    + [
        json.dumps({**asdict(KNOWN), **change})
        for change in (
            {"step_seconds": 0},
            {"step_seconds": "fast"},
            {"step_seconds": float("nan")},
            {"step_seconds": True},
            {"step_seconds": 10**400},
            {"corrections": [1]},
            {"corrections": {"dub": 10**400}},
            {"corrections": {"dub": float("inf")}},
            {"version": "\0"},
            {"corrections": {"dub": -1}},
            {"device": 3},
            {"more": 1},
        )
    ],
)
def test_what_is_no_calibration_counts_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text(text)
    assert from_json(text) is None
    assert load_calibration(str(tmp_path / "calibration.json")) is None


def test_a_calibration_is_measured_once_and_jobs_improve_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(measuring, "_PIECE_SECONDS", 0.01)
    first = s2l_core.calibrate(CalibrateJob(device="cpu"))
    assert from_values(first) == from_json(json.dumps(first)) is not None
    assert s2l_core.calibrate(CalibrateJob(device="cpu")) == first
    footage = Media(str(Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4"))
    job: Job = CheckJob(footage, device="cpu")
    known = from_values(first)
    assert known is not None
    taken = 2 * estimate(CheckJob(footage), 1545, 384, 384, known).seconds
    measuring.learn_from(job, {}, taken)
    assert s2l_core.calibrate(CalibrateJob(device="cpu"))["corrections"]["check"] == pytest.approx(2**0.3, rel=0.01)
    measuring.learn_from(job, {}, 1000 * taken)  # something else went on
    assert np.isfinite(s2l_core.calibrate(CalibrateJob(device="cpu"))["corrections"]["check"])


def test_the_engine_tells_what_a_job_will_take_once_the_machine_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(measuring, "_PIECE_SECONDS", 0.01)
    footage = Media(str(Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4"), 0.0, 20.0)
    short = DubJob("anna.s2l", footage, footage, "dubbed.mp4", moments=(0.0,) * 50, device="cpu")
    with pytest.raises(BadJob, match="not been measured"):
        s2l_core.estimate(EstimateJob(short, measure=False))
    once = s2l_core.estimate(EstimateJob(short))
    long = s2l_core.estimate(EstimateJob(replace(short, moments=(0.0,) * 500), measure=False))
    assert 0 < once["seconds"] < long["seconds"]
    assert 0 < once["disk_bytes"] < long["disk_bytes"] and once["memory_bytes"] > 100e6
    monkeypatch.setattr(measuring, "is_prepared", lambda media, landmarks: True)
    assert s2l_core.estimate(EstimateJob(short))["seconds"] < once["seconds"]


def test_what_is_no_video_is_refused_before_anything_is_measured_or_hashed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("is_prepared", "_measure"):
        monkeypatch.setattr(measuring, name, lambda *_: pytest.fail("this takes long"))
    text = tmp_path / "take.mp4"
    text.write_text("no video")
    with pytest.raises(NotAVideo):
        s2l_core.estimate(EstimateJob(CheckJob(Media(str(text)), device="cpu")))
