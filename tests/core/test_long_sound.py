"""Sound of any length: read as far as it counts, in blocks, with the same result as in one go."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

import s2l_core
from s2l_core.errors import AudioTooLong, AudioUnreadable, NoFace
from s2l_core.jobs import CheckJob, Media, Mix, OffsetJob, Sound
from s2l_core.media import audio
from s2l_core.media.audio import SPEECH_RATE, measure_level, open_audio, powers, read_speech
from s2l_core.media.mix import mix, read_voice
from s2l_core.media.waveform import Waveform, resample
from s2l_core.media.writing import VideoWriter
from s2l_core.speech import encoder, features, silence
from s2l_core.speech.features import log_mel, speech_level
from s2l_core.speech.silence import measure_levels

from .conftest import EmbeddedHead

NOISE = np.random.default_rng(0).normal(0.0, 0.1, 5 * SPEECH_RATE + 77).astype(np.float32)


def write_sound(path: Path, samples: np.ndarray, rate: int = SPEECH_RATE, jump: float = 0.0) -> str:
    """Samples (n,) in Matroska, in packets of 20 ms, each ``jump`` seconds later than the one before ends."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        size = rate // 50
        for number, first in enumerate(range(0, len(samples), size)):
            block = (samples[None, first : first + size] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = first + round(number * jump * rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


def write_movie(path: Path, seconds: float) -> Media:
    with VideoWriter(str(path), 64, 48, Fraction(25)) as writer:
        for _ in range(round(seconds * 25)):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    return Media(str(path))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many seconds of sound are decoded each time that a file is read."""
    seconds: list[float] = []
    read_blocks = audio.read_blocks

    def counted(*arguments: object) -> Iterator[tuple[int, np.ndarray]]:
        seconds.append(0.0)
        for rate, block in read_blocks(*arguments):  # type: ignore[arg-type]
            seconds[-1] += len(block) / rate
            yield rate, block

    monkeypatch.setattr(audio, "read_blocks", counted)
    return seconds


@pytest.mark.parametrize("verb", ["check", "offset"])
def test_of_a_long_sound_only_what_counts_beside_the_pictures_is_read(
    tmp_path: Path, decoded: list[float], verb: str
) -> None:
    footage = write_movie(tmp_path / "short.mp4", 2.0)
    voice = Media(write_sound(tmp_path / "long.mkv", np.zeros(60 * SPEECH_RATE)), 3.0)
    with pytest.raises(NoFace):
        s2l_core.check(CheckJob(footage, voice)) if verb == "check" else s2l_core.offset(OffsetJob(footage, voice))
    assert decoded and max(decoded) < 10.0


def test_too_much_speech_is_refused_before_it_is_decoded(
    tmp_path: Path, decoded: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sound(tmp_path / "long.mkv", np.zeros(3 * SPEECH_RATE))
    monkeypatch.setattr(audio, "LONGEST_SECONDS", 2.0)
    with pytest.raises(AudioTooLong):
        read_speech(Media(path))
    assert not decoded
    assert len(read_speech(Media(path, 1.0))) == 2 * SPEECH_RATE


def test_a_container_that_tells_too_little_does_not_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sound(tmp_path / "long.mkv", np.zeros(3 * SPEECH_RATE))
    monkeypatch.setattr(audio, "LONGEST_SECONDS", 2.0)
    monkeypatch.setattr(audio, "sound_seconds", lambda media: 0.0)
    with pytest.raises(AudioTooLong):
        read_speech(Media(path))


def test_a_container_that_tells_too_much_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sound(tmp_path / "short.mkv", NOISE)
    monkeypatch.setattr(audio, "sound_seconds", lambda media: 1e6)
    assert len(read_speech(Media(path))) == pytest.approx(len(NOISE), abs=320)


def test_a_mix_of_hours_is_refused(tmp_path: Path) -> None:
    sound = Sound(write_sound(tmp_path / "short.mkv", NOISE), 0.0, 1.0, (0.0, 1.0))
    with pytest.raises(AudioTooLong, match="3 hours"):
        read_voice(Mix(20_000.0, (sound,)))


def test_many_holes_are_refused_as_one_is_and_none_is_held_in_memory(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "holes.mkv", NOISE, jump=300.0)
    longest = 0
    with pytest.raises(AudioUnreadable, match="holes"):
        for block in open_audio(Media(path)).blocks():
            longest = max(longest, len(block))
    assert 0 < longest <= 48_000


def test_short_holes_are_silence_however_many_there_are(tmp_path: Path) -> None:
    sound = open_audio(Media(write_sound(tmp_path / "holes.mkv", NOISE, jump=0.08))).samples()
    assert len(sound) == pytest.approx(5 * len(NOISE), rel=0.02)
    assert np.abs(sound).mean() == pytest.approx(np.abs(NOISE).mean() / 5, rel=0.02)


def test_a_sound_that_leaps_through_its_file_takes_no_more_memory_than_others(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "short.mkv", NOISE)
    heard = mix(Mix(0.01, (Sound(path, 0.0, 0.01, (0.0, 1e7)),))).samples()
    assert heard.shape == (480, 2)


def test_log_mel_in_blocks_is_that_of_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = log_mel(NOISE)
    monkeypatch.setattr(features, "_ROWS", 37)
    assert np.array_equal(log_mel(NOISE), whole)


def test_levels_in_blocks_are_those_of_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = NOISE * (np.arange(len(NOISE)) % 9000 > 4000)
    whole = measure_levels(pauses), speech_level(pauses)
    expected = measure_level(pauses, 48_000)
    monkeypatch.setattr(silence, "_BLOCK", 1001)
    monkeypatch.setattr(audio, "_PIECE", 640)
    assert np.array_equal(measure_levels(pauses), whole[0])
    assert speech_level(pauses) == whole[1]
    assert vars(measure_level(pauses, 48_000)) == pytest.approx(vars(expected))


def test_powers_do_not_depend_on_how_sound_is_cut_into_blocks() -> None:
    assert np.array_equal(powers(np.split(NOISE, [1, 1000, 1001, 50_000])), powers([NOISE]))


@pytest.mark.parametrize("rows", [1, 39, 40, 47, 48, 400])
def test_codes_in_pieces_are_those_of_one_go(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    torch.manual_seed(0)
    speech = encoder.SpeechEncoder(8).eval()
    speech.kernel_share.fill_(0.3)
    mel = torch.randn(rows, 80)
    whole = speech.track(mel)
    monkeypatch.setattr(encoder, "_HEARD_AT_ONCE", 40)
    assert torch.allclose(speech.track(mel), whole, atol=1e-5)
    assert torch.allclose(speech.track_pieces(mel.split(7)), whole, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 6, 9])
def test_a_waveform_is_the_same_in_blocks(channels: int) -> None:
    samples = NOISE[:20_000].repeat(channels).reshape(-1, channels)
    one = np.concatenate(list(resample([samples], 44_100, 48_000)))
    many = np.concatenate(list(resample(np.array_split(samples, 23), 44_100, 48_000)))
    assert len(one) == round(20_000 * 48_000 / 44_100)
    assert np.array_equal(one, many)


@pytest.mark.parametrize("count", [0, 1, 48_000, 48_001, 100_000, 200_000])
def test_a_waveform_is_cut_off_or_followed_by_silence(count: int) -> None:
    samples = np.ones((100_000, 2), np.float32)
    fitted = Waveform.of(samples, 48_000).lasting(count).samples()
    assert fitted.shape == (count, 2)
    assert fitted.sum() == 2 * min(count, 100_000)


GROWTH = """
import resource, sys
import numpy as np, torch
from s2l_core.mouth.dub_frames import DubFrames, open_footage
from s2l_core.events import Report
from s2l_core.jobs import DubJob, Media
from s2l_core.media.mix import read_context, read_voice
from s2l_core.model.speaker import SpeakerModel

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

speaker_path, footage, voice = sys.argv[1], Media(sys.argv[2]), sys.argv[3]
device = torch.device("cpu")
speaker = SpeakerModel.load(speaker_path, device)
opened = open_footage(footage, "bundled", speaker, device, Report())

def understand(media):
    job = DubJob(speaker_path, footage, media, "dubbed.mp4")
    return len(DubFrames(job, speaker, opened, read_voice(media), read_context(media)))

understand(Media(voice, 0.0, 60.0))
before = peak()
assert understand(Media(voice)) > 10_000
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells no peak")
def test_ten_minutes_of_voice_take_hardly_more_memory_than_one(tmp_path: Path, embedded_head: EmbeddedHead) -> None:
    """Holding spectra and features took 800 MB more."""
    voice = write_sound(tmp_path / "voice.mkv", np.tile(NOISE, 121))
    footage = write_movie(tmp_path / "footage.mp4", 1.0).path
    path = embedded_head.speaker_path
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, path, footage, voice], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 250.0
