#!/usr/bin/env python3
"""Compare two speakers that were trained on the same footage, and evaluate the better one.

    python compare_speakers.py anna_draft.s2l anna_final.s2l

Both speakers were measured on the part of the footage that was held out from their training: each dubbed it with the
sound of that part, and the result was compared with the real frames.
"""

from __future__ import annotations

import sys
from typing import Any

import s2l_core
from s2l_core.jobs import DescribeJob, EvaluateJob


def compare(first: str, second: str) -> str:
    """Print the figures that two speaker files contain, and return the path of the better one."""
    # Reading what a speaker file says about itself takes no time: its networks are not loaded.
    facts = [s2l_core.describe(DescribeJob(path)) for path in (first, second)]
    for row in ("name", "preset", "trained_seconds", "mouth_psnr", "opening_correlation", "quality"):
        print(f"{row:20} {facts[0][row]!s:24} {facts[1][row]!s:24}")
    return first if (facts[0]["mouth_psnr"] or 0) >= (facts[1]["mouth_psnr"] or 0) else second


def evaluate(path: str) -> dict[str, Any]:
    """Measure a speaker anew, in more ways than training does, and print some of the figures."""
    # The footage is found where it was in training; EvaluateJob(path, footage=Media(...)) says where it is now.
    measured = s2l_core.evaluate(EvaluateJob(path))
    print(f"{measured['mouth_psnr']:.1f} dB of likeness of the mouth to the real one")
    print(f"{measured['mean_image_psnr']:.1f} dB for a mouth that never moves")
    print(f"{measured['h264']['mouth_psnr']:.1f} dB in the movie that is written with the default encoding")
    print(f"{measured['articulation']:.2f} of the real motion of the mouth")
    return measured


if __name__ == "__main__":
    evaluate(compare(*sys.argv[1:3]))
