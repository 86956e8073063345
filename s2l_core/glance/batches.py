"""Batches of windows for training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .clips import LipClip
from .sizes import COLUMNS, PICTURES

_DARKNESS, _TINT = (-0.5, 0.8), 0.12
"""Limits of the logarithm of the exponent of the levels, and how much it differs between red, green and blue. With an
exponent of 2, light skin becomes dark skin.
"""
_LIGHT, _SATURATION = (-0.25, 0.15), (0.6, 1.2)
"""Limits of the logarithm of the factor of the levels, and of the factor of the saturation."""


@dataclass(frozen=True)
class Batch:
    """Windows of 16 pictures.

    Attributes:
        picture: float32 (B, 3, 64, 64) RGB in [-1, 1], any picture of the same clip as the window.
        mel: float32 (B, 1, 64, 128) the sound.
        video: float32 (B, 3, 16, 64, 64) RGB in [-1, 1], the real pictures.
        flow: float32 (B, 2, 15, 64, 64) their optical flow in pixels.
    """

    picture: Tensor
    mel: Tensor
    video: Tensor
    flow: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(*(tensor.to(device) for tensor in vars(self).values()))


class Windows:
    """All windows of some clips.

    Since a few people fill most of the footage, and others speak for seconds, a person is drawn with a probability in
    proportion to the square root of the number of their windows.

    Args:
        clips: The clips.
    """

    def __init__(self, clips: Sequence[LipClip]) -> None:
        self._clips = clips
        of_person = Counter[str]()
        for clip in clips:
            of_person[clip.person] += clip.windows
        shares = np.array([clip.windows / np.sqrt(of_person[clip.person]) for clip in clips])
        self._shares = shares / shares.sum()

    def draw(self, count: int, random: np.random.Generator) -> Batch:
        """Draw ``count`` windows with random looks: mirrored or not, and lighter or darker in other
        colours, as the skins and the light of people differ.
        """
        chosen = random.choice(len(self._clips), count, p=self._shares)
        rows = []
        for index in chosen:
            clip = self._clips[index]
            row = window(clip, int(random.integers(clip.windows)), int(random.integers(len(clip))))
            rows.append(_with_other_look(row, random))
        return join(rows)


def window(clip: LipClip, start: int, picture: int) -> Batch:
    """The window (B = 1) of 16 pictures from ``start`` on, with ``picture`` as the one that is given."""
    video = in_range(clip.pictures[start : start + PICTURES]).transpose(0, 1)
    flow = clip.flow[start : start + PICTURES - 1].float().transpose(0, 1)
    mel = clip.mel[COLUMNS * start : COLUMNS * (start + PICTURES)]
    return Batch(in_range(clip.pictures[[picture]]), mel[None, None], video[None], flow[None])


def join(rows: Sequence[Batch]) -> Batch:
    """One batch of several."""
    return Batch(*(torch.cat(parts) for parts in zip(*(vars(row).values() for row in rows), strict=True)))


def in_range(pictures: Tensor) -> Tensor:
    """Pictures uint8 of any shape as float32 in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def _with_other_look(row: Batch, random: np.random.Generator) -> Batch:
    """A window as another person, or the same one in other light, might look. The optical flow stays the same, besides
    mirroring.
    """
    exponents = np.exp(random.uniform(*_DARKNESS) + random.uniform(-_TINT, _TINT, 3))
    factor, saturation = float(np.exp(random.uniform(*_LIGHT))), random.uniform(*_SATURATION)

    def in_other_colours(pictures: Tensor) -> Tensor:
        of_channel = torch.from_numpy(exponents.astype(np.float32)).view(3, *(1,) * (pictures.ndim - 2))
        levels = factor * (0.5 + 0.5 * pictures).clamp_min(1e-3).pow(of_channel)
        grey = levels.mean(dim=1, keepdim=True)
        return (2 * (grey + saturation * (levels - grey)) - 1).clamp(-1, 1)

    picture, video, flow = in_other_colours(row.picture), in_other_colours(row.video), row.flow
    if random.random() < 0.5:
        mirror = torch.tensor([-1.0, 1.0])[:, None, None, None]
        picture, video, flow = picture.flip(-1), video.flip(-1), flow.flip(-1) * mirror
    return Batch(picture, row.mel, video, flow)
