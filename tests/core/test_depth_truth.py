"""The depth learnt from the embedded speaker, beside the depth that he was rendered from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from s2l_core.canonical import CanonicalFace, choose_canonical
from s2l_core.events import Report
from s2l_core.footage import Footage, prepare
from s2l_core.geometry.mapping import canonical_from_observed, observed_to_canonical, pixel_grid, relative_pose, sample
from s2l_core.jobs import Media
from s2l_core.training.depth import learn_depth

DEMO = Path(__file__).resolve().parents[2] / "demo"
SECONDS = 20.0
Truth = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def truth() -> Truth:
    with np.load(DEMO / "truth.npz", allow_pickle=False) as data:
        within = data["octant_frame"] < SECONDS * data["frame_rate"]
        chosen = {name: data[name][within] for name in ("octant_frame", "depth", "mask")}
        return {**chosen, "focal": data["intrinsics"][0, 0]}


@pytest.fixture(scope="module")
def footage() -> Footage:
    return prepare(Media(str(DEMO / "speaker.mp4"), 0.0, SECONDS))


@pytest.fixture(scope="module")
def faces(footage: Footage) -> tuple[CanonicalFace, CanonicalFace]:
    """As the landmarks have it, and learnt."""
    start = choose_canonical(footage, footage.track.found)
    return start, learn_depth(start, footage, footage.track.found, 90, Report())


def errors(face: CanonicalFace, footage: Footage, truth: Truth, mesh: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Errors of depth in percent of the head's, of the pixels on the mesh and of those all over the head.

    One camera cannot tell how large a head is nor how far away, so size and distance are taken from the truth.
    """
    view, camera = face.head.view, footage.track.intrinsics
    on_face, on_head = [], []
    for frame, depth, mask in zip(truth["octant_frame"], truth["depth"], truth["mask"], strict=True):
        poses = torch.tensor(footage.track.poses[[frame]], dtype=torch.float32)
        there = canonical_from_observed(pixel_grid(camera.rectangle), view, camera, poses)
        layers = torch.stack([view.depth, mesh.float()])[None]
        canonical, known = sample(layers, there.pixels, view.rectangle, "border")[0]
        x, y = ((there.pixels[0] - torch.tensor([view.intrinsics.cx, view.intrinsics.cy])) / view.intrinsics.fx).unbind(
            -1
        )
        turn = relative_pose(poses, view.pose)[0, 2]
        observed = (canonical * (turn[0] * x + turn[1] * y + turn[2]) + turn[3]).numpy()
        seen = mask & there.valid[0].numpy()
        inner = seen & (known > 0.99).numpy()
        assert seen.sum() > 0.97 * mask.sum()
        size = (np.median(depth[inner]) / truth["focal"]) / (np.median(observed[inner]) / camera.fx)
        error = size * observed - depth
        error = 100 * np.abs(error - np.median(error[inner])) / np.ptp(depth[mask])
        on_face.append(error[inner])
        on_head.append(error[seen])
    return np.concatenate(on_face), np.concatenate(on_head)


def test_depth_is_close_to_the_truth_on_the_face_and_all_over_the_head(
    faces: tuple[CanonicalFace, CanonicalFace], footage: Footage, truth: Truth
) -> None:
    start, learnt = faces
    on_face, on_head = errors(learnt, footage, truth, start.head.mask)
    assert np.median(on_face) < 2
    assert np.median(on_head) < 5
    _, before = errors(start, footage, truth, start.head.mask)
    assert np.quantile(on_head, 0.9) < np.quantile(before, 0.9)


def test_the_mask_holds_cap_and_ears_and_leaves_neck_and_wall(
    faces: tuple[CanonicalFace, CanonicalFace], footage: Footage, truth: Truth
) -> None:
    _, learnt = faces
    poses = torch.tensor(footage.track.poses[truth["octant_frame"]], dtype=torch.float32)
    masks = torch.from_numpy(truth["mask"].astype(np.float32))[:, None]
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
