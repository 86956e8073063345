"""Lips for speech of any length: windows of 16 pictures that overlap by half and are blended."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..media.audio import SPEECH_RATE
from .batches import in_range
from .generator import Generator
from .sizes import COLUMNS, PICTURES, RATE, STRIDE
from .sound import log_mel, rows_of_pictures
from .trial import to_levels


@torch.no_grad()
def draw_lips(generator: Generator, picture: NDArray[np.uint8], speech: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lips that say what is heard, uint8 (n, 64, 64, 3) RGB at 25 pictures a second, with n = 25 times the seconds.

    Args:
        generator: A trained generator.
        picture: uint8 (64, 64, 3) RGB lips of a person, see :mod:`.crops`.
        speech: float32 (m,) mono samples at 16 kHz in [-1, 1].
    """
    device = next(generator.parameters()).device
    count = len(speech) * RATE // SPEECH_RATE
    starts = range(0, max(count - STRIDE, 1), STRIDE)
    mel = torch.from_numpy(rows_of_pictures(log_mel(speech), starts[-1] + PICTURES)).to(device)
    identity = generator.identity_encoder(in_range(torch.from_numpy(picture).permute(2, 0, 1)[None]).to(device))

    # Each picture is the mean of the windows that contain it, which count less towards their ends.
    share = torch.minimum(torch.arange(PICTURES) + 1, PICTURES - torch.arange(PICTURES)).float().to(device)
    summed = torch.zeros(starts[-1] + PICTURES, *picture.transpose(2, 0, 1).shape, device=device)
    total = torch.zeros(len(summed), device=device)
    for start in starts:
        heard = mel[COLUMNS * start : COLUMNS * (start + PICTURES)]
        drawn = generator.draw(identity, generator.audio_encoder(heard[None, None]))[0].transpose(0, 1)
        summed[start : start + PICTURES] += share[:, None, None, None] * drawn
        total[start : start + PICTURES] += share
    return to_levels((summed / total[:, None, None, None])[:count].permute(0, 2, 3, 1))
