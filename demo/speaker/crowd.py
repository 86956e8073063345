"""Many people whose looks, voices and light are drawn at random, for networks that are to draw anybody's lips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .camera import DISTANCE, Camera
from .complexion import Colour, Complexion
from .head import pose_matrix

CAMERA = Camera(focal_length=620.0, width=224, height=224)
"""The mouth is about 45 pixels wide, as that of people in the corpus GRID."""
_SKINS: tuple[Colour, ...] = (
    (0.90, 0.74, 0.66),
    (0.86, 0.68, 0.57),
    (0.80, 0.60, 0.47),
    (0.72, 0.52, 0.39),
    (0.62, 0.45, 0.35),
    (0.52, 0.38, 0.30),
    (0.43, 0.32, 0.26),
    (0.34, 0.26, 0.22),
)
"""Skins from pale to dark, between which those of people lie."""
_BRIGHTEST_STUBBLE = 1.2
_HAIRS: tuple[Colour, ...] = ((0.05, 0.04, 0.035), (0.13, 0.085, 0.06), (0.30, 0.19, 0.11), (0.42, 0.39, 0.37))


@dataclass(frozen=True)
class Stranger:
    """One of the many.

    Attributes:
        name: Name of the person.
        identity_seed: Draws the shape of the head.
        complexion: Colours of the skin.
        pose: camera_from_head (4, 4), mm. The head does not move.
        lamps: Power of the key, fill and rim light, relative to the embedded speaker's.
        articulation: How far the mouth moves, relative to the embedded speaker's.
        smile: Weight of a smile that never ends.
    """

    name: str
    identity_seed: int
    complexion: Complexion
    pose: np.ndarray
    lamps: tuple[float, float, float]
    articulation: float
    smile: float


def draw_stranger(number: int, count: int) -> Stranger:
    """The person with a number below ``count``. Skins go from dark to pale, all else is drawn at random."""
    random = np.random.default_rng([17, number])
    angles = random.uniform((-9.0, -6.0, -3.0), (9.0, 6.0, 3.0))
    place = np.array([0.0, 18.0, DISTANCE]) + random.uniform(-6.0, 6.0, 3)
    return Stranger(
        name=f"stranger_{number:02d}",
        identity_seed=1000 + number,
        complexion=_complexion(1.0 - (number + random.uniform()) / count, random),
        pose=pose_matrix(angles, place),
        lamps=(random.uniform(0.25, 1.5), random.uniform(0.4, 4.0), random.uniform(0.2, 1.5)),
        articulation=random.uniform(0.85, 1.35),
        smile=max(0.0, random.normal(0.0, 0.12)),
    )


def _complexion(darkness: float, random: np.random.Generator) -> Complexion:
    """Colours of a skin between the palest (0) and the darkest (1). Every second person has stubble or a beard."""
    skin = _between(_SKINS, darkness) * (1 + random.normal(0.0, 0.012, 3))
    # Lips are redder than the skin, by less on dark skin; some are painted.
    red = np.array([0.90, 0.66, 0.72]) if random.random() < 0.7 else np.array([0.88, 0.48, 0.55])
    lips = skin * (red + 0.15 * darkness) * (1 + random.normal(0.0, 0.06, 3))
    has_beard = random.random() < 0.5
    return Complexion(
        skin=_colour(skin),
        lips=_colour(lips),
        stubble=random.uniform(0.3, _BRIGHTEST_STUBBLE) if has_beard else 0.0,
        beard=random.uniform(0.35, 1.0) if has_beard and random.random() < 0.7 else 0.0,
        hair=_HAIRS[int(random.integers(2 if darkness > 0.5 else len(_HAIRS)))],
    )


def _between(colours: Sequence[Colour], share: float) -> np.ndarray:
    places = np.linspace(0.0, 1.0, len(colours))
    return np.array([np.interp(share, places, channel) for channel in zip(*colours, strict=True)])


def _colour(values: np.ndarray) -> Colour:
    red, green, blue = np.clip(values, 0.02, 0.98).tolist()
    return red, green, blue
