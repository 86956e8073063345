"""Where nobody speaks, the mouth rests."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from s2l_core.media.audio import SPEECH_RATE, in_blocks, measure_level, powers
from s2l_core.speech.features import speech_level
from s2l_core.speech.silence import (
    BELOW_A_LEVEL,
    IN_SILENCE,
    Closing,
    curve_at,
    resting,
    resting_in_room_tone,
    room_tone_level,
)

Curve = NDArray[np.float64]


def voice(*spans: tuple[float, float], seconds: float = 4.0, noise_db: float = -60.0) -> NDArray[np.float32]:
    """Noise as loud as speech in spans of time, and quieter by ``noise_db`` elsewhere."""
    samples = 0.1 * np.random.default_rng(0).normal(size=round(seconds * SPEECH_RATE))
    time = np.arange(len(samples)) / SPEECH_RATE
    speaks = np.any([(time >= first) & (time < last) for first, last in spans], axis=0)
    return np.where(speaks, samples, 10 ** (noise_db / 20) * samples).astype(np.float32)


def rest(
    speech: NDArray[np.float32], times: Curve, threshold: float = -35.0, closing: Closing = BELOW_A_LEVEL
) -> Curve:
    loudness = measure_level(speech, SPEECH_RATE).loudness_db
    return resting(speech, times, np.full(len(times), loudness + threshold), closing)


TIMES = np.arange(0.0, 4.0, 0.02)


def test_the_mouth_rests_in_pauses_and_is_free_in_speech() -> None:
    shares = rest(voice((0.5, 1.5), (2.5, 3.5)), TIMES)
    speaking = ((TIMES > 0.44) & (TIMES < 1.5)) | ((TIMES > 2.44) & (TIMES < 3.5))
    assert not shares[speaking].any()
    assert shares[(TIMES < 0.3) | ((TIMES > 1.65) & (TIMES < 2.3)) | (TIMES > 3.65)] == pytest.approx(1.0)
    assert np.abs(np.diff(shares)).max() < 0.35  # no jump


def test_the_mouth_is_free_before_the_sound_begins() -> None:
    shares = rest(voice((2.0, 3.0)), np.array([1.8, 1.9, 1.95, 2.0]))
    assert shares[0] == pytest.approx(1.0, abs=0.01)
    assert 0.0 < shares[1] < 0.7
    assert shares[2:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("pause", "rests"), [(0.08, False), (0.3, True), (0.6, True)])
def test_closures_of_plosives_are_no_silence(pause: float, rests: bool) -> None:
    shares = rest(voice((0.0, 1.0), (1.0 + pause, 4.0)), TIMES)
    assert (shares.max() > 0.3) == rests


def test_noise_counts_as_silence_when_the_threshold_says_so() -> None:
    speech = voice((1.0, 2.0), noise_db=-25.0)
    assert not rest(speech, TIMES, -35.0).any()
    assert rest(speech, TIMES, -20.0)[TIMES > 2.5] == pytest.approx(1.0)


@pytest.mark.parametrize("silence", [0.52, 0.6, 1.0, 3.0])
def test_the_mouth_comes_to_rest_in_digital_silence_of_half_a_second(silence: float) -> None:
    times = np.arange(0.0, 5.0, 0.01)
    shares = rest(voice((0.0, 1.0), (1.0 + silence, 5.0), seconds=5.0, noise_db=-120.0), times, -60.0, IN_SILENCE)
    assert shares.max() == 1.0
    assert not shares[(times < 1.0) | (times > 0.94 + silence)].any()


@pytest.mark.parametrize(
    ("closing", "open_until", "closed", "open_from"),
    [
        (Closing(shortest=0.3, delay=0.5, ramp=0.2, lead=0.1, strength=0.5), 1.5, (1.7, 2.7), 2.9),
        (Closing(shortest=0.3, delay=0.0, ramp=0.4, lead=0.3, strength=0.8), 1.0, (1.4, 2.3), 2.7),
    ],
)
def test_a_mouth_closes_as_late_as_far_and_as_early_again_as_it_is_told(
    closing: Closing, open_until: float, closed: tuple[float, float], open_from: float
) -> None:
    times = np.arange(0.5, 3.5, 0.01)
    shares = rest(voice((0.0, 1.0), (3.0, 4.0)), times, closing=closing)
    assert not shares[(times < open_until - 0.03) | (times > open_from + 0.03)].any()
    assert shares[(times > closed[0] + 0.03) & (times < closed[1] - 0.03)] == pytest.approx(closing.strength)


def test_shorter_pauses_than_the_shortest_close_no_mouth() -> None:
    closing = Closing(shortest=0.6, delay=0.0, ramp=0.1, lead=0.06, strength=1.0)
    assert not rest(voice((0.0, 1.0), (1.5, 4.0)), TIMES[(TIMES > 0.2) & (TIMES < 3.8)], closing=closing).any()


@pytest.mark.parametrize("noise_db", [-60.0, -40.0, -25.0])
def test_the_mouth_comes_to_rest_where_only_the_room_is_heard(noise_db: float) -> None:
    shares = rest_in_room_tone(voice((0.0, 1.0), (2.0, 3.0), noise_db=noise_db))
    assert shares[(TIMES > 1.45) & (TIMES < 1.6)] == pytest.approx(1.0, abs=0.03)
    assert not shares[(TIMES < 1.15) | ((TIMES > 1.9) & (TIMES < 3.15))].any()


def test_people_breathe_in_with_open_mouths_in_short_pauses() -> None:
    assert not rest_in_room_tone(voice((0.0, 1.5), (2.0, 4.0), noise_db=-30.0)).any()


@pytest.mark.parametrize(("seconds", "speaks"), [(0.06, False), (0.2, True)])
def test_a_click_is_no_speech(seconds: float, speaks: bool) -> None:
    shares = rest_in_room_tone(voice((0.0, 1.0), (2.0, 2.0 + seconds), (3.0, 4.0), noise_db=-30.0))
    assert (np.interp(2.0 + seconds / 2, TIMES, shares) == 0.0) == speaks


def test_quiet_speech_and_speech_over_music_are_no_room_tone() -> None:
    quiet = voice((0.0, 2.0), noise_db=-15.0)
    over_music = voice((0.0, 1.0), (2.0, 3.0), noise_db=-12.0)
    assert not rest_in_room_tone(quiet)[TIMES < 3.0].any()
    assert not rest_in_room_tone(over_music)[TIMES < 3.0].any()


def test_the_room_of_digital_silence_is_silent() -> None:
    assert room_tone_level(powers(in_blocks(np.zeros(2 * SPEECH_RATE, np.float32))), -120.0) == -75.0


def rest_in_room_tone(speech: NDArray[np.float32]) -> Curve:
    power = powers(in_blocks(speech))
    return resting_in_room_tone(speech, TIMES, room_tone_level(power, speech_level(speech, power)))


def test_a_silent_voice_rests_throughout() -> None:
    assert rest(np.zeros(2 * SPEECH_RATE, np.float32), TIMES).tolist() == [1.0] * len(TIMES)


def test_the_threshold_may_change_over_time() -> None:
    speech = voice((0.0, 1.0), (3.0, 4.0), noise_db=-25.0)
    threshold = np.where(TIMES < 2.0, -35.0, -20.0)
    shares = resting(speech, TIMES, measure_level(speech, SPEECH_RATE).loudness_db + threshold)
    assert not shares[TIMES < 1.9].any()
    assert shares[(TIMES > 2.2) & (TIMES < 2.8)] == pytest.approx(1.0)


def test_a_curve_runs_from_the_first_frame_to_the_last() -> None:
    times = np.array([0.0, 1.0, 2.0, 5.0])
    assert curve_at((-30.0,), times, 2.0).tolist() == [-30.0] * 4
    assert curve_at((0.0, 1.0), times, 2.0).tolist() == [0.0, 0.5, 1.0, 1.0]
    assert curve_at((0.0, 1.0), np.zeros(1), 0.0).tolist() == [0.0]
