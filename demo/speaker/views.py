"""The speaker from novel angles: moments of the clip with the head turned and nothing else, as ``views.npz``.

Lights, expression, the eyes' gaze in the head and the shoulders are those of the moment; the neck bends between. The
head turns about its origin so that one of its angles, as :func:`s2l_core.geometry.camera.head_angles` tells them,
changes by the degrees of the view's name and the others do not: ``yaw_10`` turns the nose to the image's left,
``pitch_10`` lowers it. Frame ``m * V + v`` of ``views.mp4`` shows view v of moment m.

============== ===================== =================================================================================
Name           Shape, type           Meaning
============== ===================== =================================================================================
frame          (M,) int              frames of the clip
angle          (V,) str              ``"unturned"``, ``"yaw_10"``, ``"yaw_minus_10"`` and so on
pose           (M, V, 4, 4) float64  camera_from_head, mm; head axes as in :mod:`.head`, camera axes are OpenCV's
depth          (M, V, H, W) uint16   camera z of the head at pixel centres in whole mm; 0 off the head
============== ===================== =================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from s2l_core.geometry.camera import head_angles

from .people import Person
from .performance import Performance, recorded

TURNS: dict[str, tuple[float, float]] = {
    "unturned": (0.0, 0.0),
    "yaw_minus_20": (-20.0, 0.0),
    "yaw_minus_15": (-15.0, 0.0),
    "yaw_minus_10": (-10.0, 0.0),
    "yaw_minus_5": (-5.0, 0.0),
    "yaw_5": (5.0, 0.0),
    "yaw_10": (10.0, 0.0),
    "yaw_15": (15.0, 0.0),
    "yaw_20": (20.0, 0.0),
    "pitch_minus_10": (0.0, -10.0),
    "pitch_10": (0.0, 10.0),
}
"""Degrees of yaw and pitch that are added in each view."""


def turned(pose: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """A pose (4, 4) with degrees added to its yaw and pitch; the head's origin and its roll stay."""
    old_yaw, old_pitch, roll = head_angles(pose)
    new = pose.copy()
    new[:3, :3] = Rotation.from_euler("ZXY", [roll, old_pitch + pitch, old_yaw + yaw], degrees=True).as_matrix()
    return new


def pose_views(truth: Mapping[str, np.ndarray], person: Person) -> Performance:
    """The moments of a person's clip, each with all ``TURNS``, as a performance of M V frames.

    Args:
        truth: The clip's ``truth.npz``.
        person: The person.
    """
    moments = np.repeat(person.moments, len(TURNS))
    poses = [turned(truth["pose"][frame], *turn) for frame in person.moments for turn in TURNS.values()]
    acted = recorded(truth, person, moments)
    return replace(acted, poses=np.stack(poses), angles=head_angles(np.stack(poses)))
