"""From log-mel to motion codes: what the sound says about the lips, and when."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..events import checkpoint
from .articulation import Articulation
from .features import HOP_SECONDS, MEL_BANDS, silence_level
from .kernel import KernelRegression

CODE_SECONDS = 4 * HOP_SECONDS
"""Distance of the encoder's outputs: 25 codes a second, interpolated linearly for any frame rate."""

_WIDTH = 128
_DROPOUT = 0.3
_BLOCKS = 3
MEMBERS = 2
"""Networks that the speech encoder averages."""
_HEARD_AT_ONCE, _AROUND_CODES = 6000, 12
"""Rows of log-mel whose codes are computed together: a minute, which takes 70 MB; and codes on either side that any
layer of an encoder reaches to."""
CONTEXT_CODES = 4
"""Codes on either side that an output depends on; also how much an excerpt must be longer at both ends."""


class MelEncoder(nn.Module, ABC):
    """What gives codes of log-mel, one every 40 ms.

    Args:
        bands: Numbers in a row of log-mel, or of other features of speech.

    Attributes:
        silence: (bands,) the row of digital silence.
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
        """Codes (B, t, size) of log-mel (B, 4 t, 80) that has been brought to zero mean and unit scale."""

    def fit_scale(self, mel: Tensor) -> None:
        """Take mean and scale of the inputs from log-mel (m, 80)."""
        self.mel_mean.copy_(mel.mean(dim=0))
        self.mel_scale.copy_(mel.std())

    def forward(self, mel: Tensor) -> Tensor:
        """Codes (B, t, size) of log-mel (B, 4 t, 80); code i belongs to the time of mel row 4 i."""
        return self.encode(self.scale(mel))

    def scale(self, mel: Tensor) -> Tensor:
        """Log-mel (..., 80) of zero mean and unit scale."""
        return (mel - self.mel_mean) / self.mel_scale

    @torch.no_grad()
    def track(self, mel: Tensor) -> Tensor:
        """Codes (t, size) of a whole recording, one every 40 ms from time 0, with silence before and after it.

        Args:
            mel: Log-mel (m, 80), see :func:`s2l_core.speech.features.log_mel`.
        """
        return self.track_pieces([mel])

    @torch.no_grad()
    def track_pieces(self, mel: Iterable[Tensor]) -> Tensor:
        """As :meth:`track`, of log-mel in consecutive pieces (k, 80): a minute of it is heard at once, with what lies
        around it, so that memory grows with the codes alone.
        """
        silence, around = self.silence.expand(4 * CONTEXT_CODES, -1), 4 * _AROUND_CODES
        held, ready, codes = silence, 4 * CONTEXT_CODES, []  # ready: row of those held whose code comes next
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
        """The code (size,) of digital silence: the mouth at rest."""
        return self.track(self.silence.expand(4 * (2 * CONTEXT_CODES + 1), -1))[CONTEXT_CODES]


class SpeechEncoder(MelEncoder):
    """Strided convolutions on log-mel, in the place of the paper's DeepSpeech features and AudioNet (section 4.2): the
    mean of networks that start from different weights and learn from different excerpts, and of a kernel regression.
    They err in different ways, the more so the shorter the footage.

    Args:
        size: Numbers in a code.
        bands: Numbers in a row of its inputs.

    Attributes:
        kernel: What the convolutions are averaged with.
        kernel_share: Its weight; 0 before it is fitted.
        articulation: How far the mouth opens in dubbing.
    """

    kernel_share: Tensor

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
        self.articulation = Articulation(size)

    def encode(self, scaled: Tensor) -> Tensor:
        """Codes (B, t, size); in training one member gives each row, in turn."""
        if self.training:
            heard = torch.cat([scaled, scaled[:1].expand(-len(scaled) % MEMBERS, -1, -1)])
            return self._answers(heard.unflatten(0, (-1, MEMBERS))).flatten(0, 1)[: len(scaled)]
        codes = self._answers(scaled[:, None].expand(-1, MEMBERS, -1, -1)).mean(dim=1)
        return codes if self.kernel_share == 0 else torch.lerp(codes, self.kernel(scaled), self.kernel_share)

    def _answers(self, scaled: Tensor) -> Tensor:
        """Codes (B, members, t, size) of what each member hears: (B, members, 4 t, bands)."""
        codes = self.layers(scaled.transpose(2, 3).flatten(1, 2))
        return codes.unflatten(1, (MEMBERS, -1)).transpose(2, 3)


def _convolutions(inputs: int, outputs: int, length: int, stride: int = 1) -> nn.Conv1d:
    """The same layer of every member."""
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
    """Codes (n, size) at times (n,) in seconds, linearly between those of a track (t, size); held at its ends."""
    position = torch.as_tensor(times / CODE_SECONDS, dtype=torch.float32, device=track.device)
    position = position.clamp(0, len(track) - 1)
    before = position.floor().long().clamp(max=max(len(track) - 2, 0))
    after = (before + 1).clamp(max=len(track) - 1)
    return torch.lerp(track[before], track[after], (position - before)[:, None])
