"""The speech network that has heard many people."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from s2l_core.errors import SpeechFeaturesUnavailable
from s2l_core.jobs import Media
from s2l_core.media.audio import read_speech
from s2l_core.model.speaker import SpeakerModel
from s2l_core.mouth.line_codes import speech_track
from s2l_core.speech import moonshine
from s2l_core.speech.encoder import SpeechEncoder
from s2l_core.speech.features import SAMPLE_RATE, log_mel

LINE = Path(__file__).resolve().parents[2] / "demo" / "line.flac"


@pytest.fixture(scope="module")
def line() -> np.ndarray:
    return read_speech(replace(Media(str(LINE)), end=6.0))


@pytest.fixture
def not_opened() -> None:
    moonshine.open_moonshine.cache_clear()


def test_states_have_the_rows_of_log_mel(line: np.ndarray) -> None:
    states = moonshine.open_moonshine().features(line)
    assert states.shape == (len(log_mel(line)), moonshine.BANDS)
    assert states.dtype == np.float32


@pytest.mark.parametrize("second", [0.4, 1.97, 3.5])
def test_a_sound_changes_the_states_of_its_time(second: float) -> None:
    network, speech = moonshine.open_moonshine(), np.zeros(4 * SAMPLE_RATE, np.float32)
    middle = round(second * SAMPLE_RATE)
    speech[middle - 400 : middle + 400] = np.random.default_rng(0).normal(0, 0.2, 800)
    change = np.abs(network.features(speech) - network.features(0 * speech)).mean(axis=1)
    assert np.abs(change.argmax() / 100 - second) < 0.1


def test_a_trimmed_recording_has_nearly_the_states_of_the_whole_one(line: np.ndarray) -> None:
    network = moonshine.open_moonshine()
    begin = round(1.7 * SAMPLE_RATE / 160) * 160
    whole, trimmed = network.features(line)[begin // 160 :], network.features(line[begin:])
    inner = slice(100, -100)
    assert np.corrcoef(whole[inner].ravel(), trimmed[inner].ravel())[0, 1] > 0.9


def test_pieces_make_up_the_whole(line: np.ndarray) -> None:
    network = moonshine.open_moonshine()
    pieces = list(network.pieces(line))
    assert len(pieces) > 3
    assert np.array_equal(np.concatenate(pieces), network.features(line))


def test_without_the_package_the_error_says_how_to_get_it(not_opened: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(SpeechFeaturesUnavailable, match="moonshine-voice==") as caught:
        moonshine.open_moonshine()
    assert "Set up the engine" in caught.value.hint


def test_other_weights_than_the_known_ones_are_not_run(
    not_opened: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "encoder.ort").write_bytes(b"ORTM" * 1000)
    package = SimpleNamespace(locate_file=lambda name: tmp_path / "encoder.ort")
    monkeypatch.setattr(metadata, "distribution", lambda name: package)
    with pytest.raises(SpeechFeaturesUnavailable, match="damaged"):
        moonshine.open_moonshine()


def test_a_speaker_that_learnt_with_it_does_not_speak_without_it(
    hasty_speaker: str, line: np.ndarray, not_opened: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker = SpeakerModel.load(hasty_speaker)
    assert isinstance(speaker.lip.speech, SpeechEncoder)
    with_it = speech_track(speaker, line)
    speaker.lip.speech.prior_share.fill_(0.0)
    assert not np.allclose(speech_track(speaker, line), with_it)
    speaker.lip.speech.prior_share.fill_(0.4)
    moonshine.open_moonshine.cache_clear()
    monkeypatch.setattr(moonshine, "_SHA256", "")
    with pytest.raises(SpeechFeaturesUnavailable):
        speech_track(speaker, line)
