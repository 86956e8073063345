"""Offset of sound and lips, as measured by a sync expert."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.sync import FRAME_SECONDS, LARGEST_OFFSET, MIDDLE_PICTURE, SyncExpert, mel_windows, picture_windows
from ..speech.features import HOP_SECONDS

_JUDGED_SECONDS, _JUDGED_EVERY = 2.0, 0.2
_BATCH = 64


@dataclass(frozen=True)
class SyncScore:
    """Agreement of a mouth with sound, as measured by a sync expert.

    Attributes:
        offset_frames: Offset, in frames of 40 ms by which the sound lags behind the picture, at which both agree best.
        confidence: Median minus minimum of the mean distances at offsets from -15 to 15. Distances are those of this
            expert's unit-norm embeddings, from 0 to √2, so the number cannot be compared with SyncNet's confidence.
        within_one_frame: Share of the windows of 2 s, one every 0.2 s, whose best offset is -1, 0 or 1.
    """

    offset_frames: int
    confidence: float
    within_one_frame: float


@torch.no_grad()
def score_offset(
    expert: SyncExpert,
    mel: Tensor,
    times: NDArray[np.floating],
    pictures: Tensor,
    judged_seconds: float = _JUDGED_SECONDS,
) -> SyncScore | None:
    """Find the offset at which sound and lips agree best.

    Args:
        expert: A sync expert that the lips were not trained against.
        mel: float32 (m, 80) log-mel of the speech.
        times: (N,) times of the pictures in seconds after the first row of ``mel``.
        pictures: uint8 (N, 3, h, w) canonical lips of real or generated frames.
        judged_seconds: Length in seconds of the windows of ``within_one_frame``.

    Returns:
        The score; None if there are no five successive pictures.
    """
    windows = picture_windows(times)
    if not len(windows):
        return None
    moments = times[windows[:, MIDDLE_PICTURE]]
    small = expert.shrink_stored(pictures)
    mouth = torch.cat(
        [expert.embed_mouth(small[part]) for part in torch.from_numpy(windows).to(small.device).split(_BATCH)]
    )
    shifts = FRAME_SECONDS * np.arange(-LARGEST_OFFSET, LARGEST_OFFSET + 1)
    rows, places = np.unique(np.round((moments[:, None] + shifts) / HOP_SECONDS), return_inverse=True)
    parts = torch.from_numpy(rows * HOP_SECONDS).split(_BATCH)
    heard = torch.cat([expert.embed_speech(mel_windows(mel, part, expert.sizes.mel_rows)) for part in parts])
    places = torch.from_numpy(places.reshape(len(moments), len(shifts))).to(heard.device)
    distances = torch.stack([(heard[column] - mouth).norm(dim=1) for column in places.T], dim=1).cpu().numpy()

    mean = distances.mean(axis=0)
    latest = max(moments[-1] - judged_seconds + FRAME_SECONDS, moments[0])
    starts = np.arange(moments[0], latest + 1e-6, _JUDGED_EVERY)
    spans = np.searchsorted(moments, [starts - 1e-6, starts + judged_seconds - 1e-6])
    bests = np.array([distances[first:end].mean(axis=0).argmin() for first, end in spans.T if first < end])
    return SyncScore(
        offset_frames=int(mean.argmin()) - LARGEST_OFFSET,
        confidence=float(np.median(mean) - mean.min()),
        within_one_frame=float((np.abs(bests - LARGEST_OFFSET) <= 1).mean()),
    )
