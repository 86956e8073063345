"""The sound of a dub, as its file has it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import s2l_core
from s2l_core.jobs import DubJob, Encoding, Media, Mix, Remainder, Sound
from s2l_core.media.audio import read_audio
from s2l_core.media.waveform import Waveform
from s2l_core.media.writing import VideoWriter

from .conftest import EmbeddedHead

LOSSLESS = Encoding("ffv1")

Dub = Callable[..., tuple[np.ndarray, int]]


def tone(hertz: float, seconds: float, rate: int, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write_movie(path: Path, seconds: float, sound: np.ndarray | None, rate: int) -> Media:
    """A dark movie of 25 frames per second with a sound (n, channels)."""
    heard = None if sound is None else Waveform.of(sound, rate)
    with VideoWriter(str(path), 64, 48, Fraction(25), sound=heard, encoding=LOSSLESS) as writer:
        for _ in range(round(seconds * 25)):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    return Media(str(path))


@pytest.fixture
def dub(tmp_path: Path, embedded_head: EmbeddedHead) -> Dub:
    """Dubs footage that shows no face; what is heard of the result, (n, channels), and its rate."""

    def dub(footage: Media, voice: Media | Mix, remainder: Remainder = "stop") -> tuple[np.ndarray, int]:
        path = str(tmp_path / "dubbed.mkv")
        s2l_core.dub(DubJob(embedded_head.speaker_path, footage, voice, path, remainder=remainder, encoding=LOSSLESS))
        return read_audio(Media(path))

    return dub


@pytest.mark.parametrize(("seconds", "frames"), [(1.0, 25), (0.97, 24), (1.03, 26)])
def test_the_sound_has_the_length_of_its_pictures(tmp_path: Path, dub: Dub, seconds: float, frames: int) -> None:
    said = tone(500, seconds, 48_000)[:, None].repeat(2, axis=1)
    voice = write_movie(tmp_path / "voice.mkv", 0.04, said, 48_000)
    samples, rate = dub(write_movie(tmp_path / "footage.mkv", 2.0, None, 48_000), voice)
    assert (samples.shape, rate) == ((frames * 1920, 2), 48_000)
    both = min(len(said), len(samples))
    assert np.abs(samples[:both] - said[:both]).max() < 1e-3
    assert not samples[both:].any()


@pytest.mark.parametrize("mixed", [False, True], ids=["file", "mix"])
def test_what_is_kept_sounds_as_the_footage_does_until_its_sound_ends(tmp_path: Path, dub: Dub, mixed: bool) -> None:
    """Two channels at 48 kHz after a voice of one at 16 kHz, and a second less of sound than of pictures."""
    own = np.stack([tone(12_000, 3.0, 48_000), tone(300, 3.0, 48_000)], axis=1)
    footage = write_movie(tmp_path / "stereo.mkv", 4.0, own, 48_000)
    said = tone(500, 1.0, 16_000, 0.3)
    path = write_movie(tmp_path / "voice.mkv", 0.04, said[:, None], 16_000).path
    voice = Mix(1.0, (Sound(path, 0.0, 1.0, (0.0, 1.0), pans=(-1.0,)),)) if mixed else Media(path)
    samples, rate = dub(footage, voice, "keep")
    assert (samples.shape, rate) == ((4 * 48_000, 2), 48_000)
    assert np.abs(samples[999:47_001:3, 0] - said[333:15_667]).max() < 0.01
    assert np.abs(samples[48_000 : 3 * 48_000] - own[48_000:]).max() < 1e-3
    assert not samples[3 * 48_000 :].any()


def test_a_voice_with_more_to_it_than_the_footage_keeps_that(tmp_path: Path, dub: Dub) -> None:
    said = np.stack([tone(hertz, 1.0, 48_000) for hertz in (12_000, 400)], axis=1)
    voice = write_movie(tmp_path / "voice.mkv", 0.04, said, 48_000)
    own = tone(300, 2.0, 16_000)[:, None]
    samples, rate = dub(write_movie(tmp_path / "footage.mkv", 2.0, own, 16_000), voice, "keep")
    assert (samples.shape, rate) == ((2 * 48_000, 2), 48_000)
    assert np.abs(samples[:48_000] - said).max() < 1e-3
    rest, middle = tone(300, 1.0, 48_000), slice(1000, -1000)  # whole periods of it have passed
    assert np.abs(samples[48_000:][middle] - rest[middle, None]).max() < 0.01


@pytest.mark.parametrize("sound_seconds", [0.0, 0.5], ids=["none", "too short"])
def test_where_the_rest_has_no_sound_it_is_silent(tmp_path: Path, dub: Dub, sound_seconds: float) -> None:
    own = tone(300, sound_seconds, 48_000)[:, None] if sound_seconds else None
    footage = write_movie(tmp_path / "footage.mkv", 2.0, own, 48_000)
    voice = write_movie(tmp_path / "voice.mkv", 0.04, tone(500, 1.0, 16_000)[:, None], 16_000)
    samples, rate = dub(footage, voice, "keep")
    assert (samples.shape, rate) == ((2 * 16_000, 1), 16_000)
    assert samples[:16_000].any() and not samples[16_000:].any()
