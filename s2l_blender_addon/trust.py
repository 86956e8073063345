"""Whether a camera sees a head from where its footage tells how it looks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mathutils import Matrix, Vector


def degrees_outside(pose: Sequence[float], trusted: Sequence[float]) -> float:
    """How far a pose lies outside of the trusted ones; 0 inside.

    The head's yaw and pitch count as a camera would see them that looks straight at the head's origin.

    Args:
        pose: camera_from_head as 16 numbers row by row, OpenCV's axes.
        trusted: Least and greatest degrees of yaw, of pitch and of roll.
    """
    matrix = Matrix([pose[row : row + 4] for row in (0, 4, 8, 12)])
    towards = Vector((0.0, 0.0, 1.0)).rotation_difference(matrix.translation).to_matrix()
    pitch, yaw, roll = (math.degrees(angle) for angle in (towards.inverted() @ matrix.to_3x3()).to_euler("YXZ"))
    limits = zip(trusted[0::2], (yaw, pitch, roll), trusted[1::2], strict=True)
    return math.hypot(*(max(least - angle, 0.0, angle - greatest) for least, angle, greatest in limits))
