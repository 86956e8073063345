"""The discriminator of three streams (Chen et al. 2018): does a video fit its sound and its flow?"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .sizes import BANDS, COLUMNS, PICTURES, scaled

_SOUND = (32, 64, 128, 256)
_SEEN = (64, 128, 256, 256)
_JOINED = 512
_SOUND_PLACES = COLUMNS * PICTURES // 16 * BANDS // 16
"""Places of the log-mel spectrogram that four halvings leave."""
_SLOPE = 0.2
GENERATED, MISMATCHED = 0.5, 0.5
"""Weights of generated and of mismatched pairs in the discriminator's loss; real ones have 1."""


class Discriminator(nn.Module):
    """Streams of sound, video and optical flow, which are joined by two linear layers.

    Args:
        width: Channels relative to the paper's.
        sees_flow: Whether there is a stream of optical flow; the paper's ablation has two streams without it.
    """

    def __init__(self, width: float = 1.0, sees_flow: bool = True) -> None:
        super().__init__()
        embedded = scaled(256, width)
        self.sound = nn.Sequential(
            *_stream_of_sound(width), nn.Flatten(), nn.Linear(_SOUND_PLACES * embedded, embedded)
        )
        self.video = nn.Sequential(*_stream_of_pictures(3, width))
        self.flow = nn.Sequential(*_stream_of_pictures(2, width)) if sees_flow else None
        joined, streams = scaled(_JOINED, width), 3 if sees_flow else 2
        self.verdict = nn.Sequential(nn.Linear(streams * embedded, joined), nn.LeakyReLU(_SLOPE), nn.Linear(joined, 1))

    def forward(self, mel: Tensor, video: Tensor, flow: Tensor) -> Tensor:
        """Logits (B,), above 0 where a video is taken for a real one with its own sound.

        Args:
            mel: float32 (B, 1, 64, 128) log-mel.
            video: float32 (B, 3, 16, 64, 64) RGB in [-1, 1].
            flow: float32 (B, 2, 15, 64, 64) its optical flow in pixels.
        """
        streams = [self.sound(mel), self.video(video)]
        if self.flow is not None:
            streams.append(self.flow(flow))
        verdict: Tensor = self.verdict(torch.cat(streams, dim=1))
        return verdict[:, 0]

    def loss(self, mel: Tensor, wrong: Tensor, real: tuple[Tensor, Tensor], generated: tuple[Tensor, Tensor]) -> Tensor:
        """The discriminator's own loss: binary cross-entropy of real videos (1), of generated ones (0) and of real ones
        with wrong sound (0), weighted 1, .5 and .5.

        Args:
            mel: The sound of the videos.
            wrong: Sound of other moments or other people.
            real: Real videos and their flow.
            generated: Generated videos and their flow, without gradient.
        """
        pairs = ((mel, real, 1.0, 1.0), (mel, generated, 0.0, GENERATED), (wrong, real, 0.0, MISMATCHED))
        terms = [weight * judged(self(sound, *seen), label) for sound, seen, label, weight in pairs]
        return torch.stack(terms).sum()


def judged(logits: Tensor, label: float) -> Tensor:
    """Binary cross-entropy of logits (B,) with the label 1 for real ones with their own sound and 0 for others."""
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def _stream_of_sound(width: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    inputs = 1
    for channels in _SOUND:
        outputs = scaled(channels, width)
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(_SLOPE, inplace=True)]
        inputs = outputs
    return layers


def _stream_of_pictures(inputs: int, width: float) -> list[nn.Module]:
    """Four 3-D convolutions, each of which halves time, height and width, and the mean of the last one."""
    layers: list[nn.Module] = []
    for channels in _SEEN:
        outputs = scaled(channels, width)
        layers += [
            nn.Conv3d(inputs, outputs, (3, 4, 4), 2, 1),
            nn.LeakyReLU(_SLOPE, inplace=True),
        ]
        inputs = outputs
    return [*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten()]
