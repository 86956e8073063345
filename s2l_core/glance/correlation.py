"""The correlation loss (Chen et al. 2018): speech and lips change at the same moments.

What is compared are derivatives in time: differences of the audio encoder's features, and the optical flow of the lips.
The equation is the cosine distance of two vectors with a number for each of the 15 steps between 16 pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .sizes import scaled

_SOUND = (128, 64, 32, 16)
_SEEN = (4, 8, 16, 16)
_SLOPE = 0.2


class CorrelationNetworks(nn.Module):
    """Two networks that reduce sound and lips to one number for each step in time.

    Args:
        width: Channels of the sound relative to the paper's.
        derivative: Whether derivatives are compared, as the paper proposes. False compares the features of the sound
            themselves with the pictures themselves, which is the paper's "non-derivative" ablation.

    Attributes:
        derivative: See above.
    """

    def __init__(self, width: float = 1.0, derivative: bool = True) -> None:
        super().__init__()
        self.derivative = derivative
        inputs = scaled(256, width)
        sound: list[nn.Module] = []
        for channels in _SOUND:
            outputs = scaled(channels, width)
            sound += [nn.Conv2d(inputs, outputs, 3, (1, 2), 1), nn.LeakyReLU(_SLOPE, inplace=True)]
            inputs = outputs
        self.sound = nn.Sequential(*sound)
        seen: list[nn.Module] = []
        inputs = 2 if derivative else 3
        for channels in _SEEN:
            seen += [nn.Conv3d(inputs, channels, 3, (1, 2, 2), 1), nn.LeakyReLU(_SLOPE, inplace=True)]
            inputs = channels
        self.seen = nn.Sequential(*seen)

    def forward(self, sound: Tensor, video: Tensor, flow: Tensor) -> Tensor:
        """Cosines (B,) in [-1, 1] of speech and lips, over the 15 steps (16 moments without derivatives).

        The mean over time is subtracted from both vectors first. This is ours: without it, two constant vectors have
        the cosine 1, and both networks learn to be constant.

        Args:
            sound: float32 (B, C, 16, 16) features of the audio encoder.
            video: float32 (B, 3, 16, 64, 64) RGB in [-1, 1].
            flow: float32 (B, 2, 15, 64, 64) optical flow of the video in pixels.
        """
        heard = self.sound(sound.diff(dim=2) if self.derivative else sound).mean(dim=(1, 3))
        seen = self.seen(flow if self.derivative else video).mean(dim=(1, 3, 4))
        heard, seen = (vector - vector.mean(dim=1, keepdim=True) for vector in (heard, seen))
        return functional.cosine_similarity(heard, seen, dim=1, eps=1e-6)


def correlation_loss(cosines: Tensor) -> Tensor:
    """The cosine distance, mean of 1 - cosine over (B,): between 0 and 2."""
    return (1 - cosines).mean()


def contrast(right: Tensor, wrong: Tensor) -> Tensor:
    """The loss of the correlation networks themselves: real lips follow their own sound, and no other.

    The second half is ours. Cosines of lips with their own sound (B,) should be 1, and with other sound at most 0.
    """
    return correlation_loss(right) + torch.relu(wrong).mean()
