"""Judging footage before training: what is measured, and what is said about it."""

from __future__ import annotations

import json
import wave
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from s2l_core.errors import Cancelled, FootageTooShort, NoFace, NoSound, SoundOfAnother
from s2l_core.events import Event, Progress, Report
from s2l_core.face.sharpness import measure_blur
from s2l_core.footage import Footage, prepare
from s2l_core.jobs import CheckJob, Media, OffsetJob
from s2l_core.media.audio import read_speech
from s2l_core.media.waveform import Waveform
from s2l_core.media.writing import VideoWriter
from s2l_core.speech.synchrony import find_offset, is_foreign, refuse_foreign
from s2l_core.verbs.check import check
from s2l_core.verbs.offset import offset


def write_wav(path: Path, speech: np.ndarray, rate: int = 16_000) -> Media:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(speech * 32767).astype("<i2").tobytes())
    return Media(str(path))


def babble(seconds: float, delay: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times and openings of a mouth at 25 fps, and noise as loud as it was open ``delay`` seconds before."""
    random = np.random.default_rng(seed)
    beats = random.uniform(0, 1, int(8 * seconds) + 8)
    times = np.arange(int(25 * seconds)) / 25
    samples = np.arange(int(16_000 * seconds)) / 16_000
    speech = random.normal(size=len(samples)) * np.interp(samples - delay, np.arange(len(beats)) / 8, beats) ** 2
    return times, np.interp(times, np.arange(len(beats)) / 8, beats), 0.1 * speech


@pytest.mark.parametrize("delay", [-0.3, -0.04, 0.0, 0.12, 0.4])
def test_offset_of_late_sound_is_positive(delay: float) -> None:
    offset = find_offset(*babble(30.0, delay))
    assert offset is not None and offset.is_reliable
    assert offset.seconds == pytest.approx(delay, abs=0.02)


def test_offset_to_the_sound_of_somebody_else_is_not_relied_upon() -> None:
    times, openings, _ = babble(60.0, seed=1)
    for seed in range(2, 12):
        offset = find_offset(times, openings, babble(60.0, seed=seed)[2])
        assert offset is not None and not offset.is_reliable


def test_offset_cannot_be_told_from_little_or_constant_material() -> None:
    times, openings, speech = babble(8.0)
    assert find_offset(times, openings, speech) is None
    times, openings, speech = babble(20.0)
    assert find_offset(times, np.zeros_like(openings), speech) is None
    assert find_offset(times, np.full_like(openings, np.nan), speech) is None
    assert find_offset(times, openings, np.zeros_like(speech)) is None


def test_frames_without_a_face_do_not_hide_the_offset() -> None:
    times, openings, speech = babble(40.0, 0.2)
    openings[100:150] = np.nan
    offset = find_offset(times, openings, speech)
    assert offset is not None and offset.seconds == pytest.approx(0.2, abs=0.02)


def test_blur_grows_with_blur_and_not_with_size() -> None:
    corners = np.array([[0.0, 0.0], [256.0, 256.0]])
    sharp = np.repeat(np.random.default_rng(0).integers(0, 256, (256, 256, 1), dtype=np.uint8), 3, axis=2)
    blurs = [measure_blur(sharp, corners)]
    blurs += [
        measure_blur(np.asarray(cv2.GaussianBlur(sharp, (0, 0), sigma), np.uint8), corners) for sigma in (2, 4, 8)
    ]
    assert blurs == sorted(blurs) and blurs[0] < 0.2 < 0.5 < blurs[-1]
    double = np.asarray(cv2.resize(sharp, (512, 512), interpolation=cv2.INTER_NEAREST), np.uint8)
    assert measure_blur(double, 2.0 * corners) == pytest.approx(blurs[0], abs=0.02)


def test_blur_of_nothing_is_not_a_number() -> None:
    image = np.zeros((50, 50, 3), np.uint8)
    assert np.isnan(measure_blur(image, np.array([[0.0, 0.0], [50.0, 50.0]])))
    assert np.isnan(measure_blur(image, np.array([[60.0, 60.0], [90.0, 90.0]])))


@pytest.fixture(scope="module")
def footage(shared_data: Path) -> Footage:
    """Half a minute of a man who talks."""
    return prepare(Media(str(shared_data / "speakers/cnn2_71s.mp4"), end=30.0))


@pytest.fixture
def talking(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> CheckJob:
    """Check that footage; its head is tracked once for all tests."""
    monkeypatch.setattr("s2l_core.verbs.check.prepare", lambda *arguments: footage)
    return CheckJob(footage.media)


def test_sound_footage_is_only_said_to_be_short(talking: CheckJob) -> None:
    result = check(talking)
    assert result == json.loads(json.dumps(result))
    assert result["duration_seconds"] == pytest.approx(30.0, abs=0.1)
    assert (result["rate"], result["face_share"]) == (25.0, 1.0)
    assert 220 < result["face_width_px"] < 245
    assert all(
        -30 < low < high < 30 for low, high in (result["yaw_degrees"], result["pitch_degrees"], result["roll_degrees"])
    )
    assert result["blur"] and 0.3 < result["blur"] < 0.6
    assert result["noise_db"] + 15 < result["loudness_db"] < -10
    assert result["offset_seconds"] is not None and abs(result["offset_seconds"]) <= 0.06
    assert result["verdict"] == "usable"
    assert len(result["advice"]) == 1 and "30 s" in result["advice"][0]


def test_sound_out_of_step_is_told_with_its_direction(talking: CheckJob, tmp_path: Path) -> None:
    speech = read_speech(talking.footage)
    late = write_wav(tmp_path / "late.wav", np.concatenate([np.zeros(4000), speech]))
    result = check(replace(talking, voice=late))
    assert result["offset_seconds"] == pytest.approx(0.28, abs=0.05)
    assert result["verdict"] == "poor"
    assert any("after the picture" in sentence for sentence in result["advice"])


def test_the_offset_of_late_sound_is_measured_with_confidence(
    talking: CheckJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, footage: Footage
) -> None:
    monkeypatch.setattr("s2l_core.verbs.offset.prepare", lambda *arguments: footage)
    speech = read_speech(talking.footage)
    late = write_wav(tmp_path / "late.wav", np.concatenate([np.zeros(4000), speech]))
    result = offset(OffsetJob(talking.footage, late))
    assert result["offset_seconds"] == pytest.approx(0.28, abs=0.05)
    assert result["is_reliable"] and 0.3 < result["confidence"] <= 1.0


def test_no_offset_is_told_of_the_voice_of_somebody_else_or_of_seconds(
    talking: CheckJob, shared_data: Path, monkeypatch: pytest.MonkeyPatch, footage: Footage
) -> None:
    monkeypatch.setattr("s2l_core.verbs.offset.prepare", lambda *arguments: footage)
    stranger = str(shared_data / "audio/english_60s.wav")
    assert not offset(OffsetJob(talking.footage, Media(stranger)))["is_reliable"]
    with pytest.raises(FootageTooShort, match=r"share only 8\.0 s"):
        offset(OffsetJob(talking.footage, Media(stranger, end=8.0)))


def test_voice_of_somebody_else_is_noticed(talking: CheckJob, shared_data: Path) -> None:
    result = check(replace(talking, voice=Media(str(shared_data / "audio/english_60s.wav"))))
    assert result["offset_seconds"] is None and result["verdict"] == "poor"
    assert any("The lips do not move with this sound" in sentence for sentence in result["advice"])


@pytest.mark.parametrize("seconds", [20.0, 30.0])
def test_the_own_voice_is_never_taken_for_that_of_another(footage: Footage, seconds: float) -> None:
    speech = read_speech(footage.media)
    chosen = footage.times < seconds
    assert not is_foreign(footage.times[chosen], footage.openings[chosen], speech[: round(16_000 * seconds)])


def test_training_refuses_sound_that_does_not_move_the_lips(footage: Footage, shared_data: Path) -> None:
    stranger = read_speech(Media(str(shared_data / "audio/english_60s.wav"), 0.0, 30.0))
    with pytest.raises(SoundOfAnother, match="do not move with the sound") as refusal:
        refuse_foreign(footage.times, footage.openings, stranger, "other.wav")
    assert "--any-sound" in refusal.value.hint


def test_too_little_material_is_not_judged(footage: Footage, shared_data: Path) -> None:
    stranger = read_speech(Media(str(shared_data / "audio/english_60s.wav"), 0.0, 15.0))
    chosen = footage.times < 15.0
    assert not is_foreign(footage.times[chosen], footage.openings[chosen], stranger)
    hidden = np.where(footage.times < 12.0, footage.openings, np.nan)
    assert not is_foreign(
        footage.times, hidden, read_speech(Media(str(shared_data / "audio/english_60s.wav"), 0.0, 30.0))
    )


def test_useless_sound_makes_the_footage_poor(talking: CheckJob, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    hiss = np.clip(0.05 * random.normal(size=480_000), -1, 1)
    sounds = {"silent": np.zeros(480_000), "distorted": np.sign(hiss), "above the noise": hiss}
    for words, sound in sounds.items():
        result = check(replace(talking, voice=write_wav(tmp_path / "voice.wav", sound)))
        assert result["verdict"] == "poor"
        assert any(words in sentence for sentence in result["advice"])


def test_a_few_seconds_are_too_short(shared_data: Path) -> None:
    result = check(CheckJob(Media(str(shared_data / "speakers/cnn2_71s.mp4"), start=2.0, end=5.0)))
    assert result["verdict"] == "poor"
    assert result["offset_seconds"] is None
    assert "3.0 s" in result["advice"][0]


def write_clip(path: Path, sound: bool) -> Media:
    voice = Waveform.of(np.zeros((16_000, 1), np.float32), 16_000) if sound else None
    with VideoWriter(str(path), 64, 64, Fraction(25), sound=voice) as writer:
        for _ in range(25):
            writer.write(np.full((64, 64, 3), 90, np.uint8))
    return Media(str(path))


def test_footage_that_cannot_be_judged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoSound, match=r"mute\.mp4"):
        check(CheckJob(write_clip(tmp_path / "mute.mp4", sound=False)))
    with pytest.raises(NoFace, match=r"wall\.mp4"):
        check(CheckJob(write_clip(tmp_path / "wall.mp4", sound=True)))


def test_progress_is_told_and_a_cancelled_check_stops(talking: CheckJob) -> None:
    events: list[Event] = []
    check(talking, Report(events.append))
    assert {event.phase for event in events if isinstance(event, Progress)} >= {"Measure sharpness"}
    with pytest.raises(Cancelled):
        check(talking, Report(is_cancelled=lambda: True))
