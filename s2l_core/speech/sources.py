"""Where the rows come from that the speech encoder hears: log-mel, or a pretrained network whose weights the user has.

The networks are HuBERT and wav2vec 2.0 and their relatives, through the optional package transformers. Nothing is ever
downloaded.
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
    def pieces(
        self, speech: NDArray[np.float32], gain: float | np.float32 = 1.0, report: Report | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Consecutive rows (k, bands) of speech (n,) at 16 kHz, some seconds at a time; row i of all m = n // 160 + 1
        belongs to i * 10 ms.

        Args:
            speech: What is heard.
            gain: What it is multiplied with, see :func:`.features.loudness_gain`.
            report: Receives the progress of the phase ``"Hear speech"`` by what takes long.
        """

    def features(self, speech: NDArray[np.float32], report: Report | None = None) -> NDArray[np.float32]:
        """All rows (m, bands) of speech (n,) at normal loudness, see :func:`.features.normalise_loudness`."""
        return np.concatenate(list(self.pieces(speech, report=report)))

    def quiet(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        """``count`` rows of a pause between words, to learn from."""
        return np.tile(self.silence, (count, 1))


class LogMel(SpeechSource):
    """The default: knows no language, streams, needs nothing."""

    name = LOG_MEL
    silence = np.full(MEL_BANDS, silence_level(), np.float32)

    def pieces(
        self, speech: NDArray[np.float32], gain: float | np.float32 = 1.0, report: Report | None = None
    ) -> Iterator[NDArray[np.float32]]:
        return log_mel_blocks(speech, gain)

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

    def pieces(
        self, speech: NDArray[np.float32], gain: float | np.float32 = 1.0, report: Report | None = None
    ) -> Iterator[NDArray[np.float32]]:
        hop = round(HOP_SECONDS * SAMPLE_RATE)
        count, last = len(speech) // hop + 1, len(speech) // self._stride
        held, first, row = torch.empty(0), 0, 0  # states from number ``first`` on, and the next row
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
        """Consecutive states (k, bands) of a recording; state i of all belongs to sample i * stride."""
        piece, context = (seconds * SAMPLE_RATE // self._stride for seconds in (_PIECE_SECONDS, _CONTEXT_SECONDS))
        count = len(speech) // self._stride + 1
        for first in range(0, count, piece):
            report.progress("Hear speech", first, count)
            start, end = max(0, first - context), min(count, first + piece + context)
            heard = np.float32(gain) * speech[start * self._stride : end * self._stride]
            yield self._states(heard, end - start)[first - start :][:piece]

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


def files_of_source(name: str) -> tuple[str, ...]:
    """The files in the folder that a source is read from; none where it is no network."""
    folders = (Path(path).expanduser() for path in (name, name.rpartition("#")[0]) if path and name != LOG_MEL)
    return tuple(str(path) for folder in folders if regular_files.is_folder(folder) for path in folder.glob("*"))


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
