"""Shapes of mouths that are comparable between people."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from s2l_core.face.layout import MESH468
from s2l_core.face.mesh_detector import MeshDetector
from s2l_core.face.mesh_models import bundled_models
from s2l_core.jobs import Media
from s2l_core.media.video import read_frames
from s2l_core.stills.lip_shape import LIPS, POINTS, lip_offsets, opening_of, without_overlap

from .conftest import CLIP

CHIN_DOWN = 6.0


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """Landmarks (468, 3) of the embedded speaker, in pixels."""
    frame = next(read_frames(Media(str(CLIP))))
    found = MeshDetector(bundled_models()).detect(frame.image)
    assert found is not None
    return found.points.astype(np.float64)


@pytest.fixture(scope="module")
def speaking(face: np.ndarray) -> np.ndarray:
    """Landmarks (40, 468, 3) of that face, whose lower lip and chin go down and up twice."""
    lower = np.concatenate([POINTS[11:20], POINTS[31:40], MESH468.chin])
    opening = CHIN_DOWN * np.clip(np.sin(np.linspace(0, 4 * np.pi, 40)), 0, None)
    frames = np.repeat(face[None], len(opening), axis=0)
    frames[:, lower, 1] += opening[:, None]
    return frames


def test_a_resting_mouth_has_no_offsets(face: np.ndarray) -> None:
    np.testing.assert_allclose(lip_offsets(np.repeat(face[None], 3, axis=0)), 0, atol=1e-6)


def test_a_lower_lip_moves_down_in_mouth_widths(face: np.ndarray, speaking: np.ndarray) -> None:
    offsets = lip_offsets(speaking)
    width = np.linalg.norm(face[291] - face[61])
    assert offsets.shape == (40, LIPS + 1, 2)
    assert opening_of(offsets).max() == pytest.approx(CHIN_DOWN / width, rel=0.1)
    assert np.abs(offsets[:, :11]).max() < 0.01 * CHIN_DOWN


@pytest.mark.parametrize(("size", "roll"), [(3.0, 0.0), (0.25, 0.0), (1.0, 30.0), (2.0, -80.0)])
def test_size_place_and_roll_of_the_face_do_not_matter(speaking: np.ndarray, size: float, roll: float) -> None:
    turned = size * speaking @ Rotation.from_euler("z", roll, degrees=True).as_matrix().T + [40.0, -7.0, 3.0]
    np.testing.assert_allclose(lip_offsets(turned), lip_offsets(speaking), atol=1e-5)


def test_motion_of_the_head_does_not_matter(speaking: np.ndarray) -> None:
    nods = Rotation.from_euler("yx", np.random.default_rng(1).uniform(-10, 10, (len(speaking), 2)), degrees=True)
    moved = np.einsum("fij,fpj->fpi", nods.as_matrix(), speaking) + np.arange(len(speaking))[:, None, None]
    np.testing.assert_allclose(lip_offsets(moved), lip_offsets(speaking), atol=2e-3)


def test_frames_without_a_face_have_no_offsets(speaking: np.ndarray) -> None:
    hidden = speaking.copy()
    hidden[5] = np.nan
    offsets = lip_offsets(hidden)
    assert np.isnan(offsets[5]).all()
    assert np.isfinite(np.delete(offsets, 5, axis=0)).all()


def test_nobody_has_no_lips() -> None:
    with pytest.raises(ValueError, match="no landmarks"):
        lip_offsets(np.full((2, 478, 3), np.nan))


def test_inner_lips_do_not_cross(speaking: np.ndarray) -> None:
    crossing = -lip_offsets(speaking)
    assert opening_of(crossing).min() < -0.05
    assert opening_of(without_overlap(crossing)).min() >= -1e-9
    np.testing.assert_allclose(without_overlap(lip_offsets(speaking)), lip_offsets(speaking), atol=2e-3)
