"""Fits how a mouth behaves in pauses of the voice: how soon and how far it closes, and how early it opens again."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..events import checkpoint
from ..speech.features import SAMPLE_RATE, speech_level
from ..speech.silence import Closing, PauseBehaviour, closed_shares, level_moments, measure_levels

_LEVELS_DB = (-12.0, -16.0, -20.0, -25.0, -30.0)
_SHORTEST = (0.15, 0.3, 0.6)
_DELAYS = (0.0, 0.15, 0.3)
_RAMPS = (0.1, 0.25)
_LEADS = (0.06, 0.15, 0.25)

_FOLDS = 5
_GAIN, _AGREEING_FOLDS = 0.004, 4
"""Least gain in the correlation of the openings, and least number of folds with a gain. Among some hundred candidates,
the best gains .001 to .003 by chance.
"""
_REST_SHARE = 0.05
_QUANTILES = (0.05, 0.99)
_MOST_GAIN = 3.0
_NOISE_SHARE, _BELOW_NOISE_DB = 0.1, 10.0
_SILENCE_DB = (-60.0, -30.0)


def learn_pauses(
    speech: NDArray[np.float32],
    times: NDArray[np.float64],
    openings: NDArray[np.float64],
    regressed: NDArray[np.float64],
) -> PauseBehaviour:
    """Choose, by grid search, the parameters of closing whose openings correlate best with the real ones; no closing if
    none is clearly better.

    Args:
        speech: (n,) at 16 kHz that includes the footage.
        times: (N,) seconds of the training frames.
        openings: (N,) opening of the mouth in them.
        regressed: (N,) the same as predicted from speech by a regression that was not fitted to these frames.
    """
    heard = speech[: round((times[-1] + 1) * SAMPLE_RATE)]
    levels, grid = measure_levels(heard) - speech_level(heard), level_moments(heard)
    predicted = _as_dubbed(regressed, openings)
    rest = float(np.sort(openings)[: max(1, round(_REST_SHARE * len(openings)))].mean())

    def gains(shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gain in correlation by a candidate's shares: in the whole footage, and in each fold."""
        closed = predicted + shares * (rest - predicted)
        parts = [slice(None), *(slice(part[0], part[-1] + 1) for part in np.array_split(np.arange(len(times)), _FOLDS))]
        return np.array([_correlation(closed[p], openings[p]) - _correlation(predicted[p], openings[p]) for p in parts])

    silence_db = float(np.clip(np.quantile(levels, _NOISE_SHARE) - _BELOW_NOISE_DB, *_SILENCE_DB))
    best, best_gain = PauseBehaviour(silence_db=silence_db), _GAIN
    for level_db, shortest, delay, ramp, lead in itertools.product(_LEVELS_DB, _SHORTEST, _DELAYS, _RAMPS, _LEADS):
        checkpoint()
        fully = Closing(shortest, delay, ramp, lead, strength=1.0)
        shares = np.interp(times, grid, closed_shares(levels < level_db, fully))
        # least squares: without this factor, the reduced spread alone would favour a candidate
        strength = float(np.clip(shares @ (predicted - openings) / max(shares @ (predicted - rest), 1e-9), 0.0, 1.0))
        gain, *in_parts = gains(strength * shares)
        if gain > best_gain and np.sum(np.array(in_parts) > 0) >= _AGREEING_FOLDS:
            best, best_gain = PauseBehaviour(level_db, replace(fully, strength=strength), silence_db), gain
    return best


def _as_dubbed(regressed: NDArray[np.float64], openings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predicted openings, scaled as in dubbing, see :mod:`s2l_core.speech.articulation`."""
    gain = 1 / max(_correlation(regressed, openings), 1 / _MOST_GAIN)
    return np.clip(regressed.mean() + gain * (regressed - regressed.mean()), *np.quantile(openings, _QUANTILES))


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    deviations = one.std() * other.std()
    return float(np.mean((one - one.mean()) * (other - other.mean())) / deviations) if deviations > 0 else 0.0
