"""Make the inside of the mouth that speaking pictures show, from ICT-FaceKit (MIT licence), which is not part of this
project.

    python demo/make_teeth.py --head PATH/ict_facekit.npz

Teeth, gums and tongue are drawn from the front, without perspective: one picture of what is fixed to the skull, and one
of what moves with the jaw, drawn with the jaw open and moved back to where it rests. Alpha is where there is something.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.speaker.head import LIPS_INNER, MILLIMETRES_FROM_ICT, triangulate

_WIDTH_MM, _ABOVE_MM, _BELOW_MM = 60.0, 16.0, 24.0
"""What the pictures show: the middle of their width, and the line between the closed lips, are the origin."""
_SCALE, _FINER = 8, 2
"""Pixels of the pictures per millimetre, and samples per pixel along each axis."""
_JAW_OPEN = 0.4
_LIGHT = np.array([0.0, -0.45, -1.0])
_TEETH, _GUMS, _TONGUE = (0.93, 0.91, 0.86), (0.66, 0.35, 0.33), (0.64, 0.33, 0.32)
_DARKENING_MM = 24.0
"""Depth behind the front teeth at which the light has fallen to a third."""
_DEEPEST_MM = 40.0
"""Depth behind the front teeth from which nothing is drawn."""
_GAP_MM, _CLOSED = 0.9, 0.7
"""Width of the gaps between the model's front teeth, and how far they are closed: in a mouth these teeth touch."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", type=Path, required=True, help="ict_facekit.npz")
    default = Path(__file__).resolve().parents[1] / "s2l_core/stills/teeth.png"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    with np.load(arguments.head, allow_pickle=False) as data:
        rest = data["neutral"].astype(np.float64) * MILLIMETRES_FROM_ICT
        jaw = data["expression"][data["expression_names"].tolist().index("jawOpen")] * MILLIMETRES_FROM_ICT
        names = data["material_names"].tolist()
        parts = {
            name: triangulate(data["faces"][data["material"] == names.index(name)])
            for name in ("M_Teeth", "M_GumsTongue")
        }
    origin = np.array([0.0, rest[list(LIPS_INNER), 1].mean(), 0.0])
    moves = np.linalg.norm(jaw, axis=1) > 0.5
    incisors = np.unique(parts["M_Teeth"][moves[parts["M_Teeth"]].all(axis=1)])
    incisors = incisors[rest[incisors, 2] < np.quantile(rest[incisors, 2], 0.1)]

    pictures = []
    for is_lower in (False, True):
        vertices = rest + is_lower * _JAW_OPEN * (jaw - jaw[incisors].mean(axis=0)) - origin
        pieces = []
        for name, triangles in parts.items():
            chosen = triangles[moves[triangles].any(axis=1) == is_lower]
            colour = _TEETH if name == "M_Teeth" else _TONGUE if is_lower else _GUMS
            pieces.append((chosen, np.array(colour)))
        pictures.append(_draw(vertices, pieces))
    cv2.imwrite(str(arguments.out), np.concatenate(pictures), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{pictures[0].shape[1]} x {pictures[0].shape[0]} pixels twice, {arguments.out.stat().st_size / 1e3:.0f} kB")


def _draw(vertices: np.ndarray, pieces: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """A picture (h, w, 4) BGRA of coloured triangles, of which the nearest is seen."""
    scale = _SCALE * _FINER
    width, height = (round(side * scale) for side in (_WIDTH_MM, _ABOVE_MM + _BELOW_MM))
    nearest, colours = np.full((height, width), _DEEPEST_MM), np.zeros((height, width, 3))
    front = min(vertices[triangles, 2].min() for triangles, _ in pieces)
    light = _LIGHT / np.linalg.norm(_LIGHT)
    for triangles, colour in pieces:
        facing = _vertex_normals(vertices, triangles) @ light
        for triangle in triangles:
            x, y = (vertices[triangle, :2] + [_WIDTH_MM / 2, _ABOVE_MM]).T * scale - 0.5
            left, top = (max(0, int(np.ceil(values.min()))) for values in (x, y))
            right, bottom = (min(side, int(np.floor(values.max())) + 1) for values, side in ((x, width), (y, height)))
            area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
            if left >= right or top >= bottom or abs(area) < 1e-9:
                continue
            column, row = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
            second = ((column - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (row - y[0])) / area
            third = ((x[1] - x[0]) * (row - y[0]) - (column - x[0]) * (y[1] - y[0])) / area
            weights = np.stack([1.0 - second - third, second, third], axis=-1)
            depth = weights @ (vertices[triangle, 2] - front)
            seen = (weights >= -1e-9).all(axis=-1) & (depth < nearest[top:bottom, left:right])
            light_here = np.clip(weights @ facing[triangle], 0.0, 1.0)
            shade = (0.35 + 0.65 * light_here) * np.exp(-np.maximum(depth, 0.0) / _DARKENING_MM)
            nearest[top:bottom, left:right][seen] = depth[seen]
            colours[top:bottom, left:right][seen] = shade[seen, None] * colour
    alpha = (nearest < _DEEPEST_MM).astype(np.float64)
    picture = np.concatenate([colours, alpha[..., None]], axis=2)
    across = np.ones((1, 2 * round(_GAP_MM * scale / 2) + 1), np.uint8)
    picture += _CLOSED * (cv2.morphologyEx(picture, cv2.MORPH_CLOSE, across) - picture)
    picture = cv2.resize(picture, (width // _FINER, height // _FINER), interpolation=cv2.INTER_AREA)
    picture[..., :3] /= np.maximum(picture[..., 3:], 1e-6)
    return (picture[..., [2, 1, 0, 3]] * 255).round().astype(np.uint8)


def _vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    corners = vertices[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(sums, triangles[:, corner], normals)
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)


if __name__ == "__main__":
    main()
