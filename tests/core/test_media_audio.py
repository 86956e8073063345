"""Sound: in step with the pictures to the sample, in any format, and refused where it is of no use."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from s2l_core.errors import (
    AudioClipped,
    AudioEmpty,
    AudioNarrow,
    AudioSilent,
    AudioUnreadable,
    BadJob,
    FileMissing,
    NoSound,
)
from s2l_core.events import Event, Report
from s2l_core.jobs import Media, Mix, Sound
from s2l_core.media.audio import measure_level, read_audio, read_sample_rate, read_speech, refuse_unusable
from s2l_core.media.mix import open_voice, read_voice, tell_tracks
from s2l_core.media.tracks import Track, choose_track
from s2l_core.media.video import read_frames
from s2l_core.media.waveform import Waveform
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


def write_sound(path: Path, *tracks: np.ndarray, defaults: Sequence[int] = ()) -> str:
    """Tracks (n, channels) at 16 kHz in one file, some with the default flag."""
    with av.open(str(path), "w") as container:
        streams = [
            container.add_stream("pcm_s16le", rate=16_000, layout={1: "mono", 2: "stereo", 6: "5.1"}[track.shape[1]])
            for track in tracks
        ]
        for number, stream in enumerate(streams):
            stream.disposition = Disposition.default if number in defaults else Disposition(0)
        for stream, track in zip(streams, tracks, strict=True):
            pcm = np.round(track * 32767).astype(np.int16).reshape(1, -1)
            block = av.AudioFrame.from_ndarray(pcm, format="s16", layout=stream.codec_context.layout)
            block.sample_rate, block.pts, block.time_base = 16_000, 0, Fraction(1, 16_000)
            container.mux(stream.encode(block))
            container.mux(stream.encode(None))
    return str(path)


def tone(seconds: float, rate: int, frequency: float = 440.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def speech_like(seconds: float = 4.0, rate: int = 16_000, seed: int = 0) -> np.ndarray:
    """Noise of all frequencies in syllables, four a second, with peaks like those of speech."""
    noise = np.random.default_rng(seed).laplace(size=int(seconds * rate))
    syllables = np.clip(np.sin(2 * np.pi * 4 * np.arange(len(noise)) / rate), 0.001, None)
    return np.clip(0.05 * noise * syllables, -1, 1).astype(np.float32)


def test_samples_come_back_as_they_were_written(tmp_path: Path) -> None:
    samples = np.stack([tone(1.0, 44_100), tone(1.0, 44_100, 1000.0)], axis=1)
    sound, rate = read_audio(Media(str(write_wav(tmp_path / "stereo.wav", samples, 44_100))))
    assert (sound.shape, sound.dtype, rate) == ((44_100, 2), np.dtype(np.float32), 44_100)
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
    assert (speech.dtype, speech.shape) == (np.dtype(np.float32), (16_000,))
    assert abs(int(np.argmax(np.abs(speech))) - 8000) <= 1


def test_channels_are_averaged(tmp_path: Path) -> None:
    samples = np.stack([tone(0.5, 16_000), np.zeros(8000, np.float32)], axis=1)
    speech = read_speech(Media(str(write_wav(tmp_path / "left.wav", samples, 16_000))))
    assert np.abs(speech - tone(0.5, 16_000) / 2).max() < 1e-3


def late(samples: np.ndarray, seconds: float) -> np.ndarray:
    return np.concatenate([np.zeros(round(16_000 * seconds), np.float32), samples])[: len(samples)]


VOICE = 2 * speech_like()
OTHER = 2 * speech_like(seed=5)
NOISE = np.random.default_rng(3).normal(0, 0.002, (6, len(VOICE))).astype(np.float32)
NOTHING = np.zeros_like(VOICE)
CHANNELS: dict[
    str, tuple[list[np.ndarray], int | None]
] = {  # what is recorded, and which of its channels must be heard alone; None for their mean
    "the same": ([VOICE, VOICE], None),
    "one is quiet": ([VOICE, 0.4 * VOICE], None),
    "one is empty": ([NOTHING, VOICE], None),
    "two people": ([VOICE, OTHER], None),
    "a voice between music": ([VOICE + NOISE[0], VOICE + NOISE[1]], None),
    "middle and side": ([VOICE, NOISE[0]], None),
    "opposite phase": ([VOICE, -VOICE], 0),
    "opposite phase, the first noisy": ([VOICE + 2 * NOISE[0], -VOICE], 1),
    "opposite phase, one quiet": ([0.6 * VOICE, -VOICE], 1),
    "a microphone farther away": ([VOICE, 0.8 * late(VOICE, 0.001)], 0),
    "a wrong decoding of middle and side": ([VOICE + NOISE[0], NOISE[0] - VOICE], 0),
    "the centre of a film": ([5 * NOISE[0], 5 * NOISE[1], VOICE, 9 * NOISE[2], NOISE[3], NOISE[4]], 2),
    "a film without a centre, out of phase": ([VOICE, -0.9 * VOICE, NOTHING, 3 * NOISE[2], NOTHING, NOTHING], 0),
}


@pytest.mark.parametrize("case", CHANNELS)
def test_channels_that_cancel_each_other_are_heard_one_at_a_time(tmp_path: Path, case: str) -> None:
    channels, alone = CHANNELS[case]
    samples = 0.5 * np.stack(channels, axis=1)
    path = write_sound(tmp_path / "take.wav", samples)
    expected = samples.mean(axis=1) if alone is None else samples[:, alone]
    assert np.abs(read_speech(Media(path)) - expected).max() < 1e-3
    assert np.abs(read_audio(Media(path))[0] - samples).max() < 1e-3
    voice = Mix(1.0, (Sound(path, 0.0, 1.0, (0.0, 1.0)),))
    if alone is not None:
        assert np.corrcoef(read_voice(voice), expected[:16_000])[0, 1] > 0.98
        assert open_voice(voice).samples().shape[1] == 2


def test_a_voice_is_heard_also_where_mono_cancels_it_and_beside_other_sounds(tmp_path: Path) -> None:
    """In one mix, either channel of the second sound has it, and only one of the first: each is chosen by itself."""
    wrong = write_sound(tmp_path / "wrong.mkv", 0.5 * np.stack([VOICE, -VOICE], axis=1))
    right = write_sound(tmp_path / "right.mkv", 0.5 * np.stack([NOTHING, VOICE], axis=1))
    sounds = (
        Sound(wrong, 0.0, 1.0, (0.0, 1.0), mono=True),
        Sound(wrong, 1.0, 1.0, (0.0, 1.0)),
        Sound(right, 2.0, 1.0, (0.0, 1.0)),
    )
    speech, sound = read_voice(Mix(3.0, sounds)), open_voice(Mix(3.0, sounds))
    assert np.abs(sound.samples()[: sound.rate - 2000]).max() < 1e-3
    for second in range(3):
        heard = speech[16_000 * second : 16_000 * (second + 1)]
        assert np.corrcoef(heard, VOICE[:16_000])[0, 1] > 0.98


TRACKS: dict[
    str, tuple[list[float], list[int], int | None, int, int]
] = {  # loudness of each track, those with the default flag, what is wanted, and what is taken: first by Blender
    "one": ([0.5], [0], None, 1, 1),
    "the default": ([0.3, 0.5], [1], None, 2, 1),
    "the first of defaults": ([0.3, 0.5], [0, 1], None, 1, 1),
    "the default is silent": ([0.3, 0.0], [1], None, 1, 1),
    "the first is silent": ([0.0, 0.5, 0.3], [0], None, 2, 2),
    "all are silent": ([0.0, 0.0], [1], None, 2, 1),
    "chosen": ([0.3, 0.5, 0.0], [1], 3, 3, 3),
}


@pytest.mark.parametrize("case", TRACKS)
def test_of_several_tracks_the_one_that_is_meant_is_heard(tmp_path: Path, case: str) -> None:
    loudness, defaults, wanted, taken, mixed = TRACKS[case]
    path = write_sound(tmp_path / "take.mkv", *(level * VOICE[:, None] for level in loudness), defaults=defaults)
    assert choose_track(path, wanted) == Track(taken, len(loudness))
    sound, _ = read_audio(Media(path, track=wanted))
    assert np.abs(sound).max() == pytest.approx(np.abs(loudness[taken - 1] * VOICE).max(), abs=1e-3)
    logs: list[Event] = []
    mix = Mix(1.0, (Sound(path, 0.0, 1.0, (0.0, 1.0), pans=(-1.0,), track=wanted),))
    assert tell_tracks(mix, Report(logs.append)) == (mixed if len(loudness) > 1 else None)
    assert len(logs) == (len(loudness) > 1)
    expected = np.abs(loudness[mixed - 1] * VOICE[:16_000]).max()
    assert np.abs(open_voice(mix).samples()).max() == pytest.approx(expected, rel=0.1)


def test_a_track_that_is_not_there_is_refused_with_their_number(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "take.mkv", VOICE[:, None], VOICE[:, None])
    with pytest.raises(BadJob, match="2 sound tracks, so there is no track 3"):
        read_speech(Media(path, track=3))
    with pytest.raises(BadJob, match="no sound track 0"):
        Media(path, track=0)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_sound_of_a_written_video_stays_in_step_with_its_pictures(tmp_path: Path, rate: int) -> None:
    """A flash and a click at the same moment; AAC's priming samples must not shift the sound."""
    frame_rate = Fraction(30000, 1001)
    moment = 30 / frame_rate
    sound = np.zeros((2 * rate, 1), np.float32)
    click = int(moment * rate)
    sound[click : click + 200] = tone(200 / rate, rate, 1000.0, 0.9)[:, None]
    path = str(tmp_path / "flash.mp4")
    with VideoWriter(path, 64, 64, frame_rate, sound=Waveform.of(sound, rate)) as writer:
        for index in range(60):
            writer.write(np.full((64, 64, 3), 255 * (index == 30), np.uint8))
    flashes = [frame.time for frame in read_frames(Media(path)) if frame.image.mean() > 128]
    speech = read_speech(Media(path))
    heard = np.flatnonzero(np.abs(speech) > 0.3)[0] / 16_000
    assert flashes == pytest.approx([float(moment)], abs=1e-4)
    assert heard == pytest.approx(float(moment), abs=0.002)
    assert len(speech) == pytest.approx(32_000, abs=1100)


@pytest.mark.parametrize("form", ["mpegts", "avi", "matroska"])
def test_sound_and_pictures_keep_step_where_the_first_pictures_are_missing(tmp_path: Path, form: str) -> None:
    """Flashes and clicks every second; of the transport stream, the first fifth is cut off."""
    path = tmp_path / f"take.{form}"
    with av.open(str(path), "w", format=form) as container:
        video = container.add_stream("libx264", rate=25, options={"g": "40", "bf": "2"})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = container.add_stream("mp2" if form == "mpegts" else "pcm_s16le", rate=48_000, layout="mono")
        for index in range(150):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 255 * (index % 25 == 12), np.uint8), "rgb24")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(video.encode(picture))
            pcm = np.zeros((1, 1920), np.int16)
            pcm[:, :400] = 25_000 * (index % 25 == 12)
            block = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            block.sample_rate, block.pts, block.time_base = 48_000, 1920 * index, Fraction(1, 48_000)
            container.mux(audio.encode(block))
        for stream in (video, audio):
            container.mux(stream.encode(None))
    if form == "mpegts":
        data = path.read_bytes()
        path.write_bytes(data[188 * (len(data) // 188 // 5) :])
    shown = [frame.time for frame in read_frames(Media(str(path))) if frame.image.mean() > 128]
    loud = np.flatnonzero(np.abs(read_speech(Media(str(path)))) > 0.3) / 16_000
    heard = loud[np.diff(loud, prepend=-1.0) > 0.5]
    assert len(shown) >= 4
    late = 0.08 if form == "avi" else 0.0  # as in Blender: AVI tells no more than when pictures are decoded
    for time in shown[1:]:
        assert np.abs(heard + late - time).min() < 0.03


def test_sound_at_rates_that_aac_lacks_is_resampled(tmp_path: Path) -> None:
    path = str(tmp_path / "clip.mp4")
    with VideoWriter(path, 64, 64, Fraction(25), sound=Waveform.of(tone(1.0, 37_000)[:, None], 37_000)) as writer:
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
    write_wav(tmp_path / "slow.wav", np.zeros((100, 2), np.float32), 50)
    cases = {
        Media(silent_video): NoSound,
        Media(str(tmp_path / "gone.wav")): FileMissing,
        Media(str(tmp_path / "words.wav")): AudioUnreadable,
        Media(str(tmp_path / "nothing.wav")): AudioEmpty,
        Media(str(tmp_path / "header.wav")): AudioEmpty,
        Media(str(tmp_path / "second.wav"), start=2.0): AudioEmpty,
        Media(str(tmp_path / "slow.wav")): AudioUnreadable,
    }
    for media, expected in cases.items():
        for read in (read_audio, read_speech):
            with pytest.raises(expected, match=Path(media.path).name):
                read(media)


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_speech_of_a_few_samples_is_empty(tmp_path: Path, rate: int) -> None:
    path = str(tmp_path / "click.wav")
    write_wav(Path(path), np.ones((1000, 1), np.float32), rate)
    for voice in (Media(path, 0.1, 0.1 + 1 / rate), Mix(1 / rate, (Sound(path, 0.0, 1 / rate, (0.0, 1 / rate)),))):
        with pytest.raises(AudioEmpty, match=r"click\.wav|The mix"):
            read_voice(voice)


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
