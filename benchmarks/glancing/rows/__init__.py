"""The rows of ``bench glance``, a file each. To add one, write its file and add it to :data:`ROWS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..people import Lips, Person
from . import mean_motion, network, pasted, ridge, static

Speak = Callable[[Person, NDArray[np.float32]], Lips]
"""Makes the lips of a person for speech float32 (n,) at 16 kHz, which is as long as the person's shot. It may use the
given frame and the landmarks of its lips, and nothing else of the person.
"""

ROWS: dict[str, Callable[[Sequence[Person]], Speak]] = {
    "static": static.learn,
    "mean_motion": mean_motion.learn,
    "ridge": ridge.learn,
    "network": network.learn,
    "pasted": pasted.learn,
}
"""Rows by name: each learns from people who are not measured, and returns what speaks."""
