"""The choice of an exemplar for each frame of a line."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from ..device import in_double
from ..events import checkpoint
from ..model.exemplars import Exemplars

_CONTINUITY = 0.6
"""Weight of a change of the error from one frame to the next, relative to the error. A higher one keeps an exemplar for
longer, and flickers less. At 0.8 and at 1, the opening of the mouth followed speech less (correlation 0.73 and 0.72
instead of 0.76).
"""


def choose_exemplars(exemplars: Exemplars, spoken: Tensor) -> NDArray[np.int64]:
    """Choose the sequence of exemplars whose mouths, and whose changes from frame to frame, are most like those that
    speech asks for, by dynamic programming (Viterbi 1967).

    The cost is the sum over the frames of |e_t|² + 0.6 |e_t - e_{t-1}|², where e_t is the difference of pictures
    between the exemplar's code and the frame's.

    Args:
        exemplars: The n exemplars.
        spoken: float32 (t, 64) codes of speech for the frames of the whole line, in order.

    Returns:
        (t,) indices of exemplars.
    """
    metric = in_double(exemplars.metric)
    known = (in_double(exemplars.codes) @ metric).cpu().numpy()
    asked = (in_double(spoken) @ metric).cpu().numpy()
    jumps = _CONTINUITY * cdist(known, known, "sqeuclidean")
    cost, before = _errors(known, asked[0]), []
    for previous, current in itertools.pairwise(asked):
        checkpoint()
        # |(k_j - k_i) - d|² = |k_j - k_i|² - 2 (k_j - k_i) d + |d|², of which the last does not depend on the choice.
        along = 2 * _CONTINUITY * (known @ (current - previous))
        ways = jumps + (cost + along)  # to each exemplar, from each
        best = ways.argmin(axis=1)
        before.append(best.astype(np.int16))
        cost = np.take_along_axis(ways, best[:, None], axis=1)[:, 0] - along + _errors(known, current)
    chosen = [int(cost.argmin())]
    for best in reversed(before):
        chosen.append(int(best[chosen[-1]]))
    return np.array(chosen[::-1], np.int64)


def _errors(known: NDArray[np.float64], asked: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(((known - asked) ** 2).sum(axis=1))
