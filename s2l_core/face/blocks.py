"""Computing on the frames of a long clip block by block, so that temporary arrays do not grow with its length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_FRAMES = 1000
Scalar = TypeVar("Scalar", bound=np.generic)


def in_blocks(compute: Callable[..., NDArray[Scalar]], *arrays: NDArray[Any]) -> NDArray[Scalar]:
    """``compute(*arrays)``, with a thousand frames at a time.

    Args:
        compute: Maps arrays (n, ...) to an array (n, ...), each frame independently of the others.
        arrays: Arrays (N, ...) with N > 0.
    """
    starts = range(0, len(arrays[0]), _FRAMES)
    return np.concatenate([compute(*(array[start : start + _FRAMES] for array in arrays)) for start in starts])
