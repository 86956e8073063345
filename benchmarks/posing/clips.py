"""Real footage: one frame re-posed to the head's pose in another, which shows what should have come out."""

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
"""What a mouth that is more open, by the height of the face, counts beside a head that is turned, when pairs are
chosen: chin and cheeks move with it."""


@dataclass(frozen=True)
class Pair(Wanted):
    """One frame re-posed as another; the mouth, which says something else, is not in the mask.

    Attributes:
        yaw: Degrees by which the head turns.
    """

    yaw: float


def read_pairs(footage: Footage, face: CanonicalFace, warper: Warper, held_out: float) -> Iterator[Pair]:
    """Pairs whose second frame no training has seen; their yaws lie evenly between the extremes.

    Args:
        footage: With a tracked head.
        face: The speaker's.
        warper: Tells where the head is.
        held_out: Seconds from the start of the medium after which frames were not trained on.
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
    """Frames of all the clip with frames (N,) bool of a part of it: their turns in yaw lie evenly between the extremes,
    and what else differs is as little as can be.
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
