"""Soft mask, pasting and Blend-Net."""

from __future__ import annotations

import torch

from s2l_core.canonical.compositing import Placement, paste, soft_mask
from s2l_core.geometry.camera import Intrinsics, Rectangle
from s2l_core.geometry.mapping import CanonicalView
from s2l_core.model.blend import BlendNet, with_random_holes

RECTANGLE = Rectangle(10, 20, 16, 8)
VIEW = CanonicalView(torch.full((8, 16), 500.0), RECTANGLE, Intrinsics.centred(500.0, 64, 64), torch.eye(4))


def placement() -> Placement:
    """The canonical view itself, from pixel (8, 16) on, 24x16 pixels."""
    x, y = torch.arange(24) + 8.5, torch.arange(16) + 16.5
    pixels = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None]
    mask = torch.zeros(1, 1, 16, 24)
    mask[0, 0, 4:12, 2:18] = soft_mask(8, 16)
    return Placement(pixels, mask)


def test_the_mask_is_whole_in_the_middle_and_zero_at_the_border() -> None:
    mask = soft_mask(40, 60)
    assert mask[20, 30] == 1.0
    assert mask.min() == 0.0 == mask[0].max() == mask[:, 0].max() == mask[-1].max()
    assert torch.allclose(mask, mask.flip(0)) and torch.allclose(mask, mask.flip(1))


def test_pixels_outside_of_the_mask_stay_as_they_are_bit_for_bit() -> None:
    torch.manual_seed(0)
    regions, lips, place = torch.rand(1, 3, 16, 24), torch.rand(1, 3, 8, 16), placement()
    pasted = paste(lips, regions, place, VIEW)
    outside = (place.mask == 0).expand_as(regions)
    assert torch.equal(pasted[outside], regions[outside])
    assert not torch.equal(pasted, regions)


def test_lips_land_in_their_rectangle_at_any_resolution() -> None:
    regions, place = torch.zeros(1, 3, 16, 24), placement()
    ramp = torch.linspace(0, 1, 32)[None, None, None].expand(1, 3, 16, 32)
    coarse = torch.nn.functional.avg_pool2d(ramp, 2)
    fine, plain = paste(ramp, regions, place, VIEW), paste(coarse, regions, place, VIEW)
    whole = (place.mask == 1).expand_as(fine)
    assert whole.any()
    assert torch.allclose(fine[whole], plain[whole], atol=0.02)
    assert torch.allclose(plain[0, 0, 8, 6:14], coarse[0, 0, 4, 4:12], atol=1e-5)


def test_an_untrained_blend_net_changes_nothing() -> None:
    merged = torch.rand(2, 3, 32, 40)
    assert torch.equal(BlendNet()(merged, torch.ones(2, 1, 32, 40)), merged)


def test_the_residual_stays_inside_of_the_mask() -> None:
    torch.manual_seed(0)
    blend = BlendNet()
    torch.nn.init.normal_(blend.residual.weight)
    merged, mask = torch.rand(1, 3, 32, 40), torch.zeros(1, 1, 32, 40)
    mask[..., 8:24, 10:30] = 1.0
    blended = blend(merged, mask)
    assert torch.equal(blended[..., :8, :], merged[..., :8, :])
    assert not torch.equal(blended[..., 8:24, 10:30], merged[..., 8:24, 10:30])


def ellipse(height: int, width: int) -> torch.Tensor:
    """A mask that falls from one in the middle to zero, (1, 1, height, width)."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    return (2 - 2 * (x.square() + y.square())).clamp(0, 1)[None, None]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_half_of_the_pictures_get_black_holes_and_the_rest_of_them_stays() -> None:
    merged, mask = 0.1 + torch.rand(400, 3, 32, 40), ellipse(32, 40)
    holed = with_random_holes(merged, mask.expand(400, -1, -1, -1), seeded())
    black = (holed == 0).all(dim=1, keepdim=True)
    assert torch.equal(holed, merged.masked_fill(black, 0.0))
    pictures = black.flatten(1).any(dim=1).float()
    assert 0.4 < float(pictures.mean()) < 0.6
    assert 0.02 < float(black.float().mean() / mask.mean() / pictures.mean()) < 0.3
    assert not (black & (mask < 0.5)).any()


def test_black_holes_never_show_the_mouth_of_the_driven_frame() -> None:
    lips, place = torch.rand(1, 3, 8, 16), placement()
    frame = torch.rand(1, 3, 16, 24)
    other_mouth = torch.where(place.mask == 1, torch.rand(1, 3, 16, 24), frame)
    for seed in range(20):
        seen, other = (
            with_random_holes(paste(lips, region, place, VIEW), place.mask, seeded(seed))
            for region in (frame, other_mouth)
        )
        assert torch.equal(seen, other)


def test_a_hole_is_closed_from_around_before_anything_is_learnt() -> None:
    skin = torch.tensor([0.7, 0.5, 0.4])[None, :, None, None].expand(1, 3, 32, 40)
    mask = torch.ones(1, 1, 32, 40)
    holed = skin.clone()
    holed[..., 10:14, 5:30] = 0.0
    assert torch.allclose(BlendNet()(holed, mask), skin, atol=1e-6)
    assert torch.equal(BlendNet()(holed, torch.zeros_like(mask)), holed), "a black part of the frame stays"


def test_black_holes_are_the_same_for_the_same_seed_only() -> None:
    merged, mask = torch.rand(8, 3, 32, 40), torch.ones(8, 1, 32, 40)
    assert torch.equal(with_random_holes(merged, mask, seeded(1)), with_random_holes(merged, mask, seeded(1)))
    assert not torch.equal(with_random_holes(merged, mask, seeded(1)), with_random_holes(merged, mask, seeded(2)))
