#!/usr/bin/env python3
"""Move a camera around a speaker's head.

python repose_a_head.py anna.s2l dubbed.mp4 orbit.mp4
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import s2l_core
from s2l_core.jobs import Media, PoseJob

DISTANCE = 0.7  # metres from the footage's camera to the head, about which the new camera turns


def orbit(degrees: list[float], seconds: float, pixels: int) -> dict[str, Any]:
    """A camera path around the head, as nerfstudio's viewer writes it: one camera for each angle."""
    # The world's origin is the footage's camera. It looks along -z; x is right and y is up, in metres.
    cameras = []
    for angle in map(math.radians, degrees):
        cosine, sine = math.cos(angle), math.sin(angle)
        x, z = DISTANCE * sine, DISTANCE * (cosine - 1)
        camera_to_world = [cosine, 0, sine, x, 0, 1, 0, 0, -sine, 0, cosine, z, 0, 0, 0, 1]
        cameras.append({"camera_to_world": camera_to_world, "fov": 30})
    return {"render_width": pixels, "render_height": pixels, "seconds": seconds, "camera_path": cameras}


def repose(speaker_path: str, footage: Media, output: Path, seconds: float = 4, pixels: int = 512) -> dict[str, Any]:
    """Write a movie in which the camera swings eight degrees to either side."""
    path = output.with_suffix(".json")
    path.write_text(json.dumps(orbit([0, 8, 0, -8, 0], seconds, pixels)))
    result = s2l_core.pose(PoseJob(speaker_path, footage, str(path), str(output)))

    # The footage shows a head from some sides only. Farther outside, the head is turned back to what can be trusted.
    print(f"Rendered {result['frames']} frames at {result['fps']:.1f} frames per second.")
    if result["frames_outside"]:
        print(f"{result['frames_outside']} of them are up to {result['degrees_outside']:.0f} degrees outside.")
    return result


if __name__ == "__main__":
    repose(sys.argv[1], Media(sys.argv[2]), Path(sys.argv[3]))
