"""Learning to paint what a turned head uncovers."""

from __future__ import annotations

import pytest
import torch

from s2l_core.canonical.view import CanonicalHead
from s2l_core.events import Report
from s2l_core.face.matte import open_matting
from s2l_core.footage import Footage, prepare
from s2l_core.model.blend import BlendNet, blend_padded
from s2l_core.model.speaker import SpeakerModel
from s2l_core.training.head_depth import spread_frames
from s2l_core.training.holes import Example, find_holes, learn_holes
from s2l_core.whole_head.surface import HeadSurface
from s2l_core.whole_head.texture import gather_texture, observe

from .conftest import EmbeddedHead


@pytest.fixture(scope="module")
def footage(embedded_head: EmbeddedHead) -> Footage:
    return prepare(embedded_head.footage)


@pytest.fixture(scope="module")
def head(embedded_head: EmbeddedHead) -> CanonicalHead:
    return SpeakerModel.load(embedded_head.speaker_path).face.head


@pytest.fixture(scope="module")
def surface(head: CanonicalHead, footage: Footage) -> HeadSurface:
    surface = HeadSurface(head)
    gather_texture(surface, observe(surface, footage, open_matting()))
    return surface


@pytest.fixture(scope="module")
def examples(surface: HeadSurface, footage: Footage) -> list[Example]:
    return list(find_holes(surface, footage, spread_frames(footage, footage.track.found, 2), Report()).values())


def test_an_example_does_not_depend_on_the_others(
    surface: HeadSurface, footage: Footage, examples: list[Example]
) -> None:
    some = find_holes(surface, footage, spread_frames(footage, footage.track.found, 2), Report(), numbers={6})
    assert list(some) == [6]
    assert all(torch.equal(one, other) for one, other in zip(some[6], examples[6], strict=True))


def test_holes_show_the_heads_mean_colours_and_the_rest_is_the_frame(examples: list[Example]) -> None:
    for merged, holes, truth in examples:
        shown = (holes == 0) & ((merged - truth).abs().amax(dim=1, keepdim=True) < 1e-6)
        assert shown.float().mean() > 0.3
    assert any((holes > 0.5).sum() > 20 for _, holes, _ in examples)


def test_what_is_no_hole_stays_as_it_is() -> None:
    torch.manual_seed(0)
    blend = BlendNet()
    torch.nn.init.normal_(blend.residual.weight)
    merged, holes = torch.rand(1, 3, 37, 50), torch.zeros(1, 1, 37, 50)
    holes[..., 10:20, 10:20] = 1.0
    painted = blend_padded(blend, merged, holes)
    assert painted.shape == merged.shape
    assert torch.equal(painted[..., 20:, :], merged[..., 20:, :])
    assert not torch.equal(painted[..., 10:20, 10:20], merged[..., 10:20, 10:20])


def test_learning_brings_holes_nearer_to_the_truth(
    head: CanonicalHead, footage: Footage, examples: list[Example]
) -> None:
    torch.manual_seed(0)
    blend = BlendNet()

    def error() -> float:
        with torch.no_grad():
            errors = [((blend_padded(blend, *each[:2]) - each.truth).square() * each.holes).sum() for each in examples]
        return float(torch.stack(errors).sum())

    before = error()
    learn_holes(blend, head, footage, footage.track.found, 25, open_matting(), Report())
    assert error() < before
