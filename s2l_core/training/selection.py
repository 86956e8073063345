"""The frames of long footage that training looks at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..footage import Footage
from ..geometry.camera import head_angles
from ..subsampling import evenly_spaced, farthest_points

_RUN_SECONDS = 8.0
"""Duration of the runs of successive frames that are chosen: several times as long as the excerpts of speech that
training hears.
"""


def choose_runs(footage: Footage, usable: NDArray[np.bool_], most_seconds: float) -> NDArray[np.bool_]:
    """Choose runs of successive frames whose mouths and heads are as different as possible, and which lie as far from
    each other in the footage as possible.

    Args:
        footage: The clip, with a tracked head.
        usable: bool (N,) frames to choose from; those without a face are left out.
        most_seconds: Duration of all chosen frames. If the usable ones are not longer, all of them are chosen.

    Returns:
        bool (N,), whether a frame is chosen.
    """
    seen = np.flatnonzero(usable & footage.track.found)
    rate = float(footage.info.rate)
    if len(seen) <= most_seconds * rate:
        return np.isin(np.arange(len(usable)), seen)
    length = max(1, round(_RUN_SECONDS * rate))
    runs = [seen[start : start + length] for start in range(0, len(seen) - length + 1, length)]
    few = farthest_points(_features(footage, runs), max(1, int(most_seconds * rate) // length))
    chosen = np.zeros(len(usable), dtype=bool)
    chosen[np.concatenate([runs[number] for number in few])] = True
    return chosen


def choose_evenly(footage: Footage, usable: NDArray[np.bool_], most_seconds: float) -> NDArray[np.bool_]:
    """As :func:`choose_runs`, but evenly spaced frames."""
    seen = np.flatnonzero(usable & footage.track.found)
    chosen = np.zeros(len(usable), dtype=bool)
    chosen[seen[evenly_spaced(len(seen), max(1, int(most_seconds * float(footage.info.rate))))]] = True
    return chosen


def _features(footage: Footage, runs: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Features (n, 9) of runs, of unit variance: time; head pose; mean opening of the mouth, and its deviation."""
    openings, poses = footage.openings, footage.track.poses
    rows = [
        [
            footage.times[run].mean(),
            *head_angles(poses[run]).mean(axis=0),
            *poses[run, :3, 3].mean(axis=0),
            openings[run].mean(),
            openings[run].std(),
        ]
        for run in runs
    ]
    features = np.array(rows)
    return np.asarray((features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9))
