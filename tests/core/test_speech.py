"""Speech features and the encoder's clock."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2l_core.speech.encoder import CODE_SECONDS, SpeechEncoder, codes_at
from s2l_core.speech.features import SAMPLE_RATE, log_mel, normalise_loudness, silence_level


def tone(hertz: float, seconds: float = 1.0, level: float = 0.1) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def test_log_mel_has_a_row_every_ten_milliseconds() -> None:
    assert log_mel(tone(440, 1.0)).shape == (101, 80)


def test_a_click_appears_in_the_row_of_its_time() -> None:
    speech = np.zeros(SAMPLE_RATE, np.float32)
    speech[round(0.37 * SAMPLE_RATE)] = 1.0
    assert log_mel(speech).sum(axis=1).argmax() == 37


def test_higher_tones_fill_higher_bands() -> None:
    bands = [int(log_mel(tone(hertz))[50].argmax()) for hertz in (100, 400, 1600, 6400)]
    assert bands == sorted(bands)
    assert len(set(bands)) == 4


def test_digital_silence_is_the_lowest_value_there_is() -> None:
    silence = log_mel(np.zeros(SAMPLE_RATE, np.float32))
    assert np.allclose(silence, silence_level())
    assert log_mel(tone(300)).min() >= silence_level() - 1e-6


@pytest.mark.parametrize("gain", [0.05, 0.3, 3.0])
def test_loudness_does_not_depend_on_the_recording_level(gain: float) -> None:
    speech = np.concatenate([tone(300), np.zeros(8000, np.float32), tone(500)])
    reference, scaled = normalise_loudness(speech), normalise_loudness(np.float32(gain) * speech)
    assert np.allclose(reference, scaled, atol=1e-4)


def test_silence_is_not_lifted_to_noise() -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    assert not normalise_loudness(silence).any()
    faint = np.random.default_rng(0).normal(0, 1e-5, SAMPLE_RATE).astype(np.float32)
    assert np.abs(normalise_loudness(faint)).max() < 0.01


def test_a_track_has_a_code_every_forty_milliseconds_and_looks_the_same_wherever_it_begins() -> None:
    torch.manual_seed(0)
    encoder = SpeechEncoder(8).eval()
    mel = torch.randn(401, 80)
    track = encoder.track(mel)
    assert track.shape == (101, 8)
    later = encoder.track(mel[100:])
    assert torch.allclose(track[35:90], later[10:65], atol=1e-5)


def test_codes_between_two_moments_are_interpolated_and_held_at_the_ends() -> None:
    track = torch.tensor([[0.0], [4.0], [8.0]])
    times = np.array([-1.0, 0.0, 0.5 * CODE_SECONDS, 1.25 * CODE_SECONDS, 9.0])
    assert codes_at(track, times)[:, 0].tolist() == pytest.approx([0.0, 0.0, 2.0, 5.0, 8.0])
