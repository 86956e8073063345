"""Baseline: the motion of the lips by ridge regression on the states of a network that has heard many people."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from s2l_core.glance.sizes import COLUMNS
from s2l_core.speech.features import loudness_gain, speech_level
from s2l_core.speech.moonshine import open_moonshine

from ..measures import centred
from ..people import Lips, Person

_AROUND = (-8, -4, 0, 4, 8)
"""Rows of 10 ms around a picture that are heard."""
_PENALTY = 3e3


def learn(people: Sequence[Person]) -> Callable[[Person, NDArray[np.float32]], Lips]:
    heard = np.concatenate([_hear(person.speech, len(person)) for person in people])
    moved = np.concatenate([centred(person.real.points) - centred(person.real.points[:1]) for person in people])
    mean, scale = heard.mean(axis=0), heard.std(axis=0) + 1e-6
    inputs, rest = (heard - mean) / scale, moved.mean(axis=0)
    targets = (moved - rest).reshape(len(moved), -1)
    weights = np.linalg.solve(inputs.T @ inputs + _PENALTY * np.eye(inputs.shape[1]), inputs.T @ targets)

    def speak(person: Person, speech: NDArray[np.float32]) -> Lips:
        predicted = (_hear(speech, len(person)) - mean) / scale @ weights
        return Lips(person.real.points[:1] + rest + predicted.reshape(len(person), *rest.shape))

    return speak


def _hear(speech: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Features (count, 5 * 288) of pictures."""
    source = open_moonshine()
    rows = np.concatenate(list(source.pieces(speech, loudness_gain(speech_level(speech)))))
    middle = COLUMNS * np.arange(count) + COLUMNS // 2
    wanted = (middle[:, None] + np.array(_AROUND)).clip(0, len(rows) - 1)
    return rows[wanted].reshape(count, -1).astype(np.float64)
