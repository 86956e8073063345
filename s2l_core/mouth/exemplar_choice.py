"""The choice of an exemplar for each frame of a line."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..device import in_double
from ..model.exemplars import Exemplars

_AT_ONCE = 1000
"""Frames whose distances to all exemplars are in memory together."""


def choose_exemplars(exemplars: Exemplars, spoken: Tensor) -> NDArray[np.int64]:
    """Choose the exemplar whose mouth is most like the one that speech asks for, frame by frame.

    Args:
        exemplars: The n exemplars.
        spoken: float32 (t, 64) codes of speech for frames.

    Returns:
        (t,) indices of exemplars.
    """
    metric = in_double(exemplars.metric)
    known = in_double(exemplars.codes) @ metric
    nearest = [torch.cdist(in_double(some) @ metric, known).argmin(dim=1) for some in spoken.split(_AT_ONCE)]
    return np.asarray(torch.cat(nearest).cpu().numpy(), np.int64)


def with_neighbours(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Exemplars (t, 3) of the frame before each frame, of the frame itself, and of the one after it; the first and the
    last frame have themselves beside them.
    """
    return np.stack([np.append(chosen[:1], chosen[:-1]), chosen, np.append(chosen[1:], chosen[-1:])], axis=1)
