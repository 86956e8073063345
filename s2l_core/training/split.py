"""Splits footage into a part for training, one for validation, and one for measuring the speaker."""

from __future__ import annotations

import numpy as np

from ..footage import Footage

_HELD_OUT_SHARE = 0.1
_WATCHED_SHARE = 0.05
_GAP_SECONDS = 1.0


def split_footage(footage: Footage, early_stopping: bool = False) -> dict[str, tuple[float, float]]:
    """Spans in seconds of the medium: ``train``; ``held_out``, the last tenth, after a gap of a second, on which the
    speaker is measured; and ``watched``, on which training is validated. ``watched`` equals ``held_out`` unless the
    training may stop early by it, in which case it is a span of its own before the gap.
    """
    start, end = float(footage.times[0]), float(footage.times[0]) + footage.seconds
    held_out = _moment_before(footage, _HELD_OUT_SHARE)
    last = held_out - _GAP_SECONDS
    if not early_stopping:
        return {"train": (start, last), "watched": (held_out, end), "held_out": (held_out, end)}
    watched = _moment_before(footage, _HELD_OUT_SHARE + _WATCHED_SHARE) - _GAP_SECONDS
    return {"train": (start, watched - _GAP_SECONDS), "watched": (watched, last), "held_out": (held_out, end)}


def ensure_watched_faces(split: dict[str, tuple[float, float]], footage: Footage) -> dict[str, tuple[float, float]]:
    """Extend the span ``watched`` backwards if it shows no face, until it has as many frames with a face as a twentieth
    of all.
    """
    begin, end = split["watched"]
    shown = footage.times[footage.track.found & (footage.times < end)]
    if (shown >= begin).any():
        return split
    begin = float(shown[-max(1, round(_WATCHED_SHARE * len(shown)))])
    return {**split, "train": (split["train"][0], begin - _GAP_SECONDS), "watched": (begin, end)}


def _moment_before(footage: Footage, share: float) -> float:
    """Second of the medium after which this share of the speaker's footage comes. Frames that show somebody else do not
    count.
    """
    counted = ~footage.somebody_else
    ends = np.append(footage.times, footage.times[0] + footage.seconds)
    passed = np.concatenate([[0.0], np.cumsum(counted * np.diff(ends))])
    return float(ends[np.searchsorted(passed, (1.0 - share) * passed[-1])])
