"""Speech encoder: from log-mel to motion codes of the lips."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..device import in_double
from ..events import checkpoint
from .articulation import Articulation
from .features import HOP_SECONDS, MEL_BANDS, silence_level
from .kernel import BLOCKS, KernelRegression, heard_around
from .moonshine import BANDS

CODE_SECONDS = 4 * HOP_SECONDS
"""Interval of the encoder's outputs: 25 codes per second, interpolated linearly for any frame rate."""

_WIDTH = 128
_DROPOUT = 0.3
_BLOCKS = 3
_RIDGE = 1.0
"""Penalty of the ridge regression, relative to the mean square of its inputs: of 0.3, 1, 3 and 10 the best for the
openings of five clips of 20 to 240 s, or within 0.01 of its correlation.
"""
_MOST_MOMENTS = 8000
MEMBERS = 2
"""Number of networks that the speech encoder averages."""
_HEARD_AT_ONCE, _AROUND_CODES = 6000, 12
"""Number of rows of log-mel that are encoded together: a minute, which takes 70 MB; and number of codes on either side
within the receptive field of the encoders."""
CONTEXT_CODES = 4
"""Number of codes on either side on which an output depends, and by which an excerpt must be longer at both ends."""


class MelEncoder(nn.Module, ABC):
    """An encoder from log-mel to codes, one every 40 ms.

    Args:
        bands: Number of bands of log-mel, or of other speech features.

    Attributes:
        silence: float32 (bands,) features of digital silence.
    """

    mel_mean: Tensor
    mel_scale: Tensor
    silence: Tensor

    def __init__(self, bands: int = MEL_BANDS) -> None:
        super().__init__()
        self.register_buffer("mel_mean", torch.zeros(bands))
        self.register_buffer("mel_scale", torch.ones(()))
        self.register_buffer("silence", torch.full((bands,), silence_level()))

    @abstractmethod
    def encode(self, scaled: Tensor) -> Tensor:
        """Codes (B, t, size) of log-mel (B, 4 t, 80) with zero mean and unit variance."""

    def fit_scale(self, mel: Tensor) -> None:
        """Set mean and scale of the inputs to those of log-mel (m, 80)."""
        self.mel_mean.copy_(mel.mean(dim=0))
        self.mel_scale.copy_(mel.std())

    def forward(self, mel: Tensor) -> Tensor:
        """Codes (B, t, size) of log-mel (B, 4 t, 80); code i belongs to the time of mel row 4 i."""
        return self.encode(self.scale(mel))

    def scale(self, mel: Tensor) -> Tensor:
        """Normalise log-mel (..., 80) to zero mean and unit variance."""
        return (mel - self.mel_mean) / self.mel_scale

    @torch.no_grad()
    def track(self, mel: Tensor) -> Tensor:
        """Codes (t, size) of a recording, one every 40 ms from time 0, with silence before and after it.

        Args:
            mel: Log-mel (m, 80), see :func:`s2l_core.speech.features.log_mel`.
        """
        return self.track_pieces([mel])

    @torch.no_grad()
    def track_pieces(self, mel: Iterable[Tensor]) -> Tensor:
        """As :meth:`track`, from consecutive pieces (k, 80) of log-mel: it is encoded minute by minute with its
        context, so that memory grows only with the codes.
        """
        silence, around = self.silence.expand(4 * CONTEXT_CODES, -1), 4 * _AROUND_CODES
        held, ready, codes = silence, 4 * CONTEXT_CODES, []  # ready: index in held of the row of the next code
        for piece in mel:
            held = torch.cat([held, piece])
            while len(held) >= ready + _HEARD_AT_ONCE + around:
                checkpoint()
                track = self(held[None, : ready + _HEARD_AT_ONCE + around])[0]
                codes.append(track[ready // 4 : (ready + _HEARD_AT_ONCE) // 4])
                held, ready = held[ready + _HEARD_AT_ONCE - around :], around
        rest = -(len(held) - ready) % 4
        held = torch.cat([held, self.silence.expand(rest, -1), silence])
        codes.append(self(held[None])[0, ready // 4 : -CONTEXT_CODES])
        return torch.cat(codes)

    @torch.no_grad()
    def rest(self) -> Tensor:
        """Code (size,) of digital silence: the resting mouth."""
        return self.track(self.silence.expand(4 * (2 * CONTEXT_CODES + 1), -1))[CONTEXT_CODES]


class RidgeEncoder(MelEncoder):
    """Ridge regression on the features around a moment.

    Args:
        size: Size of a code.
        bands: Number of bands of the inputs.
    """

    weights: Tensor
    offset: Tensor

    def __init__(self, size: int, bands: int) -> None:
        super().__init__(bands)
        self.register_buffer("weights", torch.zeros(BLOCKS * bands, size))
        self.register_buffer("offset", torch.zeros(size))

    def encode(self, scaled: Tensor) -> Tensor:
        return self.answer(heard_around(scaled))

    def answer(self, heard: Tensor) -> Tensor:
        """Codes (..., size) for inputs (..., 8, bands) around a moment."""
        return heard.flatten(-2) @ self.weights + self.offset

    def fit(self, heard: Tensor, codes: Tensor) -> None:
        """Fit to the inputs (N, 8, bands) around N moments and their codes (N, size); at most 8000 of them count."""
        checkpoint()
        some = torch.linspace(0, len(heard) - 1, min(_MOST_MOMENTS, len(heard)), device=heard.device).round().long()
        inputs, wanted = in_double(heard[some].flatten(1)), in_double(codes[some])
        mean, expected = inputs.mean(dim=0), wanted.mean(dim=0)
        inputs = inputs - mean
        squares = inputs.T @ inputs
        squares.diagonal().add_(_RIDGE * squares.diagonal().mean())
        checkpoint()
        weights = torch.linalg.solve(squares, inputs.T @ (wanted - expected))
        self.weights.copy_(weights)
        self.offset.copy_(expected - mean @ weights)


class SpeechEncoder(MelEncoder):
    """Strided convolutions on log-mel, instead of the paper's DeepSpeech features and AudioNet (section 4.2): the mean
    of networks with different initial weights, which are trained on different excerpts, and of a kernel regression.
    Their errors are different, the more so for short footage.

    Args:
        size: Size of a code.
        bands: Number of bands of the inputs.

    Attributes:
        kernel: The kernel regression with which the networks are averaged.
        kernel_share: Weight of the kernel regression, 0 to 1; 0 before it is fitted.
        prior: Regression on the states of Moonshine, which has heard many people.
        prior_share: Weight of its codes, 0 to 1; 0 before it is fitted, and if Moonshine is not installed.
        articulation: Correction of the opening of the mouth for dubbing.
    """

    kernel_share: Tensor
    prior_share: Tensor

    def __init__(self, size: int, bands: int = MEL_BANDS) -> None:
        super().__init__(bands)
        self.layers = nn.Sequential(
            _convolutions(bands, _WIDTH, 5, stride=2),
            nn.ReLU(),
            _convolutions(_WIDTH, _WIDTH, 5, stride=2),
            nn.Dropout(_DROPOUT),
            *(_ResidualBlock() for _ in range(_BLOCKS)),
            nn.ReLU(),
            _convolutions(_WIDTH, size, 1),
        )
        self.kernel = KernelRegression(size, bands)
        self.register_buffer("kernel_share", torch.zeros(()))
        self.prior = RidgeEncoder(size, BANDS)
        self.register_buffer("prior_share", torch.zeros(()))
        self.articulation = Articulation(size)

    def encode(self, scaled: Tensor) -> Tensor:
        """Codes (B, t, size); in training, each item of the batch is encoded by one of the networks, in turn."""
        if self.training:
            heard = torch.cat([scaled, scaled[:1].expand(-len(scaled) % MEMBERS, -1, -1)])
            return self._answers(heard.unflatten(0, (-1, MEMBERS))).flatten(0, 1)[: len(scaled)]
        codes = self._answers(scaled[:, None].expand(-1, MEMBERS, -1, -1)).mean(dim=1)
        return codes if self.kernel_share == 0 else torch.lerp(codes, self.kernel(scaled), self.kernel_share)

    def with_prior(self, track: Tensor, states: Iterable[Tensor]) -> Tensor:
        """Mix a track (t, size), see :meth:`MelEncoder.track`, with the codes of the prior.

        Args:
            track: The track.
            states: Consecutive pieces (k, 288) of the states of Moonshine for the same speech, a row every 10 ms.
        """
        return torch.lerp(track, self.prior.track_pieces(states), self.prior_share)

    def _answers(self, scaled: Tensor) -> Tensor:
        """Codes (B, members, t, size) of the inputs (B, members, 4 t, bands) of each network."""
        codes = self.layers(scaled.transpose(2, 3).flatten(1, 2))
        return codes.unflatten(1, (MEMBERS, -1)).transpose(2, 3)


def _convolutions(inputs: int, outputs: int, length: int, stride: int = 1) -> nn.Conv1d:
    """A convolution for all networks, as one grouped layer."""
    sizes = MEMBERS * inputs, MEMBERS * outputs, length
    return nn.Conv1d(*sizes, stride=stride, padding=length // 2, groups=MEMBERS)


class _ResidualBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = _convolutions(_WIDTH, _WIDTH, 3)
        self.second = _convolutions(_WIDTH, _WIDTH, 3)
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(self.second(functional.relu(self.first(functional.relu(x)))))


def codes_at(track: Tensor, times: NDArray[np.float64]) -> Tensor:
    """Codes (n, size) at times (n,) in seconds, interpolated linearly in a track (t, size), constant at its ends."""
    position = torch.as_tensor(times / CODE_SECONDS, dtype=torch.float32, device=track.device)
    position = position.clamp(0, len(track) - 1)
    before = position.floor().long().clamp(max=max(len(track) - 2, 0))
    after = (before + 1).clamp(max=len(track) - 1)
    return torch.lerp(track[before], track[after], (position - before)[:, None])
