"""Motion codes that speech gives the frames of a training step in pixels: precomputed, or still being learnt."""

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
from .speech_fits import spoken_codes

SpeechCodes = Callable[[NDArray[np.int64], np.random.Generator], Tensor]
"""Maps the frames int64 (R, T) of R runs to their motion codes (R T, code)."""


def precomputed_codes(lip: LipModel, clip: Clip, codes: Tensor, offsets: Tensor) -> SpeechCodes:
    """Codes of a speech encoder that has been trained, computed once. They are scaled until mouths open as far as in
    the training frames.

    The scaling differs from that of dubbing, since predictions on training speech are surer. If they were scaled as in
    dubbing, the pictures would learn to close the mouth again.

    Args:
        lip: The lip model, whose speech encoder has been trained.
        clip: The training frames.
        codes: (N, 64) motion codes of the training frames' own lips.
        offsets: (N, 64) offsets of the look model.
    """
    with torch.no_grad():
        spoken = codes_at(spoken_codes(lip.speech, clip), clip.times)
        if isinstance(lip.speech, SpeechEncoder):
            spoken = lip.speech.articulation.match(spoken, codes - offsets)
        given = lip.code(spoken + offsets)
    return lambda frames, random: given[torch.from_numpy(frames.flatten()).to(given.device)]


def end_to_end_codes(lip: LipModel, clip: Clip, offsets: Tensor, time_share: float) -> SpeechCodes:
    """Codes of a speech encoder that is trained together with the pictures. A share ``time_share`` of the runs passes
    its time to the lip model.
    """
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
        timed = random.random((len(frames), 1)) < time_share
        moments = torch.from_numpy(np.where(timed, times, np.nan).astype(np.float32).flatten()).to(device)
        return lip.code(spoken + offsets[torch.from_numpy(frames.flatten()).to(device)], moments)

    return speech_codes
