"""The implicit lip model and its continuous sampling."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_core.model.lip.base import corner_weights
from s2l_core.model.lip.grids import GridLipModel, TimeCode


@pytest.fixture
def lip() -> GridLipModel:
    torch.manual_seed(0)
    model = GridLipModel(width=12, height=8, size=5)
    torch.nn.init.normal_(model.base)
    torch.nn.init.normal_(model.basis)
    return model


def linear_lip() -> GridLipModel:
    """A model whose colour is (u, v, u + v) for every code."""
    model = GridLipModel(width=6, height=4, size=2)
    v, u = torch.meshgrid(torch.linspace(0, 1, 5), torch.linspace(0, 1, 7), indexing="ij")
    with torch.no_grad():
        model.base.copy_(torch.stack([u, v, u + v])[None])
    return model


unit = st.floats(0.01, 0.99)


@given(x=unit, y=unit)
@settings(max_examples=50, deadline=None)
def test_corner_weights_sum_to_one_and_balance_at_the_point(x: float, y: float) -> None:
    point = torch.tensor([[x, y]], dtype=torch.float64)
    area = torch.tensor([[0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
    corners, weights = corner_weights(point, area)
    assert float(weights.sum()) == pytest.approx(1.0)
    assert torch.allclose((corners * weights[..., None]).sum(dim=1), point)


@given(left=st.floats(0, 0.4), top=st.floats(0, 0.4), width=st.floats(0.1, 0.6), height=st.floats(0.1, 0.6), at=unit)
@settings(max_examples=50, deadline=None)
def test_a_linear_field_is_reproduced_exactly_by_rectangles_of_any_shape(
    left: float, top: float, width: float, height: float, at: float
) -> None:
    point = torch.tensor([[left + at * width, top + at * height]])
    area = torch.tensor([[left, top, left + width, top + height]])
    colour = linear_lip().area_colour(point, area, torch.zeros(1, 2))[0, 0]
    x, y = point[0].tolist()
    assert colour.tolist() == pytest.approx([x, y, x + y], abs=1e-5)


@pytest.mark.parametrize("scale", [1, 2])
def test_the_shared_lattice_equals_four_corners_for_every_pixel(lip: GridLipModel, scale: int) -> None:
    code = torch.randn(3, 5)
    picture = lip.pixel_painter(scale)(code)
    height, width = 8 * scale, 12 * scale
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = torch.stack([x, y], dim=-1).reshape(-1, 2) / torch.tensor([width, height])
    size = 1 / torch.tensor([width, height])
    colours = lip.area_colour(cells + size / 2, torch.cat([cells, cells + size], dim=-1), code)
    assert torch.allclose(picture.flatten(2).transpose(1, 2), colours, atol=1e-5)


def test_twice_the_resolution_averages_to_the_same_picture_where_the_field_is_linear() -> None:
    lip, code = linear_lip(), torch.zeros(1, 2)
    fine = lip.pixel_painter(2)(code)
    assert torch.allclose(torch.nn.functional.avg_pool2d(fine, 2), lip.pixel_painter()(code), atol=1e-6)


def test_the_code_moves_the_colour_and_gradients_reach_grids_and_code(lip: GridLipModel) -> None:
    code = torch.zeros(1, 5, requires_grad=True)
    lip.colour(torch.rand(10, 2), code).sum().backward()
    assert code.grad is not None and code.grad.abs().min() > 0
    assert lip.base.grad is not None and lip.base.grad.abs().sum() > 0
    moved = lip.colour(torch.rand(10, 2), torch.ones(1, 5)) - lip.colour(torch.rand(10, 2), torch.zeros(1, 5))
    assert moved.abs().max() > 0


def test_an_untrained_time_says_nothing() -> None:
    time = TimeCode(5)
    time.fit_scale(60.0)
    assert not time(torch.linspace(0, 60, 7)).any()


def test_a_frame_without_a_time_is_driven_by_speech_alone(lip: GridLipModel) -> None:
    lip.fit_time(60.0)
    torch.nn.init.normal_(lip.time.weights.weight)
    spoken = torch.randn(2, 5)
    code = lip.code(spoken, torch.tensor([3.0, torch.nan]))
    assert torch.equal(code[1], spoken[1]) and not torch.equal(code[0], spoken[0])
    assert torch.equal(lip.code(spoken), spoken)
