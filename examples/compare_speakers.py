#!/usr/bin/env python3
"""Evaluate two speakers that were trained on the same footage, and print their figures side by side.

    python compare_speakers.py anna_draft.s2l anna_final.s2l

Each speaker dubs the part of the footage that was held out from its training, with that part's own sound. The result
is compared with the real frames.
"""

from __future__ import annotations

import sys

import s2l_core
from s2l_core.jobs import DescribeJob, EvaluateJob

# The columns are explained on the page "Quality". Nothing is better than the real frames.
COLUMNS = {
    "mouth_psnr": "likeness of the mouth in dB, more is better",
    "lmd": "distance of the lips' landmarks, less is better",
    "opening_correlation": "how well the opening of the mouth follows, at most 1",
    "articulation": "how much the mouth moves, 1 is as much as the real one",
}


def compare(first: str, second: str) -> dict[str, tuple[float, float]]:
    """Print and return the figures of two speaker files by column."""
    for path in (first, second):
        # Reading what a speaker file says about itself takes no time: its networks are not loaded.
        facts = s2l_core.describe(DescribeJob(path))
        print(f"{path}: {facts['name']}, preset {facts['preset']}, {facts['trained_seconds']:.0f} s of footage")

    measured = [s2l_core.evaluate(EvaluateJob(path)) for path in (first, second)]
    figures = {column: (measured[0][column], measured[1][column]) for column in COLUMNS}
    for column, values in figures.items():
        print(f"{column:20} {values[0]:8.3f} {values[1]:8.3f}   {COLUMNS[column]}")

    # A dub is encoded in the end; "h264" has the same columns for the movie that is written.
    print(f"after encoding, in dB {measured[0]['h264']['mouth_psnr']:8.3f} {measured[1]['h264']['mouth_psnr']:8.3f}")
    return figures


if __name__ == "__main__":
    compare(*sys.argv[1:3])
