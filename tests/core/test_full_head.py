"""The full-head model fitted to landmarks, and the depth of a head that it completes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from s2l_core.canonical.head_outline import head_in_matte, jaw_line
from s2l_core.canonical.view import CanonicalHead, choose_canonical
from s2l_core.face.mesh import rasterise_depth
from s2l_core.footage import Footage, prepare
from s2l_core.geometry.camera import transform
from s2l_core.whole_head.full_head import FullHead, complete_head, fit_full_head

from .conftest import EmbeddedHead


@pytest.fixture(scope="module")
def footage(embedded_head: EmbeddedHead) -> Footage:
    return prepare(embedded_head.footage)


@pytest.fixture(scope="module")
def full(footage: Footage) -> FullHead:
    return fit_full_head(footage.track.shape, footage.layout)


@pytest.fixture(scope="module")
def start(footage: Footage) -> CanonicalHead:
    return choose_canonical(footage, footage.track.found).head


def with_hair(start: CanonicalHead, full: FullHead, thickness: int) -> np.ndarray:
    """A matte of the model, with hair that stands out by some pixels."""
    view = start.view
    placed = transform(full.vertices, view.pose.double().numpy())
    bald = rasterise_depth(placed, full.triangles, view.intrinsics, view.rectangle) > 0
    return cv2.dilate(bald.astype(np.float32), np.ones((2 * thickness + 1, 2 * thickness + 1)))


def test_the_model_lies_on_the_landmarks(full: FullHead, footage: Footage) -> None:
    distance, _ = KDTree(full.vertices).query(footage.track.shape)
    assert np.median(distance) < 4.0


def test_the_model_has_ears_beside_the_face_and_a_skull_behind_it(full: FullHead, footage: Footage) -> None:
    shape = footage.track.shape
    assert full.vertices[:, 0].min() < shape[:, 0].min() - 5
    assert full.vertices[:, 0].max() > shape[:, 0].max() + 5
    assert full.vertices[:, 2].max() > shape[:, 2].max() + 80
    assert full.vertices[:, 1].min() < shape[:, 1].min() - 20


def test_a_shape_that_is_moved_turned_and_larger_gets_the_same_head(full: FullHead, footage: Footage) -> None:
    rotation = Rotation.from_euler("xyz", [4, -6, 3], degrees=True).as_matrix()
    moved = 1.1 * footage.track.shape @ rotation.T + [3.0, -8.0, 12.0]
    expected = 1.1 * full.vertices @ rotation.T + [3.0, -8.0, 12.0]
    found = fit_full_head(moved, footage.layout).vertices
    assert np.median(np.linalg.norm(found - expected, axis=-1)) < 2.5


def test_the_outline_is_that_of_the_matte_above_the_jaw(start: CanonicalHead, footage: Footage) -> None:
    mesh = start.mask.numpy()
    jaw = jaw_line(mesh, start.view, footage.track.shape, footage.layout)
    mask = head_in_matte(np.ones(mesh.shape, np.float32), mesh, jaw)
    rows = np.arange(len(mask))[:, None]
    assert mask[(rows < jaw - 4) & (rows > 4)].mean() > 0.99
    assert not mask[rows > jaw + 4 * np.ones(mask.shape[1])].any()
    assert mask[mesh].all()


@pytest.mark.parametrize("thickness", [0, 5, 12])
def test_the_outline_is_about_as_deep_as_the_ears_however_much_hair_there_is(
    start: CanonicalHead, footage: Footage, full: FullHead, thickness: int
) -> None:
    head = complete_head(start, footage, with_hair(start, full, thickness))
    mask, depth = head.mask.numpy(), head.view.depth.numpy()
    inner = np.asarray(torch.nn.functional.max_pool2d(-head.mask.float()[None, None], 5, 1, 2)[0, 0]) < 0
    placed = transform(full.vertices, head.view.pose.double().numpy())
    ears = placed[np.abs(full.vertices[:, 0] - full.vertices[:, 0].mean()) > 70, 2]
    rim = depth[mask & ~inner]
    upper = np.arange(len(mask))[:, None].repeat(mask.shape[1], 1)[mask & ~inner] < 0.5 * len(mask)
    assert np.median(rim[upper]) == pytest.approx(np.median(ears), abs=60)  # the depth is smoothed
    assert np.median(rim[upper]) > np.median(depth[start.mask.numpy()]) + 40
    assert np.isfinite(depth).all()
    assert np.abs(np.diff(depth, axis=1))[mask[:, 1:] & mask[:, :-1]].max() < 30


def test_the_face_keeps_the_depth_of_its_landmarks(start: CanonicalHead, footage: Footage, full: FullHead) -> None:
    head = complete_head(start, footage, with_hair(start, full, 3))
    deep = np.asarray(torch.nn.functional.max_pool2d(-start.mask.float()[None, None], 21, 1, 10)[0, 0]) < 0
    np.testing.assert_allclose(head.view.depth.numpy()[deep], start.view.depth.numpy()[deep], atol=1e-3)
