"""Which part of the footage a speaker learns from, and which is kept to measure it."""

from __future__ import annotations

import numpy as np

from ..footage import Footage

_HELD_OUT_SHARE = 0.1
_WATCHED_SHARE = 0.05
_GAP_SECONDS = 1.0


def split_footage(footage: Footage, early_stopping: bool = False) -> dict[str, tuple[float, float]]:
    """Seconds from the start of the medium: ``train``; after a gap ``held_out``, where the speaker is measured; and
    ``watched``, where training sees how far it is. That is ``held_out`` if nothing follows from what is seen there;
    to stop by it, another part of the footage is kept from training.
    """
    start, end = float(footage.times[0]), float(footage.times[0]) + footage.seconds
    held_out = _moment_before(footage, _HELD_OUT_SHARE)
    last = held_out - _GAP_SECONDS
    if not early_stopping:
        return {"train": (start, last), "watched": (held_out, end), "held_out": (held_out, end)}
    watched = _moment_before(footage, _HELD_OUT_SHARE + _WATCHED_SHARE) - _GAP_SECONDS
    return {"train": (start, watched - _GAP_SECONDS), "watched": (watched, last), "held_out": (held_out, end)}


def ensure_watched_faces(split: dict[str, tuple[float, float]], footage: Footage) -> dict[str, tuple[float, float]]:
    """A split of footage with a face to be watched: if there is none in that part, it begins earlier, so that as many
    frames show one.
    """
    begin, end = split["watched"]
    shown = footage.times[footage.track.found & (footage.times < end)]
    if (shown >= begin).any():
        return split
    begin = float(shown[-max(1, round(_WATCHED_SHARE * len(shown)))])
    return {**split, "train": (split["train"][0], begin - _GAP_SECONDS), "watched": (begin, end)}


def _moment_before(footage: Footage, share: float) -> float:
    """Where the frame begins from which on this share of what the footage shows of the speaker comes, in seconds of the
    medium: others, who are not learnt, do not count.
    """
    counted = ~footage.somebody_else
    ends = np.append(footage.times, footage.times[0] + footage.seconds)
    passed = np.concatenate([[0.0], np.cumsum(counted * np.diff(ends))])
    return float(ends[np.searchsorted(passed, (1.0 - share) * passed[-1])])
