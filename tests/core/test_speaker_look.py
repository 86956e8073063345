"""Hair and clothes of the rendered speakers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from demo.speaker import skull
from demo.speaker.hair import Hair, parted_hair
from demo.speaker.head import Head, load_head
from demo.speaker.people import HAIRED
from demo.speaker.wear import collar, shirt

MODEL = Path(__file__).resolve().parents[3] / "shared/data/models/ict_facekit.npz"


@pytest.fixture(scope="module")
def head() -> Head:
    if not MODEL.is_file():
        warnings.warn(f"Skipped without {MODEL}", stacklevel=1)
        pytest.skip(f"needs {MODEL}")
    return load_head(MODEL, HAIRED.identity_seed)


def test_a_strand_is_a_ribbon_of_its_width_for_the_depth() -> None:
    downwards = np.stack([np.zeros(4), np.arange(4.0), np.zeros(4)], axis=1)
    vertices, triangles = Hair(downwards[None], np.array([0.4, 0.4, 0.3, 0.1])).ribbons()
    left, right = vertices.reshape(4, 2, 3).transpose(1, 0, 2)
    np.testing.assert_allclose(np.abs(right - left)[:, 0], [0.8, 0.8, 0.6, 0.2])
    np.testing.assert_allclose((left + right) / 2, downwards)
    assert len(triangles) == 6 and triangles.max() == len(vertices) - 1


def test_the_collar_is_open_at_the_throat_and_stands_around_the_nape() -> None:
    points = collar().vertices
    top = points[points[:, 1] < 95.0]
    assert np.abs(points[points[:, 2] < -40.0][:, 0]).min() > 3.0  # nothing in the middle in front
    assert top[:, 2].max() > 60.0 and np.abs(top[top[:, 2] > 60.0][:, 0]).min() < 1.5  # half a column
    assert shirt().vertices[:, 1].min() > points[:, 1].min()


def test_hair_grows_from_the_scalp_lies_outside_of_the_skull_and_leaves_the_ears_bare(head: Head) -> None:
    points = parted_hair(head).points
    outwards = points - skull.CENTRE
    distance = np.linalg.norm(outwards, axis=-1)
    above = distance - skull.skull_radius(head)(*skull.angles(outwards / distance[..., None]))
    assert above[:, 3:].min() > -8.0 and np.median(above[:, -1]) > 2.0
    x, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
    ear = (x > 84.0) & (z > -10.0) & (z < 30.0) & (y > -30.0) & (y < 25.0)
    assert ear.mean() < 1e-3
    forehead = (z < -80.0) & (y > -75.0)
    assert forehead.mean() < 1e-3
