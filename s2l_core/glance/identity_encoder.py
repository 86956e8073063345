"""The identity encoder (Chen et al. 2018): what the lips of a person look like."""

from __future__ import annotations

from torch import Tensor, nn

from .sizes import scaled
from .variance import keep_variance

_LAYERS = ((64, 7, 1), (128, 3, 2), (256, 3, 2))
"""Channels, kernel and stride of each convolution."""


class IdentityEncoder(nn.Sequential):
    """Three 2-D convolutions, which map a picture float32 (B, 3, 64, 64) in [-1, 1] to features
    (B, 256 * width, 16, 16).

    Args:
        width: Channels relative to the paper's.
    """

    def __init__(self, width: float = 1.0) -> None:
        layers: list[nn.Module] = []
        inputs = 3
        for channels, kernel, stride in _LAYERS:
            outputs = scaled(channels, width)
            layers += [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.ReLU(inplace=True)]
            inputs = outputs
        super().__init__(*layers)
        keep_variance(self)

    def forward(self, picture: Tensor) -> Tensor:
        features: Tensor = super().forward(picture)
        return features
