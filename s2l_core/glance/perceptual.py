"""The perceptual loss (Chen et al. 2018): distance in the features of an autoencoder of lips.

The autoencoder is trained first, on the same lips, with the mean absolute error of its pictures. The paper has a form
in 2-D, picture by picture, which is this one, and one in 3-D.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from .sizes import scaled

_CHANNELS = (32, 64, 128, 256)


class LipAutoencoder(nn.Module):
    """Four convolutions that halve height and width, and four that double them again.

    Args:
        width: Channels relative to the paper's.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        channels = [3, *(scaled(each, width) for each in _CHANNELS)]
        encoder: list[nn.Module] = []
        decoder: list[nn.Module] = []
        for outer, inner in itertools.pairwise(channels):
            encoder += [nn.Conv2d(outer, inner, 4, 2, 1), nn.LeakyReLU(0.2)]
            decoder[:0] = [
                nn.ConvTranspose2d(inner, outer, 4, 2, 1),
                nn.Tanh() if outer == channels[0] else nn.LeakyReLU(0.2),
            ]
        self.encoder, self.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, 64, 64) in [-1, 1], after the bottleneck."""
        restored: Tensor = self.decoder(self.encoder(pictures))
        return restored


def restoration_loss(autoencoder: LipAutoencoder, pictures: Tensor) -> Tensor:
    """Mean absolute error of pictures (N, 3, 64, 64) after the bottleneck, with which the autoencoder is trained."""
    return functional.l1_loss(autoencoder(pictures), pictures)


def perceptual_loss(encoder: Callable[[Tensor], Tensor], generated: Tensor, real: Tensor) -> Tensor:
    """Mean squared distance of the features of generated and real videos, relative to the mean square of real ones.

    The division is ours: it makes the weight of the loss independent of the autoencoder's scale.

    Args:
        encoder: The frozen encoder of a :class:`LipAutoencoder`, or a function that stands for it.
        generated: float32 (B, 3, T, 64, 64) RGB in [-1, 1].
        real: As ``generated``.
    """
    drawn, wanted = (encoder(video.transpose(1, 2).flatten(0, 1)) for video in (generated, real))
    return functional.mse_loss(drawn, wanted.detach()) / wanted.detach().square().mean()
