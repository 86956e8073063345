"""How a mouth behaves in pauses is learnt from its footage."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from s2l_core.media.audio import SPEECH_RATE
from s2l_core.training.pauses import learn_pauses

SECONDS, RATE = 60, 25
TIMES = np.arange(SECONDS * RATE) / RATE
Curve = NDArray[np.float64]


def talk(pause_opening: float | None) -> tuple[NDArray[np.float32], Curve, Curve]:
    """Speech with a pause of a second after every three, the real openings and what speech tells of them.

    Args:
        pause_opening: Of the mouth from 0.2 s after the beginning of a pause on; None where it moves on as in speech.
    """
    random = np.random.default_rng(0)
    sample_times = np.arange(SECONDS * SPEECH_RATE) / SPEECH_RATE
    speech = np.where(sample_times % 4 < 3, 0.1, 0.002) * random.normal(size=len(sample_times))
    motion = gaussian_filter1d(random.normal(size=len(TIMES)), 3)
    openings = np.clip(0.04 + 0.02 * motion / motion.std(), 0.002, None)
    told = openings + 0.012 * gaussian_filter1d(random.normal(size=len(TIMES)), 3) / 0.3
    if pause_opening is not None:
        openings[(TIMES % 4 > 3.2) & (TIMES % 4 < 3.9)] = pause_opening
    return speech.astype(np.float32), openings, told


def test_a_speaker_who_shuts_the_mouth_in_pauses_shuts_it_when_dubbed() -> None:
    behaviour = learn_pauses(*_arguments(talk(0.002)))
    assert behaviour.closing.strength > 0.9
    assert behaviour.closing.delay + behaviour.closing.ramp >= 0.1
    assert behaviour.level_db >= -30.0


def test_a_speaker_who_leaves_the_mouth_ajar_leaves_it_ajar() -> None:
    assert 0.25 <= learn_pauses(*_arguments(talk(0.022))).closing.strength <= 0.75


@pytest.mark.parametrize("seconds", [15, 60])
def test_pauses_that_tell_nothing_of_the_mouth_close_none(seconds: int) -> None:
    speech, times, openings, told = _arguments(talk(None))
    count = seconds * RATE
    behaviour = learn_pauses(speech[: seconds * SPEECH_RATE], times[:count], openings[:count], told[:count])
    assert behaviour.closing.strength == 0.0


def test_silence_lies_below_all_that_the_footage_held() -> None:
    behaviour = learn_pauses(*_arguments(talk(0.002)))
    assert behaviour.silence_db == pytest.approx(-34.0 - 10.0, abs=2.0)


def _arguments(
    talk: tuple[NDArray[np.float32], Curve, Curve],
) -> tuple[NDArray[np.float32], Curve, Curve, Curve]:
    speech, openings, told = talk
    return speech, TIMES, openings, told
