"""The paper's network, with the weights that the library includes or others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from s2l_core.glance.drawing import draw_lips
from s2l_core.glance.generator import Generator
from s2l_core.glance.weights import load_generator

from ..people import Lips, Person


def learn(people: Sequence[Person], path: str | None = None) -> Callable[[Person, NDArray[np.float32]], Lips]:
    """Open weights, which were learnt before."""
    return spoken_by(load_generator(path))


def spoken_by(generator: Generator) -> Callable[[Person, NDArray[np.float32]], Lips]:
    """The lips that a generator draws, and the landmarks that are found in them."""

    def speak(person: Person, speech: NDArray[np.float32]) -> Lips:
        pictures = draw_lips(generator, person.given, speech)
        return Lips(person.seen_in(pictures), pictures)

    return speak
