"""The canonical depth is learnt from parallax, on a scene whose depth is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from s2l_core.canonical.view import CanonicalHead
from s2l_core.geometry.camera import Intrinsics, Rectangle, make_pose
from s2l_core.geometry.mapping import CanonicalView, canonical_from_observed, pixel_grid, sample
from s2l_core.model.depth import CanonicalDepth, fit_depth, measure_confidence, photometric_error

CAMERA = Intrinsics.centred(240.0, 96, 96)
BOX = Rectangle(8, 8, 80, 80)
POSE = torch.tensor(make_pose([0.0, 0.0, 0.0], [0.0, 0.0, 700.0]), dtype=torch.float32)
TURNS = [(-0.15, 0.0), (0.15, 0.0), (0.0, -0.15), (0.0, 0.15), (-0.1, 0.1), (0.1, 0.1), (0.1, -0.1), (-0.1, -0.1)]
POSES = torch.tensor(
    [make_pose([pitch, yaw, 0.0], [0.0, 0.0, 700.0]).tolist() for pitch, yaw in TURNS], dtype=torch.float32
)


def bulge(height: float = 60.0) -> CanonicalView:
    """A round bulge on a plane."""
    middle = pixel_grid(BOX) - 48
    depth = 700 - height * torch.exp(-middle.square().sum(-1) / (2 * 18.0**2))
    return CanonicalView(depth, BOX, CAMERA, POSE)


def texture(blank_left: bool = False) -> Tensor:
    """Blotches (3, 96, 96); on wish none in the left half."""
    noise = torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(3))
    picture = (torch.nn.functional.interpolate(noise, (96, 96), mode="bicubic")[0] * 0.2 + 0.5).clamp(0, 1)
    if blank_left:
        picture[..., :40] = 0.5
    return picture


def film(view: CanonicalView, picture: Tensor) -> Tensor:
    """What the camera sees of a surface with a picture on it, at each of POSES."""
    there = canonical_from_observed(pixel_grid(CAMERA.rectangle), view, CAMERA, POSES, steps=6)
    return sample(picture[None], there.pixels, padding="border")


def fit(picture: Tensor, steps: int = 90, mesh: bool = False) -> CanonicalDepth:
    everywhere = torch.ones(BOX.height, BOX.width, dtype=torch.bool)
    head = CanonicalHead(bulge(0.0), everywhere, torch.zeros(BOX.height, BOX.width))
    trusted = everywhere if mesh else ~everywhere
    return fit_depth(head, picture, film(bulge(), picture), POSES, everywhere, trusted, steps)


@pytest.fixture(scope="module")
def learnt() -> CanonicalDepth:
    return fit(texture())


def test_depth_starts_as_the_mesh_has_it() -> None:
    depth = CanonicalDepth(bulge())
    assert torch.equal(depth(), bulge().depth)
    assert torch.equal(depth.refine(bulge()).depth, bulge().depth)


def test_a_bulge_is_found_from_parallax(learnt: CanonicalDepth) -> None:
    middle, corner = learnt()[30:50, 30:50], learnt()[:8, :8]
    assert 40 < (corner.mean() - middle.mean()).item() < 62
    assert (learnt() - bulge().depth).abs().median() < 4


def test_the_error_is_least_at_the_true_depth() -> None:
    picture = texture()
    frames = film(bulge(), picture)
    errors = [
        photometric_error(bulge(height).depth, bulge(), picture, frames, POSES)[30:50, 30:50].mean()
        for height in (60.0, 40.0, 80.0, -60.0)
    ]
    assert errors[0] == min(errors) and errors[3] > 2 * errors[0]


def test_a_trusted_mesh_gives_way_less_than_what_only_continues_it(learnt: CanonicalDepth) -> None:
    held = fit(texture(), mesh=True)
    assert held.residual().abs().mean() < 0.8 * learnt.residual().abs().mean()


def test_learning_twice_gives_the_same_depth() -> None:
    assert torch.equal(fit(texture(), steps=6)(), fit(texture(), steps=6)())


def test_confidence_asks_for_texture() -> None:
    picture = texture(blank_left=True)
    depth = CanonicalDepth(bulge())
    confidence = measure_confidence(depth, picture, film(bulge(), picture), POSES)
    assert confidence[:, :20].max() < 0.1 < confidence[:, 50:70].mean()
    assert confidence.min() >= 0 and confidence.max() <= 1


def test_gradients_of_rendered_frames_reach_the_depth_through_c2o() -> None:
    depth = CanonicalDepth(bulge())
    lips = bulge().crop(Rectangle(30, 40, 32, 24))
    pixels = pixel_grid(Rectangle(38, 46, 16, 12))
    there = canonical_from_observed(pixels, depth.refine(lips), CAMERA, POSES[:2])
    assert there.valid.all()
    sample(texture()[None], there.pixels).square().sum().backward()
    for grid in depth.grids:
        assert grid.grad is not None and grid.grad.abs().max() > 0


def test_another_resolution_is_refined_alike(learnt: CanonicalDepth) -> None:
    double = Intrinsics.centred(480.0, 192, 192)
    view = CanonicalView(torch.full((40, 60), 700.0), Rectangle(66, 80, 60, 40), double, POSE)
    fine = torch.nn.functional.avg_pool2d(learnt.refine(view).depth[None, None], 2)[0, 0]
    torch.testing.assert_close(fine, learnt()[32:52, 25:55], atol=0.3, rtol=0)
