"""The generator (Chen et al. 2018): fusion of picture and sound, and the 3-D decoder of 16 pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .audio_encoder import AudioEncoder
from .identity_encoder import IdentityEncoder
from .sizes import PICTURES, scaled
from .variance import begin_small, keep_variance

_RESIDUAL_BLOCKS = 9
_LAST = 7
"""Pictures, rows and columns that the last convolution joins."""
_FIRST_CONTRAST = 0.05
"""Factor of the first weights of the last convolution."""


class Generator(nn.Module):
    """Draws 16 pictures of lips at once. The paper's, with a width of 1, has 16.7 million parameters.

    Args:
        width: Channels relative to the paper's. A larger one draws finer detail, and costs memory and time with its
            square.

    Attributes:
        width: See above.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.width = width
        features = scaled(256, width)
        self.audio_encoder = AudioEncoder(width)
        self.identity_encoder = IdentityEncoder(width)
        self.fusion = nn.Sequential(*_convolution(2 * features, features, 3))
        blocks = [_Residual(features) for _ in range(_RESIDUAL_BLOCKS)]
        self.decoder = nn.Sequential(
            *blocks,
            *_doubling(features, scaled(128, width)),
            *_doubling(scaled(128, width), scaled(64, width)),
        )
        self.last = _LastConvolution(scaled(64, width))
        # Residual blocks begin as the identity, and pictures are nearly grey at first.
        keep_variance(self.fusion)
        keep_variance(self.decoder)
        for block in blocks:
            begin_small(block.last, 0.0)
        begin_small(self.last.each, _FIRST_CONTRAST)
        for layers in (self.decoder, self.last):  # this order in memory is a third faster on processors
            layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, picture: Tensor, mel: Tensor) -> Tensor:
        """Pictures (B, 3, 16, 64, 64) RGB in [-1, 1] of the person in ``picture`` saying what is heard.

        Args:
            picture: float32 (B, 3, 64, 64) RGB in [-1, 1].
            mel: float32 (B, 1, 64, 128) log-mel, see :func:`.sound.log_mel`.
        """
        return self.draw(self.identity_encoder(picture), self.audio_encoder(mel))

    def draw(self, identity: Tensor, sound: Tensor) -> Tensor:
        """As :meth:`forward`, from the features of both encoders: picture (B, C, 16, 16) and sound (B, C, 16, 16).

        The picture is repeated over the 16 moments, and the sound, whose bands take the place of the height, over the
        width.
        """
        seen = identity[:, :, None].expand(-1, -1, PICTURES, -1, -1)
        heard = sound[..., None].expand(-1, -1, -1, -1, seen.shape[-1])
        fused = self.fusion(torch.cat([seen, heard], dim=1))
        decoded = self.decoder(fused.transpose(1, 2).flatten(0, 1))
        return torch.tanh(self.last(decoded.unflatten(0, (len(fused), PICTURES))))


class _Residual(nn.Module):
    """Two convolutions of each moment alone, whose result is added to their input: a 3-D convolution with a kernel of
    (1, 3, 3) is a 2-D one of each moment.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        hidden: Tensor = self.last(functional.relu(self.first(features)))
        return features + hidden


class _LastConvolution(nn.Module):
    """The convolution of 7x7x7 to RGB: a 2-D one of each moment, whose results for seven moments are summed. On
    processors this takes half the time of the 3-D one, which is the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.each = nn.Conv2d(channels, _LAST * 3, _LAST, padding=_LAST // 2, bias=False)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, features: Tensor) -> Tensor:
        """Pictures (B, 3, T, h, w) of features (B, T, C, h, w)."""
        parts = self.each(features.flatten(0, 1)).unflatten(0, features.shape[:2]).unflatten(2, (_LAST, 3))
        summed = self.bias[:, None, None]
        for place, part in enumerate(parts.unbind(dim=2)):
            later = _LAST // 2 - place
            summed = summed + functional.pad(part, (0, 0) * 3 + (later, -later))
        return summed.transpose(1, 2)


def _convolution(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv3d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]


def _doubling(inputs: int, outputs: int) -> list[nn.Module]:
    """A transposed convolution that doubles height and width of each moment."""
    return [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.ReLU(inplace=True)]
