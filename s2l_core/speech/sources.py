"""Sources of speech features: log-mel, or a pretrained network on the user's disk.

The networks are HuBERT, wav2vec 2.0 and similar ones, with the optional package transformers. Nothing is downloaded.
"""

from __future__ import annotations

import itertools
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import regular_files
from ..errors import BadJob, SpeechFeaturesUnavailable
from ..events import Report
from ..tensor_file import are_finite
from .features import HOP_SECONDS, MEL_BANDS, SAMPLE_RATE, log_mel_blocks, silence_level
from .named_networks import folder_at

LOG_MEL = "log-mel"

_LOUDEST_NOISE, _NOISE_DEVIATION = 7.0, 0.7
"""Range of faint noise above digital silence, and deviation of its bands, in log-mel: at most about 30 dB."""
_PIECE_SECONDS, _CONTEXT_SECONDS = 20, 2
"""Length of the pieces in which a network is run, since memory grows quadratically, and of their context."""
_MOST_DIGITS = 4
"""Largest number of digits of a layer."""
_GAIN = 10.0
"""Factor from normal loudness to an RMS of 1, with which these networks are trained."""


class SpeechSource(ABC):
    """Computes speech features: a row of numbers every 10 ms.

    Attributes:
        name: Absolute name of the source, for :func:`open_source`.
        silence: float32 (bands,) a row of digital silence.
    """

    name: str
    silence: NDArray[np.float32]

    @property
    def bands(self) -> int:
        """Number of values in a row."""
        return len(self.silence)

    @abstractmethod
    def pieces(
        self, speech: NDArray[np.float32], gain: float | np.float32 = 1.0, report: Report | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Consecutive blocks of rows float32 (k, bands), of some seconds each. There are m = n // 160 + 1 rows in
        total, and row i is at i * 10 ms.

        Args:
            speech: float32 (n,) mono at 16 kHz.
            gain: Factor of the samples, see :func:`.features.loudness_gain`.
            report: Receives the progress of the phase ``"Hear speech"``, if it takes long.
        """

    def features(self, speech: NDArray[np.float32], report: Report | None = None) -> NDArray[np.float32]:
        """All rows float32 (m, bands) of speech (n,) at normal loudness, see :func:`.features.normalise_loudness`."""
        return np.concatenate(list(self.pieces(speech, report=report)))

    def quiet(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Random rows float32 (count, bands) of a pause between words, for training."""
        return np.tile(self.silence, (count, 1))


class LogMel(SpeechSource):
    """Log-mel, the default: independent of the language, and without a network."""

    name = LOG_MEL
    silence = np.full(MEL_BANDS, silence_level(), np.float32)

    def pieces(
        self, speech: NDArray[np.float32], gain: float | np.float32 = 1.0, report: Report | None = None
    ) -> Iterator[NDArray[np.float32]]:
        return log_mel_blocks(speech, gain)

    def quiet(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Digital silence or the faint noise of a room, with equal probability."""
        if random.random() >= 0.5:
            return super().quiet(count, random)
        level = silence_level() + random.uniform(0.0, _LOUDEST_NOISE)
        noise = random.normal(0.0, _NOISE_DEVIATION, (count, MEL_BANDS)).astype(np.float32)
        return np.maximum(np.float32(level) + noise, self.silence)


class NetworkFeatures(SpeechSource):
    """States of a network that was pretrained on speech without text, computed in pieces.

    Args:
        name: See :class:`SpeechSource`.
        stride: Samples between two states.
    """

    def __init__(self, name: str, stride: int) -> None:
        self.name = name
        self._stride = stride
        second = SAMPLE_RATE // stride
        self.silence = self._states(np.zeros(SAMPLE_RATE, np.float32), second)[second // 2].numpy()

    def pieces(
        self, speech: NDArray[np.float32], gain: float | np.float32 = 1.0, report: Report | None = None
    ) -> Iterator[NDArray[np.float32]]:
        hop = round(HOP_SECONDS * SAMPLE_RATE)
        count, last = len(speech) // hop + 1, len(speech) // self._stride
        held, first, row = torch.empty(0), 0, 0  # states from index ``first`` on, and index of the next row
        for states in self._hear(speech, gain, report or Report()):
            held = torch.cat([held, states]) if len(held) else states
            known = first + len(held) - 1
            end = count if known == last else max(row, known * self._stride // hop)
            position = torch.arange(row, end) * (hop / self._stride)
            before = position.floor().long().clamp(max=last)
            after = (before + 1).clamp(max=last)
            if end > row:
                yield torch.lerp(held[before - first], held[after - first], (position - before)[:, None]).numpy()
            row, needed = end, min(math.floor(end * hop / self._stride), known)
            held, first = held[needed - first :], needed

    def _hear(self, speech: NDArray[np.float32], gain: float | np.float32, report: Report) -> Iterator[torch.Tensor]:
        """Consecutive blocks of states (k, bands) of a recording; state i is at sample i * stride."""
        piece, context = (seconds * SAMPLE_RATE // self._stride for seconds in (_PIECE_SECONDS, _CONTEXT_SECONDS))
        count = len(speech) // self._stride + 1
        for first in range(0, count, piece):
            report.progress("Hear speech", first, count)
            start, end = max(0, first - context), min(count, first + piece + context)
            heard = np.float32(gain) * speech[start * self._stride : end * self._stride]
            yield self._states(heard, end - start)[first - start :][:piece]

    @abstractmethod
    def _states(self, speech: NDArray[np.float32], count: int) -> torch.Tensor:
        """States (count, bands) of speech of any length, padded so that state i is centred at sample i * stride."""


class PretrainedFeatures(NetworkFeatures):
    """Hidden states of a layer of a network of the package transformers.

    Args:
        network: A ``Wav2Vec2Model``, ``HubertModel``, or one with the same configuration and outputs, in evaluation
            mode.
        name: See :class:`SpeechSource`.
        layer: Number of the layer: 0 is the input of the first transformer layer, 1 its output, etc. None means the
            last.

    Raises:
        BadJob: There is no such layer.
    """

    def __init__(self, network: Any, name: str, layer: int | None = None) -> None:
        layers = int(network.config.num_hidden_layers)
        if layer is not None and layer > layers:
            raise BadJob(f"{name} has no layer {layer}.", f"Choose one from 0 to {layers}.")
        self._network = network
        self._layer = layers if layer is None else layer
        strides, kernels = network.config.conv_stride, network.config.conv_kernel
        steps = itertools.accumulate(strides[:-1], operator.mul, initial=1)
        self._field = 1 + sum((kernel - 1) * step for kernel, step in zip(kernels, steps, strict=True))
        super().__init__(name, math.prod(strides))

    @torch.no_grad()
    def _states(self, speech: NDArray[np.float32], count: int) -> torch.Tensor:
        device = next(self._network.parameters()).device
        padded = np.pad(np.float32(_GAIN) * speech, (self._field // 2, self._field))
        heard = torch.from_numpy(padded[: (count - 1) * self._stride + self._field]).to(device)
        return self._network(heard[None], output_hidden_states=True).hidden_states[self._layer][0].float().cpu()


@lru_cache(maxsize=1)
def open_source(name: str, device: str = "cpu") -> SpeechSource:
    """Open a source of speech features.

    Args:
        name: ``"log-mel"``, or the folder of a network, optionally with ``#`` and a layer, such as
            ``"models/hubert-base-ls960#9"``. The folder contains ``config.json`` and ``model.safetensors``.
        device: Device of the network.

    Raises:
        FileMissing: There is no such folder.
        BadJob: The network has no such layer.
        SpeechFeaturesUnavailable: The package transformers is missing, or the folder contains no readable network.
    """
    if name == LOG_MEL:
        return LogMel()
    path, layer = split_source(name)
    folder = folder_at(path)
    network = _load_network(folder).to(device)
    return PretrainedFeatures(network, f"{folder}{layer}", int(layer[1:]) if layer else None)


def split_source(name: str) -> tuple[str, str]:
    """Split the name of a source, see :func:`open_source`, into folder, and ``#`` with the layer or an empty text."""
    path, mark, layer = name.rpartition("#")
    return (path, mark + layer) if layer.isdecimal() and len(path) > 0 and len(layer) <= _MOST_DIGITS else (name, "")


def files_of_source(name: str) -> tuple[str, ...]:
    """Files in the folder of a source; empty for log-mel."""
    folders = (Path(path).expanduser() for path in (name, name.rpartition("#")[0]) if path and name != LOG_MEL)
    return tuple(str(path) for folder in folders if regular_files.is_folder(folder) for path in folder.glob("*"))


def _load_network(folder: Path) -> Any:
    """Load the network in a folder, without running code in the folder.

    Raises:
        SpeechFeaturesUnavailable: See :func:`open_source`; or the weights contain NaN or infinity.
    """
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise SpeechFeaturesUnavailable(f"The package transformers cannot be used: {error}.") from error
    try:
        network = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
        ).eval()
    except Exception as error:  # the package lets any exception of its readers pass
        raise SpeechFeaturesUnavailable(
            f"{folder} does not contain a readable network: {error}.",
            "Choose a folder with config.json and model.safetensors.",
        ) from error
    if not hasattr(network.config, "conv_stride"):
        raise SpeechFeaturesUnavailable(
            f"{folder} contains a {network.config.model_type} network, which does not process speech.",
            "Choose HuBERT or wav2vec 2.0.",
        )
    if not are_finite(network.parameters()):
        raise SpeechFeaturesUnavailable(f"The weights in {folder} contain NaN or infinity.", "Copy the network again.")
    return network
