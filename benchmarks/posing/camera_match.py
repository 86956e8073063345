"""How closely Blender's matched camera shows the mesh of a head where the footage's camera does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2l_core.footage import Footage
from s2l_core.geometry.axes import MILLIMETRES
from s2l_core.geometry.camera import project

ROOT = Path(__file__).resolve().parents[2]
FLIP = np.array([1.0, -1.0, -1.0]) * MILLIMETRES
"""Factors from Blender's axes and metres to the library's axes and millimetres."""
WIDTH = 512
"""Width in pixels of the picture to which distances refer."""


def match_errors(speaker: Path, footage: Footage) -> NDArray[np.float64]:
    """Distances (n, V) between the projections of all vertices in all tracked frames by Blender and by the tracked pose
    and camera, in pixels of a picture :data:`WIDTH` wide.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.npz"
        clip = shutil.copy(footage.media.path, folder)  # the add-on writes beside it
        subprocess.run([sys.executable, ROOT / "build.py", "zip"], check=True, stdout=subprocess.DEVNULL)
        (extension,) = (ROOT / "dist").glob("*.zip")
        subprocess.run(
            [sys.executable, "-m", "benchmarks.posing.match_in_blender", extension, speaker.absolute(), clip, result],
            check=True,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "BLENDER_USER_RESOURCES": folder},
        )
        with np.load(result, allow_pickle=False) as data:
            vertices, frames, matrices = (data[name] for name in ("vertices", "frames", "pixels_from_mesh"))
    camera = footage.track.intrinsics
    points = vertices * FLIP
    errors = []
    for frame, matrix in zip(frames, matrices, strict=True):
        homogeneous = vertices @ matrix[:, :3].T + matrix[:, 3]
        seen = homogeneous[:, :2] / homogeneous[:, 2:]
        expected = project(points, footage.track.poses[frame], camera)
        errors.append(np.linalg.norm(seen - expected, axis=1) * WIDTH / camera.width)
    return np.stack(errors)
