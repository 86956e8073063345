"""The tutorials under examples/ run, on the embedded speaker, and do what they say."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from examples import compare_speakers, drive_the_worker, follow_a_job, repose_a_head, train_and_dub
from s2l_core.jobs import CheckJob, Media
from s2l_core.media.video import probe
from s2l_core.model.speaker import SpeakerModel
from s2l_core.training.presets import PRESETS

from .conftest import CLIP, EmbeddedHead

LINE = Media(str(CLIP.parent / "line.flac"), 0.0, 1.0)
FOOTAGE = Media(str(CLIP), 0.0, 12.0)  # that of the fixture hasty_speaker, analysed once for both


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> tuple[str, str]:
    """The paths of a speaker that has hardly learnt anything, and of its dub."""
    hasty = replace(PRESETS["draft"], appearance_steps=1, depth_steps=0, head_steps=1, speech_factor=0.02)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "draft", hasty)
        return train_and_dub.train_and_dub(FOOTAGE, LINE, tmp_path_factory.mktemp("tutorial"), consent=True)


def test_train_and_dub(trained: tuple[str, str]) -> None:
    speaker_path, dubbed = trained
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


def test_compare_speakers(trained: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse = SpeakerModel.load(trained[0])
    worse.metrics["mouth_psnr"] = 10.0
    worse.save(str(tmp_path / "worse.s2l"))
    better = compare_speakers.compare(str(tmp_path / "worse.s2l"), trained[0])
    assert better == trained[0]
    measured = compare_speakers.evaluate(better)
    assert f"{measured['h264']['mouth_psnr']:.1f} dB in the movie" in capsys.readouterr().out


def test_repose_a_head(embedded_head: EmbeddedHead, tmp_path: Path) -> None:
    result = repose_a_head.repose(embedded_head.speaker_path, Media(str(CLIP), 0.0, 1.0), tmp_path / "orbit.mp4", 64)
    assert (result["frames"], result["frames_outside"]) == (25, 0)


def test_drive_the_worker(trained: tuple[str, str]) -> None:
    with drive_the_worker.Engine(sys.executable) as engine:
        assert engine.run("describe", speaker_path=trained[0])["name"] == "Anna"
        with pytest.raises(RuntimeError, match="There is no file"):
            engine.run("describe", speaker_path="nowhere.s2l")
