"""The tutorials under examples/ run, on the embedded speaker, and do what they say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from examples import compare_speakers, drive_the_worker, follow_a_job, repose_a_head
from s2l_core.jobs import CheckJob, Media
from s2l_core.media.video import probe
from s2l_core.model.speaker import SpeakerModel

from .conftest import CLIP, EmbeddedHead

FOOTAGE = Media(str(CLIP), 0.0, 12.0)  # as in the first tutorial, analysed once for both


def test_train_and_dub(tutorial_results: tuple[str, str]) -> None:
    speaker_path, dubbed = tutorial_results
    assert Path(speaker_path).is_file()
    assert float(probe(Media(dubbed)).duration) == pytest.approx(1.0, abs=0.05)


def test_follow_a_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert follow_a_job.follow(CheckJob(FOOTAGE), limit_seconds=600)
    assert "Measure sharpness 100%" in capsys.readouterr().out


def test_follow_a_job_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert follow_a_job.follow(CheckJob(Media("nowhere.mp4")), limit_seconds=600) is None
    assert capsys.readouterr().out.startswith("file_missing: There is no file nowhere.mp4. Check the path")


def test_follow_a_job_past_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert follow_a_job.follow(CheckJob(FOOTAGE), limit_seconds=0) is None
    assert "cancelled: The job was cancelled." in capsys.readouterr().out


def test_compare_speakers(hasty_speaker: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse = SpeakerModel.load(hasty_speaker)
    worse.metrics["mouth_psnr"] = 10.0
    worse.save(str(tmp_path / "worse.s2l"))
    better = compare_speakers.compare(str(tmp_path / "worse.s2l"), hasty_speaker)
    assert better == hasty_speaker
    measured = compare_speakers.evaluate(better)
    assert f"{measured['h264']['mouth_psnr']:.1f} dB in the movie" in capsys.readouterr().out


def test_repose_a_head(embedded_head: EmbeddedHead, tmp_path: Path) -> None:
    path, footage = embedded_head
    result = repose_a_head.repose(path, footage, tmp_path / "orbit.mp4", seconds=0.4, pixels=64)
    assert (result["frames"], result["frames_outside"]) == (10, 0)


def test_drive_the_worker(hasty_speaker: str) -> None:
    with drive_the_worker.Engine(sys.executable) as engine:
        assert engine.run("describe", speaker_path=hasty_speaker)["name"] == "Anna"
        with pytest.raises(RuntimeError, match="There is no file"):
            engine.run("describe", speaker_path="nowhere.s2l")
