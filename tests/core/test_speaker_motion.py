"""The motion of anybody's lips as a trained speaker moves them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s2l_core.errors import SpeakerFileOlder
from s2l_core.jobs import Media
from s2l_core.media.audio import read_speech
from s2l_core.model.speaker import SpeakerModel
from s2l_core.speech.features import SAMPLE_RATE
from s2l_core.stills.lip_shape import POINTS, opening_of
from s2l_core.stills.speaker_motion import SpeakerMotion

LINE = Path(__file__).resolve().parents[2] / "demo" / "line.flac"
TIMES = np.arange(50) / 25.0


@pytest.fixture(scope="module")
def speaker(hasty_speaker: str) -> SpeakerModel:
    return SpeakerModel.load(hasty_speaker)


def test_a_speaker_tells_offsets_of_anybodys_lips(speaker: SpeakerModel) -> None:
    speech = read_speech(replace(Media(str(LINE)), end=2.0))
    motion = SpeakerMotion(speaker)
    offsets = motion.offsets(speech, TIMES)
    assert offsets.shape == (len(TIMES), len(POINTS), 2)
    assert opening_of(offsets).std() > 0.005
    assert np.abs(offsets).max() < 0.5
    parts = [motion.offsets(speech, TIMES[:20]), motion.offsets(speech, TIMES[20:])]
    np.testing.assert_array_equal(np.concatenate(parts), offsets)


def test_silence_closes_the_mouth(speaker: SpeakerModel) -> None:
    silent = np.zeros(2 * SAMPLE_RATE, np.float32)
    np.testing.assert_allclose(SpeakerMotion(speaker).offsets(silent, TIMES), 0, atol=1e-5)


def test_a_file_without_the_motion_of_lips_is_refused(speaker: SpeakerModel) -> None:
    with pytest.raises(SpeakerFileOlder, match="how the lips move"):
        SpeakerMotion(replace(speaker, exemplars=None))
