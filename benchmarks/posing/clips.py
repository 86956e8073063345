"""Real footage: a frame re-posed to the head pose of another frame, which is the ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2l_core.canonical.regions import mouth_boxes
from s2l_core.canonical.view import CanonicalFace
from s2l_core.footage import Footage
from s2l_core.geometry.camera import head_angles

from .rows import Wanted, Warper

PAIRS = 20
_DEGREES_PER_OPENING = 20.0
"""Weight of a difference in mouth opening, in heights of the face, against a degree of rotation when pairs are chosen:
chin and cheeks move with the mouth.
"""


@dataclass(frozen=True)
class Pair(Wanted):
    """A frame re-posed to match another one. The mask excludes the mouth, which speaks other words.

    Attributes:
        yaw: Difference in yaw in degrees.
    """

    yaw: float


def read_pairs(footage: Footage, face: CanonicalFace, warper: Warper, held_out: float) -> Iterator[Pair]:
    """Pairs with a held-out second frame, evenly spaced in yaw between the extremes.

    Args:
        footage: The clip, with a tracked head.
        face: Canonical view of the speaker.
        warper: Gives the mask of the head.
        held_out: Second of the medium from which frames were not trained on.
    """
    pairs = choose_pairs(footage, footage.times >= held_out)
    wanted = {index for pair in pairs for index in pair}
    pictures = {index: frame.image for index, frame in enumerate(footage.frames()) if index in wanted}
    boxes = np.round(mouth_boxes(face, footage.track)).astype(int).clip(min=0)
    poses = footage.track.poses
    yaw = head_angles(poses)[:, 0]
    for first, second in pairs:
        mask = warper.depth(poses[second]) > 0
        left, top, right, bottom = boxes[second]
        mask[top:bottom, left:right] = False
        turn = float(yaw[second] - yaw[first])
        yield Pair(first, pictures[first], poses[second], pictures[second], mask, turn)


def choose_pairs(footage: Footage, later: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Choose pairs of any frame and a frame of ``later`` bool (N,), evenly spaced in yaw between the extremes, with as
    little other difference as possible.
    """
    found = footage.track.found
    first, second = np.flatnonzero(found), np.flatnonzero(found & later)
    angles, openings = head_angles(footage.track.poses), footage.openings
    turns = angles[second, None] - angles[None, first]
    other = np.linalg.norm(turns[..., 1:], axis=-1)
    other += _DEGREES_PER_OPENING * np.abs(openings[second, None] - openings[None, first])
    yaws = turns[..., 0]
    chosen = []
    for wanted in np.linspace(*np.quantile(yaws, [0.001, 0.999]), PAIRS):
        row, column = np.unravel_index(np.argmin(np.abs(yaws - wanted) + 0.1 * other), yaws.shape)
        chosen.append((int(first[column]), int(second[row])))
    return chosen
