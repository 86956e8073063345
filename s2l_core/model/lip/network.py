"""The paper's own lip model (section 4.2): one multilayer perceptron for all points and frames.

Whatever depends on the point alone, or on the frame alone, is computed once and added where both meet. That is exact:
the first layer has no activation before it, so it can be merged with the input layers, and the skip connection of the
inputs can be merged with the layer that it enters. Seven of nine matrix products per point and frame remain.
"""

from __future__ import annotations

import itertools
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...speech.encoder import CODE_SECONDS, MelEncoder
from ...speech.features import MEL_BANDS
from .base import SPOKEN_SIZE, ImplicitLipModel, Painter

_SPACE_FREQUENCIES = 10
_POSITION_SIZE = 2 * (1 + 2 * _SPACE_FREQUENCIES)
_TIME_SIZE = 20
_LONGEST_WAVE = 10_000.0
_WIDTH = 256
_WINDOW = 16
"""Steps of 20 ms in the input window of AudioNet for one code."""
_SLOPE = 0.02


class PaperLipModel(ImplicitLipModel):
    """An MLP with 8 layers of 256 units and positional encoding; a skip connection adds the inputs again after the
    fifth layer.

    The motion code is AudioNet's code, followed by the encoding of the frame's time. The output is linear.
    """

    end_to_end: ClassVar[bool] = True
    time: TimeEncoding

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self.speech = AudioNet()
        self.time = TimeEncoding()
        self.entrance = Entrance()
        self.first = nn.Linear(_WIDTH, _WIDTH)
        self.before = nn.ModuleList(nn.Linear(_WIDTH, _WIDTH) for _ in range(4))
        self.again = Entrance()
        self.joint = nn.Linear(2 * _WIDTH, _WIDTH)
        self.after = nn.ModuleList(nn.Linear(_WIDTH, _WIDTH) for _ in range(2))
        self.output = nn.Linear(_WIDTH, 3)
        # With smaller weights the code vanishes in the layers, with larger ones the picture is noisy; training
        # takes long to recover from either.
        for layer in (self.first, *self.before, self.joint, *self.after):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    @torch.no_grad()
    def start(self, mean: Tensor, axes: Tensor) -> None:
        """Initialise the output to the mean colour; the other weights stay random."""
        self.output.bias.copy_(mean.mean(dim=(1, 2)))

    def fit_time(self, seconds: float) -> None:
        """Do nothing: the paper's waves have fixed periods."""

    def code(self, spoken: Tensor, times: Tensor | None = None) -> Tensor:
        known = spoken.new_full(spoken.shape[:-1], torch.nan) if times is None else times
        return torch.cat([spoken, self.time(known)], dim=-1)

    def pixel_painter(self, scale: int = 1) -> Painter:
        paint = super().pixel_painter(scale)
        # The activations of one picture fill a processor's cache; several at once take 1.5 times as long per picture.
        return lambda code: torch.cat([paint(frame) for frame in code.split(1)])

    def field(self, points: Tensor) -> Painter:
        encoded = encode_position(points)
        joint_old, joint_new = self.joint.weight.split(_WIDTH, dim=1)
        position = self.entrance.of_position(encoded, self.first.weight)
        position_again = self.again.of_position(encoded, joint_new)

        def colours(code: Tensor) -> Tensor:
            frame = self.entrance.of_frame(code, self.first.weight) + self.first.bias
            frame_again = self.again.of_frame(code, joint_new) + self.joint.bias
            hidden = (position + frame[:, None]).relu()
            for layer in self.before:
                hidden = layer(hidden).relu()
            hidden = (functional.linear(hidden, joint_old) + (position_again + frame_again[:, None])).relu()
            for layer in self.after:
                hidden = layer(hidden).relu()
            coloured: Tensor = self.output(hidden)
            return coloured

        return colours


class Entrance(nn.Module):
    """Input layer of the MLP: the sum of linear layers of position, speech and time."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Linear(_POSITION_SIZE, _WIDTH)
        self.speech = nn.Linear(SPOKEN_SIZE, _WIDTH)
        self.time = nn.Linear(_TIME_SIZE, _WIDTH)

    def of_position(self, encoded: Tensor, into: Tensor) -> Tensor:
        """Contribution (n, 256) of encoded points (n, 42) to the next layer, whose weights are ``into`` (256, 256)."""
        return functional.linear(encoded, into @ self.position.weight, into @ self.position.bias)

    def of_frame(self, code: Tensor, into: Tensor) -> Tensor:
        """Contribution (B, 256) of motion codes (B, 84) to the next layer."""
        spoken, time = code.split([SPOKEN_SIZE, _TIME_SIZE], dim=-1)
        return functional.linear(self.speech(spoken) + self.time(time), into)


class TimeEncoding(nn.Module):
    """Sines and cosines of the frame's number at 25 fps, and a learned code for frames without a time."""

    def __init__(self) -> None:
        super().__init__()
        self.unknown = nn.Parameter(torch.zeros(_TIME_SIZE))

    def forward(self, times: Tensor) -> Tensor:
        """Codes (..., 20) of times (...) in seconds, or NaN."""
        frequencies = _LONGEST_WAVE ** -(torch.arange(0, _TIME_SIZE, 2) / _TIME_SIZE)
        phase = (times.nan_to_num() / CODE_SECONDS)[..., None] * frequencies.to(times.device)
        known = torch.cat([phase.sin(), phase.cos()], dim=-1)
        return torch.where(times.isfinite()[..., None], known, self.unknown)


class AudioNet(MelEncoder):
    """Encodes each window of 0.32 s by four convolutions that halve its 16 steps, and two linear layers.

    Args:
        bands: Length of the feature vector of a step; the paper's DeepSpeech features have 29.
    """

    def __init__(self, bands: int = MEL_BANDS) -> None:
        super().__init__(bands)
        widths = [bands, 32, 32, 64, 64]
        convolutions = [
            nn.Conv1d(inputs, outputs, 3, stride=2, padding=1) for inputs, outputs in itertools.pairwise(widths)
        ]
        self.convolutions = nn.Sequential(*(part for layer in convolutions for part in (layer, nn.LeakyReLU(_SLOPE))))
        self.linear = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(_SLOPE), nn.Linear(64, SPOKEN_SIZE))
        for parameter in self.parameters():
            if parameter.dim() > 1:  # large enough that the codes of different sounds differ at first
                nn.init.kaiming_normal_(parameter, _SLOPE)

    def encode(self, scaled: Tensor) -> Tensor:
        """Codes (B, t, 64) of rows (B, 4 t, bands), of which every second one is used; inputs are zero beyond the
        ends.
        """
        steps = functional.pad(scaled[:, ::2], (0, 0, _WINDOW // 2, _WINDOW // 2 - 2))
        windows = steps.unfold(1, _WINDOW, 2)
        heard = self.convolutions(windows.flatten(0, 1)).flatten(1)
        codes: Tensor = self.linear(heard).unflatten(0, windows.shape[:2])
        return codes


def encode_position(points: Tensor) -> Tensor:
    """Positional encoding (n, 42) of points (n, 2): the points, and sine and cosine of their coordinates times 1, 2, 4,
    ..., 512.
    """
    powers = 2.0 ** torch.arange(_SPACE_FREQUENCIES, device=points.device)
    phase = (points[:, None] * powers[:, None]).flatten(1)
    return torch.cat([points, phase.sin(), phase.cos()], dim=-1)
