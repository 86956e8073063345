"""Sounds are mixed as Blender's sequencer mixes them, compared with Blender's mixdown."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable
from pathlib import Path

import aud
import bpy
import numpy as np
import pytest
import versions
from versions import sequencer_override, set_duration, trim

RATE = 48_000
LENGTH = 75
"""Frames of the scene: three seconds."""
BLOCK = 1024
"""Samples that Blender mixes at once."""
TOLERANCE = 0.03
"""RMS of the difference against the RMS of the truth."""
MOST_LATE = RATE // 20
"""Samples by which Blender plays a retimed sound early or late, at most."""


@pytest.fixture(scope="module")
def voices(tmp_path_factory) -> dict[int, str]:
    """Four seconds like speech, as files of one and two channels."""
    folder = tmp_path_factory.mktemp("voices")
    random = np.random.default_rng(0)
    spectrum = np.fft.rfft(random.normal(size=(4 * RATE, 2)), axis=0)
    spectrum /= 1 + (np.fft.rfftfreq(4 * RATE, 1 / RATE)[:, None] / 800) ** 2
    samples = np.fft.irfft(spectrum, axis=0)
    samples *= 0.2 / samples.std(axis=0).mean()
    paths = {}
    for channels in (1, 2):
        paths[channels] = str(folder / f"{channels}.wav")
        with wave.open(paths[channels], "wb") as file:
            file.setparams((channels, 2, RATE, 0, "NONE", ""))
            file.writeframes((samples[:, :channels] * 32767).clip(-32768, 32767).round().astype("<i2").tobytes())
    return paths


def overlap(strips, voices) -> None:
    first, second = strips.new_sound("A", voices[2], 1, 1), strips.new_sound("B", voices[1], 2, 26)
    first.volume, second.volume = 0.5, 0.8


def trimmed(strips, voices) -> None:
    strip = strips.new_sound("A", voices[2], 1, 1)
    trim(strip, 10, 100 - 60)


def faded(strips, voices) -> None:
    strip = strips.new_sound("A", voices[2], 1, 1)
    for frame, volume in ((1, 0.0), (26, 1.0), (51, 0.2), (76, 0.6)):
        strip.volume = volume
        strip.keyframe_insert("volume", frame=frame)


def moved_across(strips, voices) -> None:
    strip = strips.new_sound("A", voices[1], 1, 1)
    for frame, pan in ((1, -1.0), (76, 1.0)):
        strip.pan = pan
        strip.keyframe_insert("pan", frame=frame)


def panned(pan: float, channels: int = 1, mono: bool = False) -> Callable[..., None]:
    def panned(strips, voices) -> None:
        strip = strips.new_sound("A", voices[channels], 1, 1)
        strip.pan, strip.sound.use_mono, strip.volume = pan, mono, 0.5

    return panned


def shifted(strips, voices) -> None:
    strips.new_sound("A", voices[2], 1, 1).sound_offset = 0.1


def late(strips, voices) -> None:
    strip = strips.new_sound("A", voices[2], 1, 20)
    strip.pan, strip.sound.use_mono = -0.5, True


def mixdown(scene, path: Path, mix: Callable[..., object] = versions.mixdown) -> np.ndarray:
    scene.frame_start, scene.frame_end = 1, LENGTH
    mix(path, container="WAV", codec="PCM", format="F32")
    return aud.Sound(str(path)).data()[: LENGTH * RATE // 25]


def difference(own: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((own - truth) ** 2) / np.mean(truth**2)))


@pytest.fixture
def own_mix(scene, engine_mix) -> Callable[[], np.ndarray]:
    """The samples that the engine reads for a job with the scene's sound strips."""
    return lambda: engine_mix(list(scene.sequence_editor.strips), LENGTH)


@pytest.mark.skipif("S2L_WORKER_PYTHON" not in os.environ, reason="needs a Python with the library")
@pytest.mark.parametrize(
    "arrange",
    [
        pytest.param(overlap, id="two strips overlap"),
        pytest.param(trimmed, id="trimmed"),
        pytest.param(faded, id="animated volume"),
        pytest.param(shifted, id="sound offset"),
        *(pytest.param(panned(pan), id=f"pan {pan}") for pan in (-2, -1, -0.3, 0, 0.5, 1, 2)),
        pytest.param(panned(0.5, channels=2), id="pan of two channels"),
        pytest.param(panned(0.5, channels=2, mono=True), id="pan of two channels summed"),
        pytest.param(panned(0.0, channels=2, mono=True), id="two channels summed"),
        pytest.param(panned(-0.7, channels=1, mono=True), id="pan of one channel summed"),
        pytest.param(moved_across, id="animated pan"),
        pytest.param(late, id="late, summed, to the left"),
    ],
)
def test_sounds_are_mixed_as_blender_mixes_them(scene, strips, voices, tmp_path, own_mix, arrange) -> None:
    arrange(strips, voices)
    truth, own = mixdown(scene, tmp_path / "truth.wav"), own_mix()
    assert own.shape == truth.shape
    heard = truth.any(axis=1)  # Blender begins up to a block late
    assert (own.any(axis=1) & ~heard).sum() <= BLOCK
    assert min(difference(np.roll(own, lag, axis=0)[heard], truth[heard]) for lag in (-1, 0, 1)) < TOLERANCE


@pytest.mark.skipif("S2L_WORKER_PYTHON" not in os.environ, reason="needs a Python with the library")
@pytest.mark.skipif("volume" not in bpy.types.MetaStrip.bl_rna.properties, reason="meta strips have a volume since 5.2")
def test_the_innermost_meta_strip_changes_the_volume_of_a_sound(scene, strips, voices, tmp_path, engine_mix) -> None:
    sound, inner, outer = strips.new_sound("A", voices[2], 1, 1), strips.new_meta("B", 2, 1), strips.new_meta("C", 3, 1)
    sound.move_to_meta(inner)
    inner.move_to_meta(outer)
    inner.volume, outer.volume = 0.5, 0.6
    for meta in (inner, outer):
        set_duration(meta, LENGTH)
    truth, own = mixdown(scene, tmp_path / "truth.wav"), engine_mix([sound], LENGTH)
    assert difference(own, truth) < TOLERANCE


@pytest.mark.skipif("S2L_WORKER_PYTHON" not in os.environ, reason="needs a Python with the library")
def test_a_retimed_sound_is_mixed_as_blender_mixes_it(scene, strips, voices, tmp_path, own_mix, mixdown_apart) -> None:
    """Twice as fast for one second, then slower to the old end; Blender 5.0 keeps the pitch unless told otherwise."""
    strip = strips.new_sound("A", voices[2], 1, 1)
    if hasattr(strip, "pitch_correction"):
        strip.pitch_correction = False
    scene.sequence_editor.active_strip = strip
    with sequencer_override(scene):
        bpy.ops.sequencer.retiming_key_add(timeline_frame=51)
    strip.retiming_keys[1].timeline_frame = 26
    truth = mixdown(scene, tmp_path / "truth.wav", mixdown_apart)
    own = own_mix()
    for part in (slice(RATE // 10, RATE - RATE // 10), slice(RATE + RATE // 10, 3 * RATE - RATE // 10)):
        lags = range(-MOST_LATE, MOST_LATE)
        late = min(lags, key=lambda lag: difference(np.roll(own[:, 0], lag)[part][:4800], truth[part, 0][:4800]))
        assert difference(np.roll(own, late, axis=0)[part], truth[part]) < 5 * TOLERANCE  # a lag is no whole sample
