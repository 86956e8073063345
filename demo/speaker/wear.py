"""What the speaker wears and what grows on him: a knitted cap, a shirt, brows and short hair. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from . import skull
from .head import BROWS, Head
from .skin import cropped_hair, noise, smoothstep

_SHIRT = np.array(  # y, half width, half depth, z of the middle
    [
        [114, 60, 56, 8],
        [106, 64, 60, 8],
        [105, 68, 64, 8],
        [110, 74, 69, 9],
        [114, 81, 70, 10],
        [122, 99, 74, 12],
        [132, 120, 80, 16],
        [144, 144, 86, 20],
        [160, 172, 94, 22],
        [182, 206, 104, 24],
        [212, 226, 112, 26],
        [330, 245, 120, 26],
    ],
    dtype=float,
)


@dataclass(frozen=True)
class Surface:
    """A mesh of quads: vertices (V, 3) in mm, faces (F, 4), texture coordinates (V, 2)."""

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray


@dataclass(frozen=True)
class Strands:
    """Hairs as tapering ribbons that ride on vertices of the head.

    Attributes:
        roots: (N,) vertex of the head that carries each hair.
        offsets: (N, 5, 3) corners of each ribbon relative to that vertex, mm.
    """

    roots: np.ndarray
    offsets: np.ndarray

    def vertices(self, head_vertices: np.ndarray) -> np.ndarray:
        """Corners (5 N, 3) for the head's vertices (V, 3) in the same axes, which must be near the head's own."""
        return (head_vertices[self.roots][:, None] + self.offsets).reshape(-1, 3)

    @property
    def faces(self) -> np.ndarray:
        """(2 N, 4) corner indices; -1 marks the triangle at the tip."""
        first = 5 * np.arange(len(self.roots))[:, None]
        return np.concatenate([first + [0, 1, 3, 2], np.where([True, True, True, False], first + [2, 3, 4, 0], -1)])


def knitted_cap(head: Head) -> Surface:
    """A ribbed cap with a folded brim, in head axes: the skull's outline grown by the thickness of the wool."""
    azimuth = np.linspace(0.0, 2.0 * np.pi, 300, endpoint=False)  # 0 looks to the camera
    edge = np.radians(16.0 + 14.0 * np.cos(azimuth) - 10.0 * np.sin(azimuth) ** 2)  # elevation of the brim's lower edge
    brim_top = edge + np.radians(22.0)
    brim = [
        (edge + t * (brim_top - edge), 3.0 + 6.0 * (1.0 - abs(2.0 * t - 1.0) ** 5)) for t in np.linspace(0.0, 1.0, 14)
    ]
    crown = [
        (brim_top - 0.04 + t * (np.pi / 2 - brim_top + 0.03), 3.0 + 11.0 * t**0.7 - 2.0 * t)
        for t in np.linspace(0.0, 1.0, 30)
    ]
    skull_radius = skull.skull_radius(head)
    points = []
    for elevation, lift in brim + crown:
        ribs = 1.0 * np.cos(azimuth * 60) * smoothstep(np.pi / 2, np.pi / 2 - 0.8, elevation)
        radius = skull_radius(azimuth, elevation) + lift + ribs
        points.append(skull.CENTRE + radius[:, None] * skull.direction(azimuth, elevation))
    return _woven(np.stack(points), (60.0, 40.0))


def shirt() -> Surface:
    """A T-shirt from collar to chest, in the axes of the shoulders."""
    angle = np.linspace(0.0, 2.0 * np.pi, 128, endpoint=False)
    t = np.linspace(0, len(_SHIRT) - 1, 70)
    y, width, depth, middle = (ndimage.map_coordinates(c, [t], order=3, mode="nearest") for c in _SHIRT.T)
    points = _around_neck(angle, y[:, None], width[:, None], depth[:, None], middle[:, None])
    points[..., 1] += 1.5 * noise(points.reshape(-1, 3), 60.0, 31).reshape(points.shape[:2])
    return _woven(points, (60.0, 40.0))


def collar() -> Surface:
    """A turned-down collar for the shirt, open at the throat, in the axes of the shoulders."""
    t = np.linspace(0.0, 1.0, 48)[:, None]  # up the stand, over the fold and down the fall
    along = np.linspace(-1.0, 1.0, 160)  # from one end over the nape to the other
    falling = smoothstep(0.4, 1.0, t)
    angle = np.pi + along * (np.pi - np.radians(3.0 + 17.0 * falling))
    length = 30.0 + 14.0 * np.abs(along) ** 8  # the points are longer
    y = np.where(t < 0.4, 108.0 - 22.0 * smoothstep(0.0, 0.4, t), 86.0 + length * (t - 0.4) / 0.6)
    away = 5.0 * smoothstep(0.25, 0.5, t) + 2.5 * falling
    width, depth, middle = (np.interp(y, _SHIRT[2:, 0], column) for column in _SHIRT[2:, 1:].T)
    return _woven(_around_neck(angle, y, width + away - 3.0, depth + away - 3.0, middle), (60.0, 8.0), closed=False)


def _around_neck(
    angle: np.ndarray, y: np.ndarray, width: np.ndarray, depth: np.ndarray, middle: np.ndarray
) -> np.ndarray:
    """Points (rows, columns, 3) on ellipses that are lower in front than at the nape; the angle 0 is in front."""
    dip = 15.0 * smoothstep(155.0, 115.0, y) * np.cos(angle)
    parts = np.broadcast_arrays(width * np.sin(angle), y + dip, middle - depth * np.cos(angle))
    return np.stack(parts, axis=-1)


def _woven(points: np.ndarray, repeat: tuple[float, float], closed: bool = True) -> Surface:
    """Quads between points (rows, columns, 3); ``closed`` joins the last column with the first."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    if closed:
        here, after = index, np.roll(index, -1, axis=1)
    else:
        here, after = index[:, :-1], index[:, 1:]
    faces = np.stack([here[:-1], after[:-1], after[1:], here[1:]], axis=-1).reshape(-1, 4)
    v, u = np.meshgrid(np.linspace(0, repeat[1], rows), np.linspace(0, repeat[0], columns), indexing="ij")
    return Surface(points.reshape(-1, 3), faces, np.stack([u, v], axis=-1).reshape(-1, 2))


def brows(head: Head, seed: int = 41) -> Strands:
    """Hairs that rise at the nose and lie flat towards the temples."""
    rng = np.random.default_rng(seed)
    skin = head.vertices_of("M_Face")
    tree = cKDTree(head.rest[skin][:, :2])
    roots, points, directions = [], [], []
    for curve in BROWS:
        line = head.rest[list(curve)]
        t = rng.uniform(0.0, 1.0, 300)
        along = np.stack([np.interp(t, np.linspace(0, 1, len(line)), line[:, k]) for k in range(3)], axis=1)
        thickness = np.interp(t, [0, 0.15, 0.6, 1.0], [2.6, 3.3, 2.3, 0.8])
        along[:, 1] += rng.normal(0.0, 0.55, len(t)) * thickness + 2.0
        outward = np.sign(line[-1, 0])
        rise = np.interp(t, [0, 0.25, 0.7, 1.0], [-1.0, -0.45, -0.05, 0.35]) + rng.normal(0, 0.12, len(t))
        lean = np.interp(t, [0, 0.25, 1.0], [0.35, 0.9, 1.0])
        direction = np.stack([outward * lean, rise, np.interp(t, [0, 1], [-0.15, 0.45])], axis=1)
        _, near = tree.query(along[:, :2])
        along[:, 2] = head.rest[skin[near], 2] + _slope(head, skin[near], along)
        roots.append(skin[near])
        points.append(along)
        directions.append(direction / np.linalg.norm(direction, axis=1)[:, None] * rng.uniform(4.5, 8.0, (len(t), 1)))
    return _ribbons(head, np.concatenate(roots), np.concatenate(points), np.concatenate(directions), 0.17, -0.7)


def _slope(head: Head, roots: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How much deeper than its root a point of the brow lies, from the local tilt of the forehead."""
    return 0.004 * (np.abs(points[:, 0]) - np.abs(head.rest[roots, 0])) * np.abs(points[:, 0])


def short_hair(head: Head, seed: int = 42) -> Strands:
    """Hairs on the scalp, the temples and the nape where the cap leaves them bare."""
    rng = np.random.default_rng(seed)
    skin = head.vertices_of("M_Face", "M_BackHead")
    p = head.rest[skin]
    hairy = skin[(cropped_hair(p) > 0.5) & (p[:, 1] > -85) & (p[:, 1] < 75)]
    roots = rng.choice(hairy, 3500)
    points = head.rest[roots] + rng.normal(0.0, 1.6, (len(roots), 3))
    away = head.rest[roots] - skull.CENTRE
    away /= np.linalg.norm(away, axis=1)[:, None]
    points += away * 0.2
    direction = np.array([0.0, 0.85, 0.35]) + 0.45 * away + rng.normal(0.0, 0.18, (len(roots), 3))
    direction *= rng.uniform(3.0, 6.5, (len(roots), 1))
    return _ribbons(head, roots, points, direction, 0.3, 0.0)


def _ribbons(
    head: Head, roots: np.ndarray, points: np.ndarray, lengths: np.ndarray, half_width: float, lift: float
) -> Strands:
    """Ribbons from ``points`` along ``lengths`` (N, 3), wide across the view, lifted by ``lift`` mm in z."""
    across = np.cross(lengths, [0.0, 0.0, 1.0])
    across *= half_width / np.linalg.norm(across, axis=1)[:, None]
    start = points - head.rest[roots] + [0.0, 0.0, lift]
    middle = start + 0.55 * lengths + [0.0, -0.25, 0.0]
    corners = [start - across, start + across, middle - 0.8 * across, middle + 0.8 * across, start + lengths]
    return Strands(roots, np.stack(corners, axis=1))
