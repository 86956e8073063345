"""Hair of medium length: strands that grow from the scalp and lie along it, combed from a parting. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import skull
from .head import Head, triangulate
from .skin import cropped_hair, noise, smoothstep

_COUNT = 9000
_POINTS = 9
"""Points of a strand."""
_PARTING = -30.0
"""Where the parting is, mm along x."""
_STRAY = 0.04
"""Share of the strands that stand out."""
_ROOT_RADIUS, _TIP_RADIUS = 0.45, 0.15


@dataclass(frozen=True)
class Hair:
    """Strands that are fixed to the skull.

    Attributes:
        points: (N, K, 3) from the roots to the tips in head axes, mm.
        radius: (K,) of each strand, mm.
    """

    points: np.ndarray
    radius: np.ndarray

    def ribbons(self) -> tuple[np.ndarray, np.ndarray]:
        """The strands as ribbons that look to the camera: vertices (2 N K, 3) in head axes, triangles (T, 3)."""
        count, length = self.points.shape[:2]
        across = np.cross(np.gradient(self.points, axis=1), [0.0, 0.0, 1.0])
        across *= (self.radius / np.maximum(np.linalg.norm(across, axis=-1), 1e-6))[..., None]
        vertices = np.stack([self.points - across, self.points + across], axis=2)
        index = np.arange(2 * count * length).reshape(count, length, 2)
        corners = [index[:, :-1, 0], index[:, :-1, 1], index[:, 1:, 1], index[:, 1:, 0]]
        return vertices.reshape(-1, 3), triangulate(np.stack(corners, axis=-1).reshape(-1, 4))


def parted_hair(head: Head, seed: int = 43) -> Hair:
    """Hair that is parted on one side, long on top and short around the ears, which it leaves bare."""
    rng = np.random.default_rng(seed)
    roots = _roots(head, rng)
    along = np.linspace(0.0, 1.0, _POINTS)
    length = np.interp(roots[:, 1], [-120, -85, -60, -45, 0, 60], [60, 48, 26, 9, 7, 10])
    step = length * rng.uniform(0.75, 1.1, len(roots)) / (_POINTS - 1)
    lift = np.interp(roots[:, 1], [-120, -85, -50, 0], [15.0, 14.0, 7.0, 2.0]) * rng.uniform(0.1, 1.0, len(roots))
    lift *= 1.0 + 0.5 * smoothstep(-50.0, -85.0, roots[:, 2])  # fuller above the forehead
    lift[rng.random(len(roots)) < _STRAY] *= 1.4
    own = rng.normal(0.0, 0.13, (len(roots), 3))

    radius_at = skull.skull_radius(head)
    distance = np.linalg.norm(roots - skull.CENTRE, axis=1)
    outwards = (roots - skull.CENTRE) / distance[:, None]
    above = distance - radius_at(*skull.angles(outwards))
    points = [roots]
    for t in along[1:]:
        radius = radius_at(*skull.angles(outwards))
        flow = _combed(skull.CENTRE + radius[:, None] * outwards) + own
        flow -= (flow * outwards).sum(axis=1)[:, None] * outwards
        outwards = outwards + (step / radius / np.linalg.norm(flow, axis=1))[:, None] * flow
        outwards /= np.linalg.norm(outwards, axis=1)[:, None]
        height = above * (1.0 - t) + lift * t**0.6 * (1.0 - 0.25 * t**2)
        points.append(skull.CENTRE + (radius_at(*skull.angles(outwards)) + height)[:, None] * outwards)
    return Hair(np.stack(points, axis=1), _ROOT_RADIUS + (_TIP_RADIUS - _ROOT_RADIUS) * along**2)


def _roots(head: Head, rng: np.random.Generator) -> np.ndarray:
    """Points (N, 3) spread evenly over the scalp."""
    triangles = head.rest[triangulate(head.faces[head.faces_of("M_Face", "M_BackHead")])]
    middle = triangles.mean(axis=1)
    scalp = triangles[(cropped_hair(middle) > 0.5) & (middle[:, 1] < 55.0) & (middle[:, 2] < 110.0)]
    area = np.linalg.norm(np.cross(scalp[:, 1] - scalp[:, 0], scalp[:, 2] - scalp[:, 0]), axis=1)
    chosen = scalp[rng.choice(len(scalp), _COUNT, p=area / area.sum())]
    weights = rng.dirichlet([1.0, 1.0, 1.0], _COUNT)
    return np.einsum("nk,nkj->nj", weights, chosen)


def _combed(points: np.ndarray) -> np.ndarray:
    """Directions (N, 3) of the comb: from the parting to both sides on top, down and back below, in locks."""
    x, y, z = points.T
    ones, side = np.ones(len(points)), np.tanh((x - _PARTING) / 5.0)
    top = np.stack([side, 0.0 * ones, 0.45 * ones], axis=1)
    below = np.stack([0.0 * ones, ones, 0.5 * smoothstep(70.0, 30.0, z)], axis=1)
    locks = np.stack([noise(points, 17.0, seed) for seed in (51, 52, 53)], axis=1)
    return top + smoothstep(-105.0, -70.0, y)[:, None] * (below - top) + 0.32 * locks
