"""What is beyond the borders of a picture."""

from __future__ import annotations

import torch

from s2l_core.whole_head.beyond import ever_smoother, mirrored, sample_blurred


def striped(size: int = 64) -> torch.Tensor:
    """A picture (1, size, size) of black and white columns."""
    return (torch.arange(size) % 2).float().expand(1, size, size).contiguous()


def below(distance: float, size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels below a picture, and their distance to it."""
    columns = torch.arange(8.0, size - 8) + 0.5
    return torch.stack([columns, torch.full_like(columns, size + distance)], dim=-1), torch.full_like(columns, distance)


def test_at_the_border_the_picture_goes_on_as_it_is() -> None:
    found = sample_blurred(ever_smoother(striped()), *below(0.0))
    assert torch.allclose(found[0], (torch.arange(8, 56) % 2).float(), atol=1e-5)


def test_stripes_disappear_with_the_distance() -> None:
    levels = ever_smoother(striped())
    contrasts = [float(sample_blurred(levels, *below(distance)).std()) for distance in (0.0, 1.0, 4.0)]
    assert contrasts[0] > contrasts[1] > contrasts[2]
    assert contrasts[2] < 0.02


def test_brightness_stays_at_any_distance() -> None:
    levels = ever_smoother(torch.full((3, 60, 61), 0.3))
    for distance in (0.5, 10.0, 1e4):
        assert torch.allclose(sample_blurred(levels, *below(distance)), torch.tensor(0.3), atol=1e-5)


def test_levels_are_made_as_far_as_they_are_needed() -> None:
    some, everything = ever_smoother(striped(), 10.0), ever_smoother(striped())
    assert len(some) < len(everything)
    assert torch.equal(sample_blurred(some, *below(10.0)), sample_blurred(everything, *below(10.0)))


def test_a_picture_is_mirrored_any_number_of_times() -> None:
    pixels = torch.tensor([[-3.0, 5.0], [43.0, 5.0], [83.0, 5.0], [5.0, -25.0]])
    places, distance = mirrored(pixels, 40, 20)
    assert torch.allclose(places, torch.tensor([[3.0, 5.0], [37.0, 5.0], [3.0, 5.0], [5.0, 15.0]]))
    assert torch.allclose(distance, torch.tensor([3.0, 3.0, 43.0, 25.0]))
