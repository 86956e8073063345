"""The choice of an exemplar for each frame of a line."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..device import in_double
from ..model.exemplars import Exemplars

_BESIDE = 1 / 6
"""Weight of the codes of the frame before, and of those of the frame after. With a quarter, the lips of the embedded
speaker follow speech less (landmark distance 0.67 instead of 0.66).
"""
_AT_ONCE = 1000
"""Frames whose distances to all exemplars are in memory together."""


def choose_exemplars(exemplars: Exemplars, spoken: Tensor) -> NDArray[np.int64]:
    """Choose the exemplar for each frame of a line: the nearest one to a mean of the codes of the frame and of those
    beside it, so that an exemplar with teeth is not shown for a single frame between closed lips.

    Args:
        exemplars: The n exemplars.
        spoken: float32 (t, 64) codes of speech for the frames of the line, in order.

    Returns:
        (t,) indices of exemplars.
    """
    around = torch.cat([spoken[:1], spoken, spoken[-1:]])
    beside = around[:-2] + around[2:] - 2 * spoken
    return nearest_exemplars(exemplars, spoken + _BESIDE * beside)


def nearest_exemplars(exemplars: Exemplars, asked: Tensor) -> NDArray[np.int64]:
    """Indices (t,) of the exemplars whose pictures are most like those of codes (t, 64)."""
    metric = in_double(exemplars.metric)
    known = in_double(exemplars.codes) @ metric
    nearest = [torch.cdist(in_double(some) @ metric, known).argmin(dim=1) for some in asked.split(_AT_ONCE)]
    return np.asarray(torch.cat(nearest).cpu().numpy(), np.int64)


def with_neighbours(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Exemplars (t, 3) of the frame before each frame, of the frame itself, and of the one after it; the first and the
    last frame have themselves beside them.
    """
    return np.stack([np.append(chosen[:1], chosen[:-1]), chosen, np.append(chosen[1:], chosen[-1:])], axis=1)
