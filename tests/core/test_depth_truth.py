"""The depth learnt from the embedded speaker, beside the depth that he was rendered from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.posing.depth import DepthTruth, depth_errors
from s2l_core.canonical.view import CanonicalFace, choose_canonical
from s2l_core.events import Report
from s2l_core.face.matte import open_matting
from s2l_core.footage import Footage, prepare
from s2l_core.geometry.mapping import observed_to_canonical, pixel_grid, sample
from s2l_core.jobs import Media
from s2l_core.training.head_depth import learn_depth

DEMO = Path(__file__).resolve().parents[2] / "demo"
SECONDS = 20.0


@pytest.fixture(scope="module")
def truth() -> DepthTruth:
    return DepthTruth.load(DEMO / "truth.npz", SECONDS)


@pytest.fixture(scope="module")
def footage() -> Footage:
    return prepare(Media(str(DEMO / "speaker.mp4"), 0.0, SECONDS))


@pytest.fixture(scope="module")
def faces(footage: Footage) -> tuple[CanonicalFace, CanonicalFace]:
    """As the landmarks have it, and learnt."""
    start = choose_canonical(footage, footage.track.found)
    return start, learn_depth(start, footage, footage.track.found, 90, open_matting(), Report())


def test_depth_is_close_to_the_truth_on_the_face_and_all_over_the_head(
    faces: tuple[CanonicalFace, CanonicalFace], footage: Footage, truth: DepthTruth
) -> None:
    start, learnt = faces
    after = depth_errors(learnt.head.view, start.head.mask, footage, truth)
    assert after.known > 0.97
    assert np.median(after.face) < 2
    assert np.median(after.head) < 5
    before = depth_errors(start.head.view, start.head.mask, footage, truth)
    assert np.quantile(after.head, 0.9) < np.quantile(before.head, 0.9)


def test_the_mask_holds_cap_and_ears_and_leaves_neck_and_wall(
    faces: tuple[CanonicalFace, CanonicalFace], footage: Footage, truth: DepthTruth
) -> None:
    _, learnt = faces
    poses = torch.tensor(footage.track.poses[truth.frames], dtype=torch.float32)
    masks = torch.from_numpy(truth.mask.astype(np.float32))[:, None]
    there = observed_to_canonical(masks, learnt.head.view, footage.track.intrinsics, poses).mean(dim=0)[0] > 0.5
    both, either = there & learnt.head.mask, there | learnt.head.mask
    assert both.sum() > 0.92 * either.sum()


def test_lips_surroundings_and_head_have_one_depth(faces: tuple[CanonicalFace, CanonicalFace]) -> None:
    start, learnt = faces
    for before, after in ((start.lips, learnt.lips), (start.surroundings, learnt.surroundings)):
        assert not torch.equal(before.depth, after.depth)
        scale = learnt.head.view.intrinsics.fx / after.intrinsics.fx
        pixels = pixel_grid(after.rectangle)[None] * scale
        head = sample(learnt.head.view.depth[None, None], pixels, learnt.head.view.rectangle)[0, 0]
        assert (head - after.depth).abs().median() < 1.0
