"""Regression from features of speech to shapes of lips, of which people can be left out.

Ridge regression on the principal components of the features around a moment. Each recording has its own normal
equations, so that leaving one out costs no more than solving them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from s2l_core.stills.lip_motion import CODES, ROW_SECONDS, TAP_ROWS, TAPS
from s2l_core.stills.lip_shape import LIPS, POINTS, opening_of, width_of

from .recordings import Recording

Array = NDArray[np.float64]

_COMPONENTS = 96
"""Number of principal components of a row of features."""
_PENALTY = 0.1
"""Weight of the squares of the coefficients, for components with variance 1. A higher one moves less."""
_STRETCH = np.array([1.22, 1.4])
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


@dataclass(frozen=True)
class Filter:
    """What :class:`s2l_core.stills.lip_motion.LipMotion` needs: taps (11, bands, 6), constant (6,), parted lips (41, 2)
    and motions (6, 41, 2).
    """

    taps: NDArray[np.float32]
    constant: NDArray[np.float32]
    parted: NDArray[np.float32]
    motions: NDArray[np.float32]


@dataclass(frozen=True)
class _Sums:
    """Normal equations of a recording, with its weight.

    Attributes:
        inputs: (i, i) products of inputs.
        mixed: (i, 82) products of inputs and targets.
        targets: (82, 82) products of targets.
        weight: Weight of all pictures.
    """

    inputs: Array
    mixed: Array
    targets: Array
    weight: float


class Study:
    """Recordings, and regressions that leave people out.

    Args:
        recordings: All recordings.
        features: Rows of features (m, bands) of each, one every 10 ms.
    """

    def __init__(self, recordings: Sequence[Recording], features: Sequence[NDArray[np.float32]]) -> None:
        some = np.concatenate([rows[::_SPACING] for rows in features]).astype(np.float64)
        self._middle = some.mean(axis=0)
        spread, axes = np.linalg.eigh(np.cov((some - self._middle).T))
        largest = slice(None, -_COMPONENTS - 1, -1)
        self._axes = axes[:, largest] / np.sqrt(spread[largest])
        self._people = [recording.person for recording in recordings]
        self._sums = [self._sums_of(recording, rows) for recording, rows in zip(recordings, features, strict=True)]

    def fit(self, left_out: Collection[str] = ()) -> Filter:
        """The filter that everybody but the people who are left out teaches."""
        kept = [sums for sums, person in zip(self._sums, self._people, strict=True) if person not in left_out]
        inputs, mixed, targets = (sum(getattr(each, name) for each in kept) for name in ("inputs", "mixed", "targets"))
        penalty = np.full(len(inputs), _PENALTY * sum(each.weight for each in kept))
        penalty[-1] = 0.0  # of the constant
        answer = np.linalg.solve(inputs + np.diag(penalty), mixed)
        along = _per_size(targets, mixed[-1], inputs[-1, -1])
        answer[:-1] += (answer[:-1] @ _SIZES * (_STRETCH - 1.0)) @ along
        motions = np.linalg.eigh(targets)[1][:, -CODES:].T
        codes = answer @ motions.T
        each_tap = codes[:-1].reshape(TAPS, -1, CODES)
        taps = np.einsum("bc,tck->tbk", self._axes, each_tap)
        constant = codes[-1] - np.einsum("b,tbk->k", self._middle, taps)
        parted = _PARTED * along[0].reshape(len(POINTS), 2)
        shaped = motions.reshape(CODES, len(POINTS), 2)
        return Filter(*(np.ascontiguousarray(part, np.float32) for part in (taps, constant, parted, shaped)))

    def _sums_of(self, recording: Recording, rows: NDArray[np.float32]) -> _Sums:
        seen = np.isfinite(recording.offsets).all(axis=(1, 2))
        inputs = self._inputs(rows, recording.times[seen])
        targets = symmetric(recording.offsets[seen]).reshape(len(inputs), -1)
        weight = _SYNTHETIC_WEIGHT
        if recording.is_real:
            weight = 1.0 if len(recording.times) >= _LONG else _REAL_WEIGHT
        return _Sums(
            weight * inputs.T @ inputs, weight * inputs.T @ targets, weight * targets.T @ targets, weight * len(inputs)
        )

    def _inputs(self, rows: NDArray[np.float32], times: Array) -> Array:
        """Components around moments (F,), and a constant: (F, 11 * components + 1)."""
        smooth = uniform_filter1d((rows - self._middle) @ self._axes, TAP_ROWS, axis=0)
        middle = np.round(times / ROW_SECONDS).astype(int)[:, None] + TAP_ROWS * (np.arange(TAPS) - TAPS // 2)
        around = smooth[middle.clip(0, len(rows) - 1)].reshape(len(times), -1)
        return np.concatenate([around, np.ones((len(times), 1))], axis=1)


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
