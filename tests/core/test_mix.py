"""Sounds on a timeline."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from s2l_core.errors import FileMissing
from s2l_core.jobs import Media, Mix, Sound
from s2l_core.media.audio import SPEECH_RATE, read_audio, read_speech
from s2l_core.media.mix import MIX_RATE, mix, open_voice, read_context, read_voice

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes samples (n,) or (n, channels) as a WAV file of 16 bits."""

    def write(samples: np.ndarray, rate: int = MIX_RATE) -> str:
        channels = samples.reshape(len(samples), -1)
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((channels.shape[1], 2, rate, 0, "NONE", ""))
            file.writeframes((channels * 32768).round().astype("<i2").tobytes())
        return str(path)

    return write


def mixed(sounds: Mix) -> np.ndarray:
    """What is heard of a mix, (n, 2)."""
    return mix(sounds).samples()


def noise(seconds: float, channels: int = 2) -> np.ndarray:
    """Samples that 16 bits hold exactly."""
    values = np.random.default_rng(0).integers(-8000, 8000, (round(seconds * MIX_RATE), channels))
    return values.astype(np.float32) / 32768


def tone(frequency: float, seconds: float, rate: int = MIX_RATE) -> np.ndarray:
    return 0.4 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def test_at_its_own_speed_a_sound_is_its_samples(write: Write) -> None:
    samples = noise(2.0)
    heard = mixed(Mix(2.0, (Sound(write(samples), 0.5, 1.0, (0.25, 1.25)),)))
    assert heard.shape == (2 * MIX_RATE, 2)
    assert np.array_equal(heard[MIX_RATE // 2 : 3 * MIX_RATE // 2], samples[MIX_RATE // 4 : 5 * MIX_RATE // 4])
    assert not heard[: MIX_RATE // 2].any() and not heard[3 * MIX_RATE // 2 :].any()


def test_sounds_add_up_and_are_cut_off_at_full_scale(write: Write) -> None:
    path = write(np.full((MIX_RATE, 2), 0.5))
    sounds = [Sound(path, at, 1.0 - at, (at, 1.0)) for at in (0.0, 0.25, 0.5)]
    heard = mixed(Mix(1.0, tuple(sounds)))
    assert heard[[1000, 20_000, 40_000], 0].tolist() == pytest.approx([0.5, 1.0, 1.0])


@pytest.mark.parametrize(
    ("pan", "left", "right"),
    [(0, 0.7071, 0.7071), (-1, 1, 0), (1, 0, 1), (0.5, 0.3827, 0.9239), (-1.5, 0.9239, 0.3827), (2, 0.7071, 0.7071)],
)
def test_pan_moves_a_sound_of_one_channel_at_constant_power(
    write: Write, pan: float, left: float, right: float
) -> None:
    path = write(np.full(MIX_RATE, 0.5))
    heard = mixed(Mix(1.0, (Sound(path, 0.0, 1.0, (0.0, 1.0), pans=(pan,)),)))
    assert 2 * heard[MIX_RATE // 2] == pytest.approx([left, right], abs=1e-3)


def test_pan_leaves_two_channels_alone_until_they_are_summed(write: Write) -> None:
    path = write(np.full((MIX_RATE, 2), (0.2, 0.3)))
    for mono, expected in ((False, [0.2, 0.3]), (True, [0.5, 0.0])):
        heard = mixed(Mix(1.0, (Sound(path, 0.0, 1.0, (0.0, 1.0), pans=(-1.0,), mono=mono),)))
        assert heard[MIX_RATE // 2] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8, 9])
def test_files_of_many_channels_are_heard_in_two(write: Write, channels: int) -> None:
    path = write(np.full((MIX_RATE // 10, channels), 0.05))
    left, right = mixed(Mix(0.1, (Sound(path, 0.0, 0.1, (0.0, 0.1)),)))[2000]
    assert left == pytest.approx(right, abs=1e-3) and left > 0.049


def test_curves_run_from_where_a_sound_begins_to_where_it_ends(write: Write) -> None:
    path = write(np.full((2 * MIX_RATE, 2), 0.5))
    heard = mixed(Mix(2.0, (Sound(path, 0.5, 1.0, (0.0, 1.0), volumes=(0.0, 1.0, 0.0)),)))[:, 0]
    assert 2 * heard[[24_000, 36_000, 48_000, 60_000, 71_999]] == pytest.approx([0, 0.5, 1, 0.5, 0], abs=1e-3)


@pytest.mark.parametrize("speed", [0.5, 0.97, 2.0, 4.0])
def test_a_retimed_sound_is_the_sound_at_its_moments(write: Write, speed: float) -> None:
    path = write(tone(440, 4.0))
    heard = mixed(Mix(1.0, (Sound(path, 0.0, 1.0, (0.0, speed), pans=(-1.0,)),)))[:, 0]
    expected = tone(440 * speed, 1.0)
    assert np.abs(heard - expected)[500:-500].max() < 2e-3


def test_what_a_faster_speed_would_fold_back_is_left_out(write: Write) -> None:
    path = write(tone(20_000, 2.0))
    heard = mixed(Mix(0.5, (Sound(path, 0.0, 0.5, (0.0, 1.0)),)))
    assert np.abs(heard[500:-500]).max() < 0.02


def test_a_sound_may_stand_still_and_run_backwards(write: Write) -> None:
    ramp = np.linspace(-0.5, 0.5, 2 * MIX_RATE)
    path = write(ramp)
    heard = mixed(Mix(2.0, (Sound(path, 0.0, 2.0, (1.9, 0.1, 0.1), pans=(-1.0,)),)))[:, 0]
    assert heard[MIX_RATE // 2] == pytest.approx(ramp[MIX_RATE], abs=1e-3)
    assert heard[MIX_RATE + 2000 :] == pytest.approx(ramp[MIX_RATE // 10], abs=1e-3)


def test_before_and_after_a_file_there_is_silence(write: Write) -> None:
    path = write(np.full((MIX_RATE, 2), 0.5))
    heard = mixed(Mix(4.0, (Sound(path, 0.0, 4.0, (-1.0, 3.0)),)))[:, 0]
    assert heard[[20_000, 72_000, 120_000, 170_000]].tolist() == [0.0, 0.5, 0.0, 0.0]


def test_other_rates_become_48_kilohertz(write: Write) -> None:
    path = write(tone(440, 1.0, 44_100), 44_100)
    heard = mixed(Mix(1.0, (Sound(path, 0.0, 1.0, (0.0, 1.0), pans=(-1.0,)),)))[:, 0]
    assert np.abs(heard - tone(440, 1.0))[1000:-1000].max() < 2e-3


def test_a_voice_is_a_file_or_a_mix(write: Write) -> None:
    path = write(noise(1.0))
    voice = Mix(1.0, (Sound(path, 0.0, 1.0, (0.0, 1.0)),))
    speech, sound = read_voice(voice), open_voice(voice)
    assert (sound.rate, sound.samples().shape, len(speech)) == (MIX_RATE, (MIX_RATE, 2), SPEECH_RATE)
    media = Media(path)
    assert np.abs(speech - read_speech(media)).max() < 1e-6
    assert np.array_equal(read_voice(media), read_speech(media))
    assert np.array_equal(open_voice(media).samples(), read_audio(media)[0])


def test_a_sound_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="gone"):
        mixed(Mix(1.0, (Sound(str(tmp_path / "gone.wav"), 0.0, 1.0, (0.0, 1.0)),)))


@pytest.mark.parametrize("mixed", [False, True], ids=["file", "mix"])
def test_around_a_trimmed_voice_is_what_its_file_holds_there(write: Write, mixed: bool) -> None:
    path = write(noise(2.0, 1), SPEECH_RATE)
    whole = read_speech(Media(path))
    voice = Mix(1.0, (Sound(path, 0.0, 1.0, (0.5, 1.5)),)) if mixed else Media(path, 0.5, 1.5)
    context = read_context(voice)
    before, after = SPEECH_RATE // 2, 3 * SPEECH_RATE // 2
    assert np.allclose(context.before, whole[before - len(context.before) : before], atol=1e-4)
    assert np.allclose(context.after, whole[after : after + len(context.after)], atol=1e-4)


def test_beyond_the_ends_of_a_file_there_is_silence(write: Write) -> None:
    path = write(noise(0.5, 1), SPEECH_RATE)
    for voice in Media(path), Media(path, 0.0, 30.0), Mix(2.0, (Sound(path, 0.0, 2.0, (0.0, 2.0)),)):
        context = read_context(voice)
        assert not context.before.any() and not context.after.any()
