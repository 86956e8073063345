"""The sync expert of Wav2Lip (Prajwal et al. 2020), which the paper's sync loss uses, for users who have its weights.

The library does not include them: the public weights ``lipsync_expert.pth`` are for non-commercial use. They determine
the layers, the log-mel and the crop of the face.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter, stft
from torch import Tensor, nn
from torch.nn import functional

from .. import regular_files
from ..errors import FileMissing, SyncExpertUnreadable
from ..speech.features import SAMPLE_RATE
from ..tensor_file import are_finite

MEL_RATE = 80
MEL_ROWS = 16
FACE_SIZE = 96
_PICTURES = 5
_MEL_BANDS, _FFT_SIZE, _HOP = 80, 800, SAMPLE_RATE // MEL_RATE
_LOWEST_HZ, _HIGHEST_HZ = 55.0, 7600.0
_PRE_EMPHASIS = 0.97
_LARGEST_FILE = 1_000_000_000
"""Largest size of the weights in bytes. The public ones have 200 million with the state of their training."""
_REFERENCE_DB, _FLOOR_DB, _RANGE = 20.0, -100.0, 4.0


class _Layer(NamedTuple):
    outputs: int
    kernel: int
    stride: tuple[int, int]
    padding: int
    residuals: int = 0
    """Number of residual layers of the same size that follow."""


_FACE_LAYERS = (
    _Layer(32, 7, (1, 1), 3),
    _Layer(64, 5, (1, 2), 1, residuals=2),
    _Layer(128, 3, (2, 2), 1, residuals=3),
    _Layer(256, 3, (2, 2), 1, residuals=2),
    _Layer(512, 3, (2, 2), 1, residuals=2),
    _Layer(512, 3, (2, 2), 1),
    _Layer(512, 3, (1, 1), 0),
    _Layer(512, 1, (1, 1), 0),
)
_SPEECH_LAYERS = (
    _Layer(32, 3, (1, 1), 1, residuals=2),
    _Layer(64, 3, (3, 1), 1, residuals=2),
    _Layer(128, 3, (3, 3), 1, residuals=2),
    _Layer(256, 3, (3, 2), 1, residuals=2),
    _Layer(512, 3, (1, 1), 0),
    _Layer(512, 1, (1, 1), 0),
)


class Wav2LipExpert(nn.Module):
    """``SyncNet_color``: 16.4 million parameters, embeddings of length 512."""

    def __init__(self) -> None:
        super().__init__()
        self.face_encoder = _encoder(3 * _PICTURES, _FACE_LAYERS)
        self.audio_encoder = _encoder(1, _SPEECH_LAYERS)

    def forward(self, mel_windows: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Unit-norm, non-negative embeddings (B, 512) of speech and face.

        Args:
            mel_windows: (B, 16, 80) see :func:`wav2lip_mel_windows`.
            pictures: float32 (B, 5, 3, h, w) faces from forehead to chin, RGB in [0, 1], 40 ms apart; the first one is
                at the start of the speech window. Only their lower halves are used.
        """
        faces = functional.interpolate(
            pictures.flatten(0, 1), (FACE_SIZE, FACE_SIZE), mode="bilinear", antialias=True, align_corners=False
        )
        lower = faces[:, [2, 1, 0], FACE_SIZE // 2 :].unflatten(0, pictures.shape[:2]).flatten(1, 2)
        speech = self.audio_encoder(mel_windows.transpose(1, 2)[:, None]).flatten(1)
        return functional.normalize(speech, dim=1), functional.normalize(self.face_encoder(lower).flatten(1), dim=1)


def load_wav2lip_expert(path: str) -> Wav2LipExpert:
    """Read public weights in the layout of ``lipsync_expert.pth``, as tensors only; no code in the file is run.

    Returns:
        The expert, frozen.

    Raises:
        FileMissing: There is no such file.
        SyncExpertUnreadable: The file is damaged or something else.
    """
    if not regular_files.is_file(path):
        raise FileMissing(f"There is no file {path}.")
    expert = Wav2LipExpert()
    try:
        if Path(path).stat().st_size > _LARGEST_FILE:
            raise ValueError("it is too large")
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
        state = {name.removeprefix("module."): value for name, value in content["state_dict"].items()}
        expert.load_state_dict(state)
        if not are_finite(expert.state_dict().values()):
            raise ValueError("weights with NaN or infinity")
    except (
        AssertionError,
        AttributeError,
        EOFError,
        IndexError,
        KeyError,
        OSError,
        OverflowError,
        RuntimeError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        raise SyncExpertUnreadable(
            f"{path} is damaged, or does not hold the weights of Wav2Lip's sync expert."
        ) from error
    return expert.eval().requires_grad_(False)


def wav2lip_mel(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """The expert's log-mel: (m, 80) in [-4, 4], 80 rows a second, of speech (n,) at 16 kHz in [-1, 1]."""
    emphasised = lfilter([1.0, -_PRE_EMPHASIS], [1.0], speech.astype(np.float64))
    _, _, spectrum = stft(
        np.pad(emphasised, _FFT_SIZE // 2),
        window=np.hanning(_FFT_SIZE + 1)[:-1],
        nperseg=_FFT_SIZE,
        noverlap=_FFT_SIZE - _HOP,
        boundary=None,
        padded=False,
    )
    magnitude = np.abs(spectrum) * (_FFT_SIZE / 2)  # SciPy divides by the sum of the window
    decibels = 20 * np.log10(np.maximum(_slaney_filters() @ magnitude, 1e-5)) - _REFERENCE_DB
    scaled = 2 * _RANGE * (decibels - _FLOOR_DB) / -_FLOOR_DB - _RANGE
    return scaled.clip(-_RANGE, _RANGE).T.astype(np.float32)


def wav2lip_mel_windows(mel: Tensor, moments: Tensor | NDArray[np.floating]) -> Tensor:
    """Windows (n, 16, 80) of the expert's log-mel (m, 80) that start at moments (n,) in seconds, those of the first
    pictures of windows. Beyond the end, the last row is repeated.
    """
    first = torch.as_tensor(moments * MEL_RATE + 1e-6, device=mel.device).floor().long()
    return mel[(first[:, None] + torch.arange(MEL_ROWS, device=mel.device)).clamp(0, len(mel) - 1)]


class _Block(nn.Module):
    def __init__(self, inputs: int, layer: _Layer, residual: bool = False) -> None:
        super().__init__()
        outputs, kernel, stride, padding, _ = layer
        self.conv_block = nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.BatchNorm2d(outputs))
        self._residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_block(x)
        return functional.relu(y + x if self._residual else y)


def _encoder(inputs: int, layers: tuple[_Layer, ...]) -> nn.Sequential:
    blocks = []
    for layer in layers:
        same = _Layer(layer.outputs, 3, (1, 1), 1)
        blocks.append(_Block(inputs, layer))
        blocks += [_Block(layer.outputs, same, residual=True) for _ in range(layer.residuals)]
        inputs = layer.outputs
    return nn.Sequential(*blocks)


def _slaney_filters() -> NDArray[np.float64]:
    """(80, 401) triangular filters of equal area, evenly spaced on Slaney's mel scale: linear up to 1 kHz, then
    logarithmic.
    """

    def to_mel(hertz: float) -> float:
        return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)

    mels = np.linspace(to_mel(_LOWEST_HZ), to_mel(_HIGHEST_HZ), _MEL_BANDS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    bins = np.fft.rfftfreq(_FFT_SIZE, 1.0 / SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0.0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
