"""Textures of the head, painted in NumPy where each texel lies on the resting head.

Painting by position instead of by node networks keeps the render fast, has no seams between texture tiles and gives
the lips the exact border of the mesh.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage
from scipy.interpolate import splev, splprep
from scipy.spatial import cKDTree

from .complexion import Complexion
from .head import CHIN, LIPS_INNER, LIPS_OUTER, NOSE_TIP, Head

Painter = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Texture:
    """What a material shows in one unit tile of texture space; row 0 is the bottom.

    Attributes:
        colour: (S, S, 3) sRGB in [0, 1].
        surface: (S, S, 3) bump height, roughness and opacity, each in [0, 1].
    """

    colour: np.ndarray
    surface: np.ndarray


def paint(head: Head, part_names: tuple[str, ...], size: int, painter: Painter) -> Texture:
    """Paint parts that share one texture tile; ``painter`` gets resting positions (N, 3)."""
    covered, positions = _positions_in_texture(head, part_names, size)
    nearest = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
    colour, surface = (np.zeros((size, size, 3)) for _ in range(2))
    colour[covered], surface[covered] = painter(positions[covered])
    return Texture(np.clip(colour[tuple(nearest)], 0, 1), np.clip(surface[tuple(nearest)], 0, 1))


def _positions_in_texture(head: Head, part_names: tuple[str, ...], size: int) -> tuple[np.ndarray, np.ndarray]:
    chosen = head.faces_of(*part_names)
    corner_uv, corner_vertex = head.face_uv[chosen], head.faces[chosen]
    covered, positions = np.zeros((size, size), bool), np.zeros((size, size, 3))
    for corners in ([0, 1, 2], [0, 2, 3]):
        present = (corner_vertex[:, corners] >= 0).all(axis=1)
        triangles = np.mod(head.uv[corner_uv[present][:, corners]], 1.0) * size
        for (a, b, c), vertices in zip(triangles, head.rest[corner_vertex[present][:, corners]], strict=True):
            low = np.floor(np.minimum(np.minimum(a, b), c)).astype(int) - 1
            high = np.ceil(np.maximum(np.maximum(a, b), c)).astype(int) + 1
            low, high = np.clip(low, 0, size), np.clip(high, 0, size)
            area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
            if abs(area) < 1e-9:
                continue
            x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
            wb = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
            wc = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
            inside = (wb >= -0.05) & (wc >= -0.05) & (wb + wc <= 1.05)
            weights = np.stack([1 - wb - wc, wb, wc], axis=-1)[inside]
            rows, columns = np.nonzero(inside)
            positions[rows + low[1], columns + low[0]] = weights @ vertices
            covered[rows + low[1], columns + low[0]] = True
    return covered, positions


def noise(positions: np.ndarray, wavelength: float, seed: int) -> np.ndarray:
    """Smooth noise (N,) with zero mean and unit deviation over positions (N, 3), both in mm."""
    grid = np.random.default_rng(seed).normal(size=(32, 32, 32))
    value = ndimage.map_coordinates(grid, (positions / wavelength).T, order=1, mode="grid-wrap")
    return value / 0.55


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def skin_painter(head: Head, complexion: Complexion) -> Painter:
    """Skin with blush, pores, freckles, stubble, lips and the cropped hair at the temples and the nape."""
    outer = head.rest[list(LIPS_OUTER)]
    mouth = head.rest[list(LIPS_INNER)].mean(axis=0)
    chin, nose_tip = head.rest[CHIN], head.rest[NOSE_TIP]
    freckles, bag = _freckles(nose_tip), _mouth_bag(head)

    def painter(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y, z = p.T
        side = np.abs(x)
        mottle = 0.6 * noise(p, 22.0, 1) + 0.5 * noise(p, 9.0, 2) + 0.35 * noise(p, 3.0, 3)
        fine = noise(p, 1.1, 4)

        colour = np.empty((len(p), 3))
        colour[:] = (0.835, 0.635, 0.53)
        blush = (
            0.8 * _blob(p, (44.0, nose_tip[1] + 4, -78.0), 21.0)
            + 0.6 * _blob(p, tuple(nose_tip), 15.0)
            + 0.5 * _blob(p, tuple(chin), 14.0)
            + 0.7 * smoothstep(70.0, 80.0, side) * smoothstep(30.0, 0.0, z)
        )
        under_eye = _blob(p, (30.0, nose_tip[1] - 24.0, -88.0), 10.0)
        colour += mottle[:, None] * np.array([0.012, 0.016, 0.016]) + fine[:, None] * 0.008
        colour += blush[:, None] * np.array([0.01, -0.085, -0.075])
        colour += under_eye[:, None] * np.array([-0.07, -0.075, -0.045])
        colour[:, 0] += 0.012 * noise(p, 14.0, 5)
        colour -= freckles(p)[:, None] * np.array([0.12, 0.15, 0.15])

        height = 0.5 + 0.07 * fine + 0.08 * noise(p, 2.2, 6)
        roughness = 0.52 - 0.07 * _blob(p, tuple(nose_tip), 22.0) - 0.05 * smoothstep(-60.0, -80.0, y) + 0.03 * mottle

        lip = 1.0 - smoothstep(-1.3, 0.6, _distance_to_polygon(p[:, :2], outer[:, :2]))
        lip *= smoothstep(mouth[2] + 45.0, mouth[2] + 30.0, z)
        bearded = _stubble(p, mouth, chin) * (1.0 - lip)
        stubble = complexion.stubble * bearded
        dots = smoothstep(0.2, 1.6, noise(p, 0.75, 7))
        colour -= stubble[:, None] * (np.array([0.10, 0.075, 0.045]) + dots[:, None] * 0.09)
        height += stubble * 0.06 * dots
        roughness += 0.08 * stubble

        cropped = cropped_hair(p)
        strands = np.clip(0.5 + 0.3 * noise(p * np.array([1.0, 0.35, 0.35]), 0.9, 8), 0, 1)
        hair = np.array([0.13, 0.085, 0.06]) * (0.7 + 0.8 * strands[:, None])
        colour += cropped[:, None] * (hair - colour)

        creases = np.clip(noise(p * np.array([1.0, 0.12, 0.12]), 0.9, 19), -1.5, 1.5)
        lip_colour = np.array([0.72, 0.40, 0.375]) + creases[:, None] * 0.018 + mottle[:, None] * 0.012
        lip_colour -= smoothstep(mouth[2] + 4.0, mouth[2] + 14.0, z)[:, None] * np.array([0.3, 0.25, 0.23])
        colour += lip[:, None] * (lip_colour - colour)
        height += lip * (0.05 * creases)
        roughness += lip * (0.34 - roughness)

        colour = complexion.tint(colour, lip, smoothstep(0.15, 0.6, bearded) * (0.75 + 0.25 * dots))
        colour *= 1.0 - 0.75 * bag(p)[:, None]
        return colour, np.stack([height, roughness, np.ones(len(p))], axis=1)

    return painter


def _mouth_bag(head: Head) -> Callable[[np.ndarray], np.ndarray]:
    """1 on the bag of the mouth, which hangs behind the skin around the lips, 0 on the outer skin."""
    skin = head.rest[head.vertices_of("M_Face")]
    mouth = head.rest[list(LIPS_INNER)].mean(axis=0)
    near = np.abs(skin - mouth)[:, :2]
    around = skin[(near[:, 0] < 40) & (near[:, 1] < 40)]
    tree = cKDTree(around[:, :2])
    front = np.array([around[i, 2].min() for i in tree.query_ball_point(around[:, :2], 5.0)])

    def depth_behind_skin(p: np.ndarray) -> np.ndarray:
        behind = p[:, 2] - front[tree.query(p[:, :2])[1]]
        region = (np.abs(p[:, 0] - mouth[0]) < 34) & (p[:, 1] > mouth[1] - 22) & (p[:, 1] < mouth[1] + 32)
        return region * smoothstep(9.0, 16.0, behind)

    return depth_behind_skin


def _blob(p: np.ndarray, centre: tuple[float, ...], radius: float) -> np.ndarray:
    """A soft ball (N,) about a centre, and about its mirror image where it does not lie in the middle."""
    side = np.abs(p[:, :1]) if centre[0] > 5.0 else p[:, :1]
    offset = np.concatenate([side, p[:, 1:]], axis=1) - np.asarray(centre)
    return np.exp(-0.5 * (offset**2).sum(axis=1) / (radius / 1.5) ** 2)


def _freckles(nose_tip: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Density (N,) of freckles across nose and cheeks."""
    rng = np.random.default_rng(11)
    scale, half = 6.0, 90.0
    dots = np.zeros((int(2 * half * scale), int(2 * half * scale)))
    x, y = rng.normal(0, 34, 130), nose_tip[1] - 2 + rng.normal(0, 11, 130)
    rows, columns = (((np.clip(v, -half + 1, half - 1)) + half) * scale for v in (y, x))
    dots[rows.astype(int), columns.astype(int)] = rng.uniform(0.2, 0.8, 130)
    density = 110.0 * ndimage.gaussian_filter(dots, 0.7 * scale)

    def density_at(p: np.ndarray) -> np.ndarray:
        pixels = (p[:, [1, 0]].T + half) * scale
        return (p[:, 2] < -30) * np.minimum(ndimage.map_coordinates(density, pixels, order=1), 1.0)

    return density_at


def _distance_to_polygon(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Signed distance (N,) from points (N, 2) to a closed polygon, rounded by a spline; negative inside."""
    closed = np.concatenate([polygon, polygon[:1]])
    spline, _ = splprep(closed.T, s=0.0, per=True)
    scale, low = 12.0, polygon.min(axis=0) - 12.0
    outline = (np.stack(splev(np.linspace(0, 1, 400), spline), axis=1) - low) * scale
    width, height = (np.ceil((np.ptp(polygon, axis=0) + 24.0) * scale)).astype(int)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [outline.round().astype(np.int32)], (1,))
    distance = ndimage.distance_transform_edt(inside == 0) - ndimage.distance_transform_edt(inside)
    pixels = ((points - low) * scale).T[::-1]
    return ndimage.map_coordinates(distance, pixels, order=1, mode="nearest") / scale


def _stubble(p: np.ndarray, mouth: np.ndarray, chin: np.ndarray) -> np.ndarray:
    """Density of the beard's shadow: jaw, chin and upper lip, fading to the cheeks and down the neck."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    cheek_line = np.interp(x, [0, 12, 30, 50, 66, 80], np.array([-17, -15, -6, -14, -40, -60]) + mouth[1])
    below = smoothstep(-5.0, 6.0, y - cheek_line)
    neck = smoothstep(chin[1] + 40.0, chin[1] + 12.0, y)
    front = smoothstep(-10.0, -32.0, z)
    patch = 0.8 + 0.2 * noise(p, 8.0, 12)
    return 0.85 * below * neck * front * patch


def cropped_hair(p: np.ndarray) -> np.ndarray:
    """Density of the short hair: the scalp, sideburns before the ears, the nape."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    rough = 2.5 * noise(p, 4.0, 13)
    hairline = np.interp(z, [-110, -70, -45, -36, -22, 10, 60], [-125, -100, -74, -30, -8, 6, 50])
    above = smoothstep(3.0, -3.0, y - hairline + rough)
    ear = (
        smoothstep(74.0, 79.0, x)
        * smoothstep(-18.0, -12.0, z)
        * smoothstep(40.0, 34.0, z)
        * smoothstep(-45.0, -38.0, y)
    )
    return above * (1.0 - ear)


def teeth_painter(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    colour = np.array([0.90, 0.86, 0.77]) + 0.015 * noise(p, 2.0, 21)[:, None]
    colour *= 1.0 - 0.45 * smoothstep(-88.0, -55.0, p[:, 2])[:, None]
    return colour, np.stack([np.full(len(p), 0.5), np.full(len(p), 0.22), np.ones(len(p))], axis=1)


def gums_painter(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    colour = np.array([0.78, 0.47, 0.46]) + 0.03 * noise(p, 2.5, 22)[:, None]
    colour *= 1.0 - 0.9 * smoothstep(-90.0, -45.0, p[:, 2])[:, None]
    return colour, np.stack([0.5 + 0.15 * noise(p, 1.4, 23), np.full(len(p), 0.3), np.ones(len(p))], axis=1)


def eye_painter(centre: np.ndarray) -> Painter:
    """A brown-green iris with fibres, a dark rim and a white that reddens to its corners."""

    def painter(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y, z = (p - centre).T
        angle = np.degrees(np.arctan2(np.hypot(x, y), -z))
        around = np.arctan2(y, x)
        fibres = 0.5 * np.sin(around * 37 + 2.2 * np.sin(around * 5)) + 0.5 * np.sin(around * 61 + 1.0)
        white = np.array([0.88, 0.85, 0.82]) - smoothstep(24.0, 60.0, angle)[:, None] * np.array([0.12, 0.25, 0.24])
        iris = np.array([0.33, 0.26, 0.13]) * (1.0 + 0.25 * fibres[:, None])
        iris = iris + smoothstep(12.0, 17.0, angle)[:, None] * np.array([-0.05, 0.02, 0.04])
        iris *= 1.0 - 0.75 * smoothstep(18.5, 23.0, angle)[:, None]
        colour = iris + smoothstep(22.0, 24.5, angle)[:, None] * (white - iris)
        colour *= smoothstep(8.0, 9.2, angle)[:, None]
        return colour, np.stack([np.full(len(p), 0.5), np.full(len(p), 0.06), np.ones(len(p))], axis=1)

    return painter


def lash_painter(head: Head) -> Painter:
    """Dark hairs on the upper lids that thin out to their tips."""
    lids = cKDTree(head.rest[head.vertices_of("M_Face")])
    lid_line = head.eye_centre("Left")[1] + 2.0

    def painter(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        towards_tip = np.clip(lids.query(p)[0] / 8.0, 0.0, 1.0)
        comb = 0.75 + 0.25 * np.sin(p[:, 0] * 5.5 + 1.5 * np.sin(p[:, 0] * 1.7))
        opacity = 0.4 * comb * (1.0 - towards_tip) ** 1.5 * (p[:, 1] < lid_line)  # the three layers add up
        dark = np.full((len(p), 3), 0.13)
        return dark, np.stack([np.full(len(p), 0.5), np.full(len(p), 0.6), opacity], axis=1)

    return painter
