"""The audio encoder (Chen et al. 2018): a log-mel spectrogram as a picture, encoded moment by moment."""

from __future__ import annotations

from torch import Tensor, nn

from .sizes import scaled
from .variance import keep_variance

_LAYERS = ((32, (1, 1)), (64, (2, 2)), (128, (1, 1)), (256, (2, 2)), (256, (1, 2)))
"""Channels and stride over time and bands of each convolution."""


class AudioEncoder(nn.Sequential):
    """Five 2-D convolutions, which halve the time twice and the bands three times.

    They map log-mel float32 (B, 1, 64, 128), four columns for each of 16 pictures, to features (B, 256 * width, 16, 16)
    of 16 moments and 16 bands.

    Args:
        width: Channels relative to the paper's.
    """

    def __init__(self, width: float = 1.0) -> None:
        layers: list[nn.Module] = []
        inputs = 1
        for channels, stride in _LAYERS:
            outputs = scaled(channels, width)
            layers += [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.ReLU(inplace=True)]
            inputs = outputs
        super().__init__(*layers)
        keep_variance(self)

    def forward(self, mel: Tensor) -> Tensor:
        features: Tensor = super().forward(mel)
        return features
