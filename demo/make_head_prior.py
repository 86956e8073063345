"""Make the full-head prior of the library from ICT-FaceKit (MIT licence), which is not part of this project.

    python demo/make_head_prior.py --head PATH/ict_facekit.npz

Vertices of the skin that are closer than a few millimetres are merged, and the first identity shapes are kept.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.speaker.head import LIPS_OUTER, MILLIMETRES_FROM_ICT, triangulate

_SKIN = ("M_Face", "M_BackHead")
_CELL = 5.0
"""Side of the cells, in millimetres, whose vertices are merged."""
_IDENTITIES = 12
_LOWEST = 150.0
"""Millimetres below the ears at which the neck is cut off."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", type=Path, required=True, help="ict_facekit.npz")
    default = Path(__file__).resolve().parents[1] / "s2l_core/whole_head/head_prior.safetensors"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    with np.load(arguments.head, allow_pickle=False) as data:
        neutral = data["neutral"].astype(np.float64) * MILLIMETRES_FROM_ICT
        identity = data["identity"][:_IDENTITIES].astype(np.float64) * MILLIMETRES_FROM_ICT
        names = data["material_names"].tolist()
        triangles = triangulate(data["faces"][np.isin(data["material"], [names.index(name) for name in _SKIN])])
        eyes = [
            neutral[np.unique(data["faces"][data["material"] == names.index(f"M_Sclera{side}")])].mean(axis=0)
            for side in ("Right", "Left")
        ]

    # Merge vertices of each cell, and drop triangles that lose their area.
    triangles = triangles[(neutral[triangles][..., 1] < _LOWEST).all(axis=1)]
    used = np.unique(triangles)
    _, cell, size = np.unique(
        np.floor(neutral[used] / _CELL).astype(int), axis=0, return_inverse=True, return_counts=True
    )
    of_vertex = np.full(len(neutral), -1)
    of_vertex[used] = cell.ravel()

    def merge(vertices: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(size), 3))
        np.add.at(sums, cell.ravel(), vertices[used])
        return sums / size[:, None]

    merged = of_vertex[triangles]
    kept = (merged[:, 0] != merged[:, 1]) & (merged[:, 1] != merged[:, 2]) & (merged[:, 2] != merged[:, 0])
    _, first = np.unique(np.sort(merged[kept], axis=1), axis=0, return_index=True)
    mouth = neutral[[LIPS_OUTER[0], LIPS_OUTER[6]]].mean(axis=0)
    anchors = sorted(eyes, key=lambda eye: float(eye[0]))
    save_file(
        {
            "vertices": merge(neutral).astype(np.float16),
            "identity": np.stack([merge(each) for each in identity]).astype(np.float16),
            "triangles": merged[kept][np.sort(first)].astype(np.int32),
            "anchors": np.stack([*anchors, mouth]).astype(np.float32),
        },
        arguments.out,
        {"source": "ICT-FaceKit, MIT licence, Copyright (c) 2020 USC Institute for Creative Technologies"},
    )
    print(f"{len(size)} vertices, {int(kept.sum())} triangles, {arguments.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
