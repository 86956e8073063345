"""Regression from features of speech to shapes of lips, of which people can be left out.

A network hears the principal components of the features around a moment; what it tells is stretched to the amplitude of
lips, and reduced to typical motions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from s2l_core.stills.lip_motion import CODES, COMPONENTS, ROW_SECONDS, TAP_ROWS, TAPS, Weights, around, smoothed
from s2l_core.stills.lip_shape import LIPS, POINTS, opening_of, width_of

from .network import train
from .recordings import Recording

Array = NDArray[np.float64]

_STRETCH = np.array([1.2, 1.5])
"""Factors of the deviations of opening and width from their means: a regression varies less than what it predicts.
Chosen for the people of GRID, each predicted by the others."""
_REAL_WEIGHT, _SYNTHETIC_WEIGHT = 10.0, 0.3
"""Weights of a picture of one of GRID's short clips, and of a synthetic voice, relative to one of the long clip: the
nine people count half as much as the long clip, and the voices a little less."""
_PARTED = 0.06
"""Opening of lips that are parted to breathe in, in widths of the mouth."""
_LONG = 3000
"""Number of pictures from which a clip is long."""
_SPACING = 7
"""Rows between those of which principal components are made."""


class Study:
    """Recordings, and regressions that leave people out.

    Args:
        recordings: All recordings.
        features: Rows of features (m, bands) of each, one every 10 ms.
    """

    def __init__(self, recordings: Sequence[Recording], features: Sequence[NDArray[np.float32]]) -> None:
        some = np.concatenate([rows[::_SPACING] for rows in features]).astype(np.float64)
        spread, axes = np.linalg.eigh(np.cov((some - some.mean(axis=0)).T))
        largest = slice(None, -COMPONENTS - 1, -1)
        self._middle = some.mean(axis=0).astype(np.float32)
        self._axes = (axes[:, largest] / np.sqrt(spread[largest])).astype(np.float32)
        self._people = [recording.person for recording in recordings]
        self._examples = [self._examples_of(*each) for each in zip(recordings, features, strict=True)]

    def fit(self, left_out: Collection[str] = ()) -> Weights:
        """What everybody but the people who are left out teaches."""
        kept = [each for each, person in zip(self._examples, self._people, strict=True) if person not in left_out]
        inputs, targets, weights = (np.concatenate(part) for part in zip(*kept, strict=True))
        products, sums = targets.T @ (weights[:, None] * targets), weights @ targets
        motions = np.linalg.eigh(products)[1][:, -CODES:].T
        learnt = train(inputs, targets @ motions.T, weights)
        along = _per_size(products, sums, weights.sum())
        stretched = np.eye(CODES) + motions @ _SIZES @ np.diag(_STRETCH - 1.0) @ along @ motions.T
        mean = motions @ sums / weights.sum()
        constant = mean + (learnt.constant - mean) @ stretched
        layers = (learnt.hidden, learnt.hidden_constant, learnt.out @ stretched, constant)
        parted = _PARTED * along[0].reshape(len(POINTS), 2)
        shaped = motions.reshape(CODES, len(POINTS), 2)
        parts = (self._middle, self._axes, *layers, parted, shaped)
        return Weights(*(np.ascontiguousarray(part, np.float32) for part in parts))

    def _examples_of(self, recording: Recording, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], Array, Array]:
        """Inputs (F, 1056), targets (F, 82) and weights (F,) of the pictures in which a face was found."""
        seen = np.isfinite(recording.offsets).all(axis=(1, 2))
        targets = symmetric(recording.offsets[seen]).reshape(seen.sum(), -1)
        weight = _SYNTHETIC_WEIGHT
        if recording.is_real:
            weight = 1.0 if len(recording.times) >= _LONG else _REAL_WEIGHT
        return self._inputs(rows, recording.times[seen]), targets, np.full(len(targets), weight)

    def _inputs(self, rows: NDArray[np.float32], times: Array) -> NDArray[np.float32]:
        """Components around moments (F,), as all taps hear them: (F, 1056)."""
        reach = TAPS // 2 * TAP_ROWS
        smooth = smoothed((rows - self._middle) @ self._axes)
        nearest = np.round(times / ROW_SECONDS).astype(int).clip(0, len(rows) - 1)
        return around(np.pad(smooth, ((reach, reach), (0, 0)), mode="edge"), nearest + reach)


def symmetric(offsets: NDArray[np.floating]) -> Array:
    """Offsets (F, 41, 2) averaged with their mirror images: which side a mouth prefers is its owner's habit."""
    mirrored = offsets[:, _MIRRORED] * np.array([-1.0, 1.0])
    return np.asarray((offsets + mirrored) / 2)


def _per_size(targets: Array, sums: Array, weight: float) -> Array:
    """Changes of the shape (2, 82) that go with a change of the opening by 1 without one of the width, and the reverse,
    from the products of targets (82, 82), their sums (82,) and the weight of all.
    """
    spread = targets - np.outer(sums, sums) / weight
    return np.linalg.lstsq(_SIZES.T @ spread @ _SIZES, _SIZES.T @ spread, rcond=None)[0]


_HALF = LIPS // 2
_AROUND = (_HALF // 2 - np.arange(_HALF)) % _HALF
_MIRRORED = np.concatenate([_AROUND, _HALF + _AROUND, [LIPS]])
"""Point of a shape that is where each point is in the mirror."""
_UNITS = np.eye(2 * len(POINTS)).reshape(-1, len(POINTS), 2)
_SIZES = np.stack([opening_of(_UNITS), width_of(_UNITS)], axis=1)
"""Opening and width as linear functions (82, 2) of a shape."""
