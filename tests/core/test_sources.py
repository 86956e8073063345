"""Features of speech: log-mel, or those of a network whose weights the user has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from s2l_core.errors import BadJob, FileMissing, SpeechFeaturesUnavailable
from s2l_core.jobs import Media
from s2l_core.media.audio import read_speech
from s2l_core.speech import named_networks
from s2l_core.speech.encoder import SpeechEncoder
from s2l_core.speech.features import SAMPLE_RATE, log_mel, normalise_loudness
from s2l_core.speech.sources import LogMel, PretrainedFeatures, open_source


class Network(nn.Module):
    """Stands in for HuBERT: 50 states a second, each the loudness of 25 ms, in layers that count up from 0."""

    def __init__(self, bands: int = 3, layers: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(bands))
        self.config = SimpleNamespace(
            num_hidden_layers=layers, conv_stride=(5, 2, 2, 2, 2, 2, 2), conv_kernel=(10, 3, 3, 3, 3, 2, 2)
        )

    def forward(self, samples: Tensor, output_hidden_states: bool) -> Any:
        assert output_hidden_states
        loudness = samples.unfold(1, 400, 320).square().mean(dim=-1, keepdim=True) * self.weight
        return SimpleNamespace(hidden_states=[loudness + layer for layer in range(self.config.num_hidden_layers + 1)])


def click(second: float, seconds: float) -> np.ndarray:
    """A click of 10 ms."""
    speech = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    middle = round(second * SAMPLE_RATE)
    speech[middle - 80 : middle + 80] = 0.5
    return speech


def test_log_mel_is_the_default_and_needs_nothing() -> None:
    source = open_source("log-mel")
    speech = click(0.4, 1.0)
    assert np.array_equal(source.features(speech), log_mel(speech))
    assert np.array_equal(source.features(np.zeros(800, np.float32))[0], source.silence)
    assert source.bands == 80


def test_pauses_to_learn_from_are_silent_or_faint() -> None:
    random = np.random.default_rng(0)
    pauses = np.stack([LogMel().quiet(50, random) for _ in range(40)])
    silent = (pauses == LogMel.silence).all(axis=(1, 2))
    assert 10 < silent.sum() < 30
    assert (pauses >= LogMel.silence).all()
    assert pauses.max() < log_mel(click(0.5, 1.0)).max() - 5
    assert (PretrainedFeatures(Network(), "network").quiet(4, random) == 2.0).all()


@pytest.mark.parametrize("second", [0.4, 0.57, 19.96, 20.03, 44.9])
def test_features_of_another_rate_lie_at_the_times_of_log_mel(second: float) -> None:
    speech = click(second, 45.0)
    features = PretrainedFeatures(Network(), "network").features(speech)
    assert features.shape == (len(log_mel(speech)), 3)
    assert features.dtype == np.float32
    loudness = features[:, 0] - features[:, 0].min()
    heard = (loudness * np.arange(len(loudness))).sum() / loudness.sum() / 100
    assert heard == pytest.approx(second, abs=0.011)


def test_rows_between_two_states_are_interpolated() -> None:
    features = PretrainedFeatures(Network(), "network").features(np.linspace(0, 1, 16_000, dtype=np.float32))
    assert np.allclose(features[1:-3:2], (features[0:-3:2] + features[2:-1:2]) / 2, atol=1e-5)


def test_a_long_recording_is_heard_in_pieces_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    speech = np.random.default_rng(0).normal(0, 0.1, 5 * SAMPLE_RATE + 77).astype(np.float32)
    source = PretrainedFeatures(Network(), "network")
    whole = source.features(speech)
    monkeypatch.setattr("s2l_core.speech.sources._PIECE_SECONDS", 1)
    monkeypatch.setattr("s2l_core.speech.sources._CONTEXT_SECONDS", 1)
    assert np.allclose(source.features(speech), whole, atol=1e-5)


def test_a_layer_can_be_chosen_and_must_exist() -> None:
    silence = {layer: PretrainedFeatures(Network(), "network", layer).silence[0] for layer in (None, 0, 1)}
    assert silence == {None: 2.0, 0: 0.0, 1: 1.0}
    with pytest.raises(BadJob, match="no layer 3") as caught:
        PretrainedFeatures(Network(), "network", 3)
    assert "0 to 2" in caught.value.hint


@dataclass
class Package:
    """Stands in for transformers, and keeps how it was asked."""

    network: Any
    options: dict[str, Any] | None = None

    def from_pretrained(self, folder: Path, **options: Any) -> Any:
        self.options = options
        if isinstance(self.network, Exception):
            raise self.network
        return self.network


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    package, module = Package(Network()), ModuleType("transformers")
    monkeypatch.setattr(module, "AutoModel", package, raising=False)
    monkeypatch.setitem(sys.modules, "transformers", module)
    open_source.cache_clear()
    yield package
    open_source.cache_clear()


def test_weights_are_read_from_a_folder_and_never_fetched_or_unpickled(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "hubert #9 of 12"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    source = open_source(f"{folder.name}#1")
    assert source.name == f"{folder}#1"  # so that it is found from anywhere
    assert source.silence[0] == 1.0
    assert package.options == {"local_files_only": True, "use_safetensors": True, "trust_remote_code": False}
    assert open_source(folder.name).silence[0] == 2.0
    assert open_source("log-mel").name == "log-mel"


def test_what_is_missing_is_told(package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileMissing, match="does not exist"):
        open_source(str(tmp_path / "nowhere"))
    package.network = OSError("no file named model.safetensors")
    with pytest.raises(SpeechFeaturesUnavailable, match=r"no file named model\.safetensors"):
        open_source(str(tmp_path))
    package.network = nn.Identity()
    package.network.config = SimpleNamespace(model_type="bert")
    with pytest.raises(SpeechFeaturesUnavailable, match="bert"):
        open_source(str(tmp_path))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SpeechFeaturesUnavailable) as caught:
        open_source(str(tmp_path))
    assert "pip install transformers" in caught.value.hint


def test_weights_that_are_no_numbers_are_refused(package: Package, tmp_path: Path) -> None:
    package.network.weight.data[0] = float("nan")
    with pytest.raises(SpeechFeaturesUnavailable, match="NaN or infinity"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("name", ["~nobody-of-that-name/network", "a\0b", "n" * 300, "#1"])
def test_a_name_that_no_folder_has_is_told(name: str) -> None:
    with pytest.raises(FileMissing, match="does not exist"):
        open_source(name)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user who has named nothing yet, in a process that has just begun."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setattr(named_networks, "_named", {})
    return tmp_path / "settings"


def network_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(b"weights")
    return path


def test_a_network_is_known_once_it_is_named(settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = network_folder(tmp_path / "network")
    with pytest.raises(BadJob, match="was not approved on this machine") as caught:
        named_networks.named_network("/theirs/network")
    assert "--speech-network" in caught.value.hint
    named_networks.name_network("/theirs/network", str(folder))
    monkeypatch.setattr(named_networks, "_named", {})  # in the next process
    assert named_networks.named_network("/theirs/network") == str(folder)
    with pytest.raises(BadJob, match="was not approved"):
        named_networks.named_network(str(folder))


def test_a_network_whose_files_have_changed_must_be_named_anew(settings: Path, tmp_path: Path) -> None:
    folder = network_folder(tmp_path / "network")
    named_networks.name_network("network", str(folder))
    (folder / "model.safetensors").write_bytes(b"others, from somebody else")
    with pytest.raises(BadJob, match="has changed since it was approved"):
        named_networks.named_network("network")
    (folder / "config.json").unlink()
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(FileMissing):
        named_networks.named_network("network")


def test_where_the_list_cannot_be_written_the_process_still_knows(settings: Path, tmp_path: Path) -> None:
    settings.write_text("a file where the folder of settings should be")
    folder = network_folder(tmp_path / "network")
    named_networks.name_network("network", str(folder))
    assert named_networks.named_network("network") == str(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"network": 1}', b'{"network": ["a"]}', b"[" * 100_000, b"\xff"])
def test_a_damaged_list_knows_nothing(settings: Path, content: bytes) -> None:
    (settings / "speech2lip").mkdir(parents=True)
    (settings / "speech2lip" / "speech_networks.json").write_bytes(content)
    with pytest.raises(BadJob, match="was not approved"):
        named_networks.named_network("network")


def test_an_encoder_hears_features_of_any_size_and_rests_in_their_silence() -> None:
    torch.manual_seed(0)
    source = PretrainedFeatures(Network(), "network")
    encoder = SpeechEncoder(8, source.bands).eval()
    encoder.silence.copy_(torch.from_numpy(source.silence))
    silent = encoder.track(torch.from_numpy(source.features(np.zeros(16_000, np.float32))))
    assert torch.allclose(silent[8:-8], encoder.rest().expand(len(silent) - 16, -1), atol=1e-5)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 1), (44_100, 2), (48_000, 2)])
def test_speech_sounds_the_same_from_any_sample_rate(tmp_path: Path, rate: int, channels: int) -> None:
    """Below 3 kHz, which all of them carry; loudness follows from the normalisation."""
    moments = np.arange(round(2.0 * rate)) / rate
    voice = 0.02 * sum(np.sin(2 * np.pi * hertz * moments) for hertz in (200, 700, 2400)) * (np.sin(9 * moments) > 0)
    path = tmp_path / "voice.wav"
    soundfile.write(path, np.repeat(voice[:, None], channels, axis=1), rate)
    speech = read_speech(Media(str(path)))
    assert len(speech) == 32_000
    moments = np.arange(32_000) / SAMPLE_RATE
    reference = 0.1 * sum(np.sin(2 * np.pi * hertz * moments) for hertz in (200, 700, 2400)) * (np.sin(9 * moments) > 0)
    heard, wanted = (log_mel(normalise_loudness(samples.astype(np.float32)))[:, :45] for samples in (speech, reference))
    loud = wanted > wanted.max() - 8
    assert np.abs(heard - wanted)[loud].mean() < 0.1
