"""What speech gives the frames that a step in pixels looks at: codes that it has learnt, or is learning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.lip.base import LipModel
from ..speech.encoder import CODE_SECONDS, CONTEXT_CODES, SpeechEncoder, codes_at
from .clip import Clip
from .speech import excerpt

SpeechCodes = Callable[[NDArray[np.int64], np.random.Generator], Tensor]
"""Motion codes (R T, code) that speech gives the frames (R, T) of some runs."""


def precomputed_codes(lip: LipModel, clip: Clip, codes: Tensor, offsets: Tensor) -> SpeechCodes:
    """Speech has learnt already: its codes are read off, and stretched until mouths open as far as the true ones.
    Codes that are stretched leave the colours of the footage, which pictures must learn to give back; as far as in
    dubbing they must not be stretched here, where speech is surer, or pictures would learn to close the mouth again.

    Args:
        lip: Its speech encoder has been trained.
        clip: The training frames.
        codes: (N, 64) that the canonical lips themselves ask for.
        offsets: (N, 64) of the look.
    """
    with torch.no_grad():
        heard = torch.from_numpy(clip.features).to(offsets.device)
        spoken = codes_at(lip.speech.track(heard), clip.times)
        if isinstance(lip.speech, SpeechEncoder):
            spoken = lip.speech.articulation.match(spoken, codes - offsets)
        given = lip.code(spoken + offsets)
    return lambda frames, random: given[torch.from_numpy(frames.flatten()).to(given.device)]


def end_to_end_codes(lip: LipModel, clip: Clip, offsets: Tensor, time_share: float) -> SpeechCodes:
    """Speech learns with the pictures; a share of the runs is told its time."""
    device = offsets.device
    heard = torch.from_numpy(clip.features).to(device)

    def speech_codes(frames: NDArray[np.int64], random: np.random.Generator) -> Tensor:
        times = clip.times[frames]
        firsts = (times[:, 0] / CODE_SECONDS).astype(int)
        lasts = (times[:, -1] / CODE_SECONDS).astype(int)
        count = int((lasts - firsts).max()) + 2
        sounds = torch.stack([excerpt(heard, 4 * int(first), count) for first in firsts])
        tracks = lip.speech(sounds)[:, CONTEXT_CODES:-CONTEXT_CODES]
        starts = firsts[:, None] * CODE_SECONDS
        spoken = torch.cat([codes_at(track, run) for track, run in zip(tracks, times - starts, strict=True)])
        told = random.random((len(frames), 1)) < time_share
        moments = torch.from_numpy(np.where(told, times, np.nan).astype(np.float32).flatten()).to(device)
        return lip.code(spoken + offsets[torch.from_numpy(frames.flatten()).to(device)], moments)

    return speech_codes
