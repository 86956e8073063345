"""Moonshine: a network that has heard many people speak, and tells sounds apart that look alike in log-mel.

Jeffries et al., "Moonshine: speech recognition for live transcription and voice commands" (2024). Only the encoder of
the English model "tiny" is used, from the files of an installed package; nothing is downloaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import SpeechFeaturesUnavailable
from ..events import Report
from .features import SAMPLE_RATE
from .sources import NetworkFeatures

BANDS = 288
"""Number of values in a state."""

_PACKAGE, _VERSION, _FILE = "moonshine-voice", "0.0.73", "moonshine_voice/assets/tiny-en/encoder_model.ort"
_SHA256 = "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221"
_STRIDE, _FIELD = 384, 895
"""Samples between two states, and in the receptive field of one before the attention."""
_PIECE, _CONTEXT = (SAMPLE_RATE // _STRIDE,) * 2
"""Number of states that are computed together, and on either side of them that the attention covers too: a second each.
With 20 s and 2 s, the states of a trimmed recording differed from those of the whole one (correlation 0.6 instead of
0.97), and predicted lips no better.
"""
PIECE_SAMPLES = _PIECE * _STRIDE
"""Samples that are computed together: a recording that begins a multiple of these later has the same states."""


class Moonshine(NetworkFeatures):
    """States of Moonshine's encoder, one every 24 ms.

    Args:
        session: Inference session of ONNX Runtime with the encoder.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        super().__init__("moonshine", _STRIDE)

    def _hear(self, speech: NDArray[np.float32], gain: float | np.float32, report: Report) -> Iterator[torch.Tensor]:
        count = len(speech) // _STRIDE + 1
        for first in range(0, count, _PIECE):
            report.progress("Hear speech", first, count)
            start, end = ((first + states) * _STRIDE for states in (-_CONTEXT, _PIECE + _CONTEXT))
            heard = np.float32(gain) * speech[max(start, 0) : end]
            padded = np.pad(heard, (max(-start, 0), end - max(start, 0) - len(heard)))
            states = self._states(padded, _PIECE + 2 * _CONTEXT)
            yield states[_CONTEXT:][: min(_PIECE, count - first)]

    def _states(self, speech: NDArray[np.float32], count: int) -> torch.Tensor:
        padded = np.pad(speech, (_FIELD // 2, _FIELD))[: (count - 1) * _STRIDE + _FIELD]
        inputs = {"input_values": padded[None], "attention_mask": np.ones((1, len(padded)), np.int64)}
        return torch.from_numpy(self._session.run(None, inputs)[0][0])


@lru_cache(maxsize=1)
def open_moonshine() -> Moonshine:
    """Open the encoder, on the CPU.

    Raises:
        SpeechFeaturesUnavailable: The package with the weights or ONNX Runtime is missing or damaged.
    """
    try:
        import onnxruntime

        weights = Path(str(metadata.distribution(_PACKAGE).locate_file(_FILE))).read_bytes()
        if hashlib.sha256(weights).hexdigest() != _SHA256:
            raise ValueError("its encoder is damaged")
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the same numbers whatever the machine's number of cores
        return Moonshine(onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"]))
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise SpeechFeaturesUnavailable(
            f"The speech network Moonshine cannot be used: {error}.",
            "Set up the engine again, or run: python -m pip install onnxruntime; "
            f"python -m pip install --no-deps {_PACKAGE}=={_VERSION}",
        ) from error
