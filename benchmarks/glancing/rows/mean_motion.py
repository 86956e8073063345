"""Baseline: the given lips, moved to where lips are on average, whatever is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..measures import centred
from ..people import Lips, Person


def learn(people: Sequence[Person]) -> Callable[[Person, NDArray[np.float32]], Lips]:
    mean = np.concatenate([centred(person.real.points) - centred(person.real.points[:1]) for person in people]).mean(0)

    def speak(person: Person, speech: NDArray[np.float32]) -> Lips:
        return Lips((person.real.points[:1] + mean).repeat(len(person), axis=0))

    return speak
