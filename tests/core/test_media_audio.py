"""Sound: in step with the pictures to the sample, in any format, and refused where it is of no use."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from s2l_core.errors import AudioClipped, AudioEmpty, AudioNarrow, AudioSilent, AudioUnreadable, FileMissing, NoSound
from s2l_core.jobs import Media
from s2l_core.media.audio import measure_level, read_audio, read_sample_rate, read_speech, refuse_unusable
from s2l_core.media.video import read_frames
from s2l_core.media.writing import VideoWriter


def write_wav(path: Path, samples: np.ndarray, rate: int, width: int = 2) -> Path:
    """``samples`` (n,) or (n, channels) in [-1, 1] as 16- or 8-bit PCM."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        pcm = np.round(samples * 32767).astype("<i2") if width == 2 else np.round(samples * 127 + 128).astype("u1")
        file.writeframes(pcm.tobytes())
    return path


def tone(seconds: float, rate: int, frequency: float = 440.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def speech_like(seconds: float = 4.0, rate: int = 16_000) -> np.ndarray:
    """Noise of all frequencies in syllables, four a second, with peaks like those of speech."""
    noise = np.random.default_rng(0).laplace(size=int(seconds * rate))
    syllables = np.clip(np.sin(2 * np.pi * 4 * np.arange(len(noise)) / rate), 0.001, None)
    return np.clip(0.05 * noise * syllables, -1, 1).astype(np.float32)


def test_samples_come_back_as_they_were_written(tmp_path: Path) -> None:
    samples = np.stack([tone(1.0, 44_100), tone(1.0, 44_100, 1000.0)], axis=1)
    sound, rate = read_audio(Media(str(write_wav(tmp_path / "stereo.wav", samples, 44_100))))
    assert (sound.shape, sound.dtype, rate) == ((44_100, 2), np.float32, 44_100)
    assert np.abs(sound - samples).max() < 1e-4
    quiet, _ = read_audio(Media(str(write_wav(tmp_path / "bytes.wav", samples, 44_100, width=1))))
    assert np.abs(quiet - samples).max() < 0.01


def test_span_is_exact_to_the_sample(tmp_path: Path) -> None:
    ramp = np.linspace(-1, 1, 48_000, dtype=np.float32)
    path = str(write_wav(tmp_path / "ramp.wav", ramp, 48_000))
    whole, _ = read_audio(Media(path))
    part, _ = read_audio(Media(path, start=0.25, end=0.5))
    assert np.array_equal(part, whole[12_000:24_000])
    assert len(read_speech(Media(path, start=0.25, end=0.5))) == 4000
    assert len(read_audio(Media(path, start=0.5, end=99.0))[0]) == 24_000


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
def test_speech_is_mono_at_16_khz_and_keeps_its_time(tmp_path: Path, rate: int) -> None:
    clicks = np.zeros((rate, 2), np.float32)
    clicks[rate // 2, :] = 0.9
    speech = read_speech(Media(str(write_wav(tmp_path / "click.wav", clicks, rate))))
    assert (speech.dtype, speech.shape) == (np.float32, (16_000,))
    assert abs(int(np.argmax(np.abs(speech))) - 8000) <= 1


def test_channels_are_averaged(tmp_path: Path) -> None:
    samples = np.stack([tone(0.5, 16_000), np.zeros(8000, np.float32)], axis=1)
    speech = read_speech(Media(str(write_wav(tmp_path / "left.wav", samples, 16_000))))
    assert np.abs(speech - tone(0.5, 16_000) / 2).max() < 1e-3


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_sound_of_a_written_video_stays_in_step_with_its_pictures(tmp_path: Path, rate: int) -> None:
    """A flash and a click at the same moment; AAC's priming samples must not shift the sound."""
    frame_rate = Fraction(30000, 1001)
    moment = 30 / frame_rate
    sound = np.zeros((2 * rate, 1), np.float32)
    click = int(moment * rate)
    sound[click : click + 200] = tone(200 / rate, rate, 1000.0, 0.9)[:, None]
    path = str(tmp_path / "flash.mp4")
    with VideoWriter(path, 64, 64, frame_rate, sound=(sound, rate)) as writer:
        for index in range(60):
            writer.write(np.full((64, 64, 3), 255 * (index == 30), np.uint8))
    flashes = [frame.time for frame in read_frames(Media(path)) if frame.image.mean() > 128]
    speech = read_speech(Media(path))
    heard = np.flatnonzero(np.abs(speech) > 0.3)[0] / 16_000
    assert flashes == pytest.approx([float(moment)], abs=1e-4)
    assert heard == pytest.approx(float(moment), abs=0.002)
    assert len(speech) == pytest.approx(32_000, abs=1100)


def test_sound_at_rates_that_aac_lacks_is_resampled(tmp_path: Path) -> None:
    path = str(tmp_path / "clip.mp4")
    with VideoWriter(path, 64, 64, Fraction(25), sound=(tone(1.0, 37_000)[:, None], 37_000)) as writer:
        for _ in range(25):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    sound, rate = read_audio(Media(path))
    assert rate == 48_000
    assert len(sound) == pytest.approx(48_000, abs=2100)


def write_offset_video(path: Path, picture_start: float, sound_start: float) -> str:
    """One second of pictures and of a steady tone that begin at different times of the container's clock."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for index in range(25):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            picture.pts, picture.time_base = round(1000 * picture_start) + 40 * index, Fraction(1, 1000)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        pcm = np.round(tone(1.0, 16_000) * 32767).astype(np.int16)
        for first in range(0, 16_000, 1000):
            block = av.AudioFrame.from_ndarray(pcm[None, first : first + 1000], format="s16", layout="mono")
            block.sample_rate, block.time_base = 16_000, Fraction(1, 16_000)
            block.pts = round(16_000 * sound_start) + first
            container.mux(audio.encode(block))
        container.mux(audio.encode(None))
    return str(path)


def test_sound_that_begins_late_begins_with_silence(tmp_path: Path) -> None:
    path = write_offset_video(tmp_path / "late.mkv", picture_start=0.0, sound_start=0.5)
    speech = read_speech(Media(path))
    assert len(speech) == pytest.approx(24_000, abs=16)
    assert np.abs(speech[:7980]).max() == 0
    assert np.abs(speech[8020:8200]).max() > 0.4


def test_sound_before_the_first_picture_is_left_out(tmp_path: Path) -> None:
    path = write_offset_video(tmp_path / "early.mkv", picture_start=0.24, sound_start=0.0)
    assert len(read_speech(Media(path))) == pytest.approx(12_160, abs=16)


def test_each_kind_of_useless_file_has_its_own_error(tmp_path: Path) -> None:
    silent_video = str(tmp_path / "mute.mp4")
    with VideoWriter(silent_video, 64, 64, Fraction(25)) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "words.wav").write_text("these are words, not sound\n" * 50)
    (tmp_path / "nothing.wav").touch()
    write_wav(tmp_path / "header.wav", np.zeros(0, np.float32), 16_000)
    write_wav(tmp_path / "second.wav", tone(1.0, 16_000), 16_000)
    cases = {
        Media(silent_video): NoSound,
        Media(str(tmp_path / "gone.wav")): FileMissing,
        Media(str(tmp_path / "words.wav")): AudioUnreadable,
        Media(str(tmp_path / "nothing.wav")): AudioEmpty,
        Media(str(tmp_path / "header.wav")): AudioEmpty,
        Media(str(tmp_path / "second.wav"), start=2.0): AudioEmpty,
    }
    for media, expected in cases.items():
        for read in (read_audio, read_speech):
            with pytest.raises(expected, match=Path(media.path).name):
                read(media)


def test_usable_speech_is_not_refused() -> None:
    level = measure_level(speech_like(), 48_000)
    assert -40 < level.loudness_db < -10
    assert level.noise_db < level.loudness_db - 20
    refuse_unusable(level, "take.mov")
    refuse_unusable(measure_level(speech_like() * 0.02, 48_000), "quiet.mov")


def test_silence_is_refused() -> None:
    for speech in (np.zeros(16_000, np.float32), 1e-4 * speech_like()):
        with pytest.raises(AudioSilent, match=r"take\.mov"):
            refuse_unusable(measure_level(speech, 48_000), "take.mov")


def test_distorted_speech_is_refused() -> None:
    with pytest.raises(AudioClipped):
        refuse_unusable(measure_level(np.clip(30 * speech_like(), -1, 1), 48_000), "take.mov")


def test_telephone_speech_is_refused_also_when_stored_at_a_higher_rate(tmp_path: Path) -> None:
    path = str(write_wav(tmp_path / "phone.wav", 2 * speech_like(rate=8000), 8000))
    assert read_sample_rate(path) == 8000
    with pytest.raises(AudioNarrow):
        refuse_unusable(measure_level(read_speech(Media(path)), 8000), path)
    with pytest.raises(AudioNarrow):
        refuse_unusable(measure_level(read_speech(Media(path)), 48_000), path)


def test_real_speech_is_not_refused(shared_data: Path) -> None:
    for name in ("speakers/grid_s1_60s.mp4", "speakers/cnn2_71s.mp4", "audio/two_cities_44s.wav", "audio/line_10s.wav"):
        path = str(shared_data / name)
        refuse_unusable(measure_level(read_speech(Media(path)), read_sample_rate(path)), path)


def test_wav_files_are_read_as_other_readers_read_them(shared_data: Path) -> None:
    path = shared_data / "audio/line_10s.wav"
    with wave.open(str(path)) as file:
        expected = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    assert np.allclose(read_speech(Media(str(path))), expected, atol=1e-6)
