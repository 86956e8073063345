"""Where the rows come from that the speech encoder hears: log-mel, or a pretrained network whose weights the user has.

The networks are HuBERT and wav2vec 2.0 and their relatives, through the optional package transformers. Nothing is ever
downloaded.
"""

from __future__ import annotations

import itertools
import math
import operator
from abc import ABC, abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import BadJob, SpeechFeaturesUnavailable
from ..events import Report
from ..tensor_file import are_finite
from .features import HOP_SECONDS, MEL_BANDS, SAMPLE_RATE, log_mel, silence_level
from .named_networks import folder_at

LOG_MEL = "log-mel"

_LOUDEST_NOISE, _NOISE_DEVIATION = 7.0, 0.7
"""Faint noise in log-mel, over digital silence: about 30 dB at most."""
_PIECE_SECONDS, _CONTEXT_SECONDS = 20, 2
"""A network hears a recording in pieces, each with what comes before and after it: its memory grows with the square."""
_MOST_DIGITS = 4
"""Of the number of a layer."""
_GAIN = 10.0
"""Brings speech of the normal loudness to an RMS of one, which these networks are trained with."""


class SpeechSource(ABC):
    """Turns speech into rows of numbers, one every 10 ms.

    Attributes:
        name: What :func:`open_source` opens it by, from anywhere on this machine.
        silence: float32 (bands,) a row in digital silence.
    """

    name: str
    silence: NDArray[np.float32]

    @property
    def bands(self) -> int:
        """Numbers in a row."""
        return len(self.silence)

    @abstractmethod
    def features(self, speech: NDArray[np.float32], report: Report | None = None) -> NDArray[np.float32]:
        """Rows (m, bands) of speech (n,) at 16 kHz and normal loudness; row i belongs to i * 10 ms, m = n // 160 + 1.

        Args:
            speech: As :func:`.features.normalise_loudness` gives it.
            report: Told the phase ``"Hear speech"`` by what takes long.
        """

    def quiet(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        """``count`` rows of a pause between words, to learn from."""
        return np.tile(self.silence, (count, 1))


class LogMel(SpeechSource):
    """The default: knows no language, streams, needs nothing."""

    name = LOG_MEL
    silence = np.full(MEL_BANDS, silence_level(), np.float32)

    def features(self, speech: NDArray[np.float32], report: Report | None = None) -> NDArray[np.float32]:
        return log_mel(speech)

    def quiet(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Digital silence, or as often the faint noise of a room."""
        if random.random() >= 0.5:
            return super().quiet(count, random)
        level = silence_level() + random.uniform(0.0, _LOUDEST_NOISE)
        noise = random.normal(0.0, _NOISE_DEVIATION, (count, MEL_BANDS)).astype(np.float32)
        return np.maximum(np.float32(level) + noise, self.silence)


class PretrainedFeatures(SpeechSource):
    """Hidden states of one layer of a network that was trained on speech without text.

    Args:
        network: A ``Wav2Vec2Model``, a ``HubertModel`` or one with the same configuration and outputs, for evaluation.
        name: See :class:`SpeechSource`.
        layer: 0 is the input of the first transformer layer, 1 its output and so on; None means the last.

    Raises:
        BadJob: There is no such layer.
    """

    def __init__(self, network: Any, name: str, layer: int | None = None) -> None:
        layers = int(network.config.num_hidden_layers)
        if layer is not None and layer > layers:
            raise BadJob(f"{name} has no layer {layer}.", f"Choose one from 0 to {layers}.")
        self.name = name
        self._network = network
        self._layer = layers if layer is None else layer
        strides, kernels = network.config.conv_stride, network.config.conv_kernel
        self._stride = math.prod(strides)
        steps = itertools.accumulate(strides[:-1], operator.mul, initial=1)
        self._field = 1 + sum((kernel - 1) * step for kernel, step in zip(kernels, steps, strict=True))
        second = SAMPLE_RATE // self._stride
        self.silence = self._states(np.zeros(SAMPLE_RATE, np.float32), second)[second // 2].numpy()

    def features(self, speech: NDArray[np.float32], report: Report | None = None) -> NDArray[np.float32]:
        states = self._hear(speech, report or Report())
        hop = round(HOP_SECONDS * SAMPLE_RATE)
        position = torch.arange(len(speech) // hop + 1) * (hop / self._stride)
        before = position.floor().long().clamp(max=len(states) - 1)
        after = (before + 1).clamp(max=len(states) - 1)
        return torch.lerp(states[before], states[after], (position - before)[:, None]).numpy()

    def _hear(self, speech: NDArray[np.float32], report: Report) -> torch.Tensor:
        """States (k, bands) of a whole recording; state i belongs to sample i * stride."""
        piece, context = (seconds * SAMPLE_RATE // self._stride for seconds in (_PIECE_SECONDS, _CONTEXT_SECONDS))
        count = len(speech) // self._stride + 1
        parts = []
        for first in range(0, count, piece):
            report.progress("Hear speech", first, count)
            start, end = max(0, first - context), min(count, first + piece + context)
            states = self._states(speech[start * self._stride : end * self._stride], end - start)
            parts.append(states[first - start :][:piece])
        return torch.cat(parts)

    @torch.no_grad()
    def _states(self, speech: NDArray[np.float32], count: int) -> torch.Tensor:
        """States (count, bands) of speech, which is padded so that each lies in the middle of what it hears."""
        device = next(self._network.parameters()).device
        padded = np.pad(np.float32(_GAIN) * speech, (self._field // 2, self._field))
        heard = torch.from_numpy(padded[: (count - 1) * self._stride + self._field]).to(device)
        return self._network(heard[None], output_hidden_states=True).hidden_states[self._layer][0].float().cpu()


@lru_cache(maxsize=1)
def open_source(name: str, device: str = "cpu") -> SpeechSource:
    """The source that a job names: ``"log-mel"``, or the folder of a network, with ``#`` and a layer after it or not.

    Args:
        name: Such as ``"models/hubert-base-ls960#9"``. The folder holds ``config.json`` and ``model.safetensors``.
        device: Where a network runs.

    Raises:
        FileMissing: There is no such folder.
        BadJob: The network has no such layer.
        SpeechFeaturesUnavailable: The package transformers is missing, or the folder holds no network that it can read.
    """
    if name == LOG_MEL:
        return LogMel()
    path, layer = split_source(name)
    folder = folder_at(path)
    network = _load_network(folder).to(device)
    return PretrainedFeatures(network, f"{folder}{layer}", int(layer[1:]) if layer else None)


def split_source(name: str) -> tuple[str, str]:
    """The folder of a network, and ``#`` with a layer, or nothing, of a name as :func:`open_source` takes it."""
    path, mark, layer = name.rpartition("#")
    return (path, mark + layer) if layer.isdecimal() and len(path) > 0 and len(layer) <= _MOST_DIGITS else (name, "")


def _load_network(folder: Path) -> Any:
    """The network in a folder: of the kinds that transformers knows, for no program that lies there is run.

    Raises:
        SpeechFeaturesUnavailable: As :func:`open_source`, or its weights hold NaN or infinity.
    """
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise SpeechFeaturesUnavailable(f"The package transformers cannot be used: {error}.") from error
    try:
        network = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
        ).eval()
    except Exception as error:  # the package raises whatever its readers raise
        raise SpeechFeaturesUnavailable(
            f"{folder} cannot be read as a network: {error}.", "Choose a folder with config.json and model.safetensors."
        ) from error
    if not hasattr(network.config, "conv_stride"):
        raise SpeechFeaturesUnavailable(
            f"{folder} holds a network of the kind {network.config.model_type}, which hears no sound.",
            "Choose HuBERT or wav2vec 2.0.",
        )
    if not are_finite(network.parameters()):
        raise SpeechFeaturesUnavailable(
            f"The weights in {folder} hold values that are not numbers.", "Copy the network again."
        )
    return network
