"""A dub that is cut off goes on where it was, and ends with the same bytes; and what its formats hold."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

import s2l_core
from s2l_core.errors import BadJob, Cancelled
from s2l_core.events import Event, Progress, Report
from s2l_core.jobs import DubJob, Encoding, Media
from s2l_core.media.raster import Raster
from s2l_core.media.video import probe, read_frames
from s2l_core.media.writing import VideoWriter
from s2l_core.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
SPEAKER = ROOT / "demo" / "speaker.mp4"
KILLS = 10


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Twenty seconds of somebody talking."""
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    samples, rate = soundfile.read(ROOT / "demo" / "line.flac")
    soundfile.write(path, np.resize(samples, 20 * rate), rate)
    return str(path)


def job(speaker: str, voice: str, path: Path, seconds: float = 20.0) -> DubJob:
    return DubJob(speaker, Media(str(SPEAKER), 0.0, 4.0), Media(voice, 0.0, seconds), str(path), device="cpu")


def run_until(process: subprocess.Popen[str], progress_reports: int) -> None:
    """Kill a dubbing process after so many reports of its progress in dubbing, or let it end."""
    assert process.stderr
    for line in process.stderr:
        if '"Dub"' in line:
            progress_reports -= 1
        if progress_reports < 0:
            process.kill()
            break
    process.wait()


def test_killed_ten_times_it_ends_with_the_same_bytes(hasty_speaker: str, voice: str, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    s2l_core.dub(job(hasty_speaker, voice, whole))
    words = ["dub", hasty_speaker, str(SPEAKER), voice, str(cut), "--end", "4", "--voice-end", "20", "--device", "cpu"]
    command = [sys.executable, "-m", "s2l_core.cli", *words, "--json"]
    moments = random.Random(5)
    for _ in range(KILLS):
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            run_until(process, moments.randrange(20))  # a chunk takes 16 reports
            assert process.returncode < 0, "it ended before it was killed"
        assert not cut.exists()
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["frames_resumed"] > 0
    assert cut.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.mp4", "whole.mp4"]


def test_a_result_tells_how_its_speaker_was_trained(hasty_speaker: str, voice: str, tmp_path: Path) -> None:
    result = s2l_core.dub(job(hasty_speaker, voice, tmp_path / "dubbed.mp4", 0.4))
    assert (result["speaker_seed"], result["speaker_version"]) == (0, VERSION)
    assert 10 < result["speaker_mouth_psnr"] < 60


def test_cancelled_dub_keeps_its_finished_chunks(hasty_speaker: str, voice: str, tmp_path: Path) -> None:
    told: list[Progress] = []

    def listen(event: Event) -> None:
        if isinstance(event, Progress) and event.phase == "Dub":
            told.append(event)

    path = tmp_path / "dubbed.mp4"
    with pytest.raises(Cancelled):
        s2l_core.dub(job(hasty_speaker, voice, path, 8.0), Report(listen, lambda: bool(told) and told[-1].done > 130))
    assert s2l_core.dub(job(hasty_speaker, voice, path, 8.0))["frames_resumed"] == 128


def test_other_words_are_not_mixed_with_chunks_of_the_last_ones(hasty_speaker: str, voice: str, tmp_path: Path) -> None:
    asked = job(hasty_speaker, voice, tmp_path / "dubbed.mp4", 8.0)
    done = 0

    def listen(event: Event) -> None:
        nonlocal done
        done = int(event.done) if isinstance(event, Progress) and event.phase == "Dub" else done

    with pytest.raises(Cancelled):
        s2l_core.dub(asked, Report(listen, lambda: done > 130))
    other = replace(asked, voice=Media(voice, 3.0, 11.0))
    assert s2l_core.dub(other)["frames_resumed"] == 0


def test_moments_say_which_frames_are_shown(hasty_speaker: str, voice: str, tmp_path: Path) -> None:
    moments = tuple(index / 25 for index in (40, 39, 38, 10, 10, 11, 90, 2))
    path = tmp_path / "dubbed.mkv"
    result = s2l_core.dub(replace(job(hasty_speaker, voice, path), moments=moments, encoding=Encoding("ffv1")))
    assert (result["frames_written"], result["frames_expected"]) == (8, 8)
    source = {round(frame.time * 25): frame.image for frame in read_frames(Media(str(SPEAKER), 0.0, 4.0))}
    corner = np.s_[:60, :60]  # far from the mouth
    for frame, moment in zip(read_frames(Media(str(path))), moments, strict=True):
        assert np.array_equal(frame.image[corner], source[round(moment * 25)][corner])


def test_mouth_over_the_source_gives_the_dubbed_picture(hasty_speaker: str, voice: str, tmp_path: Path) -> None:
    short = job(hasty_speaker, voice, tmp_path / "picture", 0.4)
    s2l_core.dub(replace(short, encoding=Encoding("png")))
    s2l_core.dub(replace(short, output_path=str(tmp_path / "mouth"), encoding=Encoding("png", layer="mouth")))
    for index, frame in enumerate(read_frames(Media(str(SPEAKER), 0.0, 0.4))):
        name = f"{index + 1:06}.png"
        mouth = cv2.cvtColor(read(tmp_path / "mouth" / name), cv2.COLOR_BGRA2RGBA).astype(float)
        picture = cv2.cvtColor(read(tmp_path / "picture" / name), cv2.COLOR_BGR2RGB)
        over = frame.image + mouth[..., 3:] / 255 * (mouth[..., :3] - frame.image)
        assert 0 < (mouth[..., 3] > 0).mean() < 0.3
        assert np.abs(over.round() - picture).mean() < 0.01
        assert np.percentile(np.abs(over.round() - picture), 99.99) <= 2


def test_a_squeezed_cut_out_in_16_bits_stays_what_it_is(hasty_speaker: str, voice: str, tmp_path: Path) -> None:
    take, dubbed = str(tmp_path / "take.mkv"), str(tmp_path / "dubbed.mkv")
    raster = Raster(Fraction(64, 45), depth=16, has_alpha=True, has_full_chroma=True)
    noise = np.random.default_rng(1).integers(0, 257, (384, 270, 3), np.uint16)
    alpha = (np.hypot(*(np.mgrid[:384, :270] - np.array([[[200]], [[135]]]))) < 180)[..., None] * np.uint16(65535)
    with VideoWriter(take, 270, 384, Fraction(25), encoding=Encoding("ffv1"), raster=raster) as writer:
        for frame in read_frames(Media(str(SPEAKER), 0.0, 0.6)):
            squeezed = np.asarray(cv2.resize(frame.image, (270, 384), interpolation=cv2.INTER_AREA), np.uint16)
            writer.write(np.concatenate([(squeezed * 257) ^ noise, alpha], axis=-1))
    asked = DubJob(hasty_speaker, Media(take), Media(voice, 0.0, 0.6), dubbed, encoding=Encoding("ffv1"), device="cpu")
    result = s2l_core.dub(asked)
    assert (result["frames_dubbed"], result["summary"]) == (15, "Dubbed 15 frames.")
    assert probe(dubbed).raster == probe(take).raster == raster
    for old, new in zip(read_frames(Media(take)), read_frames(Media(dubbed)), strict=True):
        changed = (old.picture != new.picture).any(axis=-1)
        assert np.array_equal(old.picture[..., 3], new.picture[..., 3])
        assert changed[250:330, 100:170].mean() > 0.5
        changed[200:384, 50:220] = False
        assert not changed.any()


def read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


@pytest.mark.parametrize("name", ["dubbed.mov", "dubbed"])
def test_name_must_fit_the_format(hasty_speaker: str, voice: str, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadJob, match=r"does not end in \.mp4"):
        s2l_core.dub(job(hasty_speaker, voice, tmp_path / name))
    assert not list(tmp_path.iterdir())


def test_dubbed_movie_has_the_rate_and_sound_asked_for(hasty_speaker: str, voice: str, tmp_path: Path) -> None:
    path = tmp_path / "dubbed.mov"
    s2l_core.dub(replace(job(hasty_speaker, voice, path, 1.0), rate="30000/1001", encoding=Encoding("prores")))
    info = probe(str(path))
    assert (str(info.rate), info.codec, info.has_sound) == ("30000/1001", "prores", True)
