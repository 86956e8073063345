"""The lip models: continuous sampling, codes of speech and time, and the sizes of the paper's networks."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from s2l_core.jobs import Architecture
from s2l_core.model.lip import ARCHITECTURES, LipModel
from s2l_core.model.lip.base import SPOKEN_SIZE, ImplicitLipModel, TimeCode, average_corners, corner_weights
from s2l_core.model.lip.decoder import ExplicitLipModel
from s2l_core.model.lip.grids import GridLipModel
from s2l_core.model.lip.network import AudioNet, Entrance, PaperLipModel, encode_position

WIDTH, HEIGHT = 20, 14
unit = st.floats(0.01, 0.99)
every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)
implicit_architectures = pytest.mark.parametrize("architecture", ["grids", "paper"])


def make_lip(architecture: Architecture) -> LipModel:
    """A lip model with random weights, whose lips move with their code."""
    torch.manual_seed(0)
    lip = ARCHITECTURES[architecture](WIDTH, HEIGHT)
    lip.fit_time(60.0)
    if isinstance(lip, GridLipModel):
        nn.init.normal_(lip.base)
        nn.init.normal_(lip.basis)
    if isinstance(lip.time, TimeCode):
        nn.init.normal_(lip.time.weights.weight)
    return lip.eval()


def some_codes(lip: LipModel, count: int = 3) -> torch.Tensor:
    return lip.code(torch.randn(count, SPOKEN_SIZE)).detach()


def linear_lip() -> GridLipModel:
    """A model whose colour is (u, v, u + v) for every code."""
    model = GridLipModel(width=6, height=4, size=2)
    v, u = torch.meshgrid(torch.linspace(0, 1, 5), torch.linspace(0, 1, 7), indexing="ij")
    with torch.no_grad():
        model.base.copy_(torch.stack([u, v, u + v])[None])
    return model


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


@implicit_architectures
@pytest.mark.parametrize("scale", [1, 2])
def test_the_shared_lattice_equals_four_corners_for_every_pixel(architecture: Architecture, scale: int) -> None:
    lip = make_lip(architecture)
    assert isinstance(lip, ImplicitLipModel)
    code = some_codes(lip)
    picture = lip.pixel_painter(scale)(code)
    height, width = HEIGHT * scale, WIDTH * scale
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = torch.stack([x, y], dim=-1).reshape(-1, 2) / torch.tensor([width, height])
    size = 1 / torch.tensor([width, height])
    colours = lip.area_colour(cells + size / 2, torch.cat([cells, cells + size], dim=-1), code)
    assert torch.allclose(picture.flatten(2).transpose(1, 2), colours, atol=1e-4)


def test_twice_the_resolution_averages_to_the_same_picture_where_the_field_is_linear() -> None:
    lip, code = linear_lip(), torch.zeros(1, 2)
    fine = lip.pixel_painter(2)(code)
    assert torch.allclose(nn.functional.avg_pool2d(fine, 2), lip.pixel_painter()(code), atol=1e-6)


@every_architecture
def test_a_part_of_the_lattice_shows_that_part_of_the_picture(architecture: Architecture) -> None:
    lip = make_lip(architecture)
    code = some_codes(lip)
    part = lip.painter(torch.arange(4, 11) / WIDTH, torch.arange(3, 9) / HEIGHT)(code)
    assert torch.allclose(part, lip.pixel_painter()(code)[..., 3:8, 4:10], atol=1e-4)


@every_architecture
def test_the_picture_has_the_size_that_is_asked_for(architecture: Architecture) -> None:
    lip = make_lip(architecture)
    code = some_codes(lip, 2)
    assert lip.pixel_painter()(code).shape == (2, 3, HEIGHT, WIDTH)
    assert lip.pixel_painter(2)(code).shape == (2, 3, 2 * HEIGHT, 2 * WIDTH)


@every_architecture
def test_speech_moves_the_picture_and_learns_from_it(architecture: Architecture) -> None:
    lip = make_lip(architecture)
    spoken = lip.speech(torch.randn(1, 40, 80))[0, 4:6]
    pictures = lip.pixel_painter()(lip.code(spoken))
    assert (pictures[0] - pictures[1]).abs().max() > 0
    pictures.square().sum().backward()
    gradients = [parameter.grad for parameter in lip.speech.parameters()]
    assert all(gradient is not None and gradient.any() for gradient in gradients)


@every_architecture
def test_the_time_moves_the_picture_where_it_is_known(architecture: Architecture) -> None:
    lip = make_lip(architecture)
    spoken = torch.randn(1, SPOKEN_SIZE).expand(3, -1)
    codes = lip.code(spoken, torch.tensor([3.0, 40.0, torch.nan]))
    assert torch.equal(codes[2], lip.code(spoken)[2])
    pictures = lip.pixel_painter()(codes)
    assert all((one - other).abs().max() > 0 for one, other in pairwise(pictures))


def test_an_untrained_drift_says_nothing() -> None:
    time = TimeCode(5)
    time.fit_scale(60.0)
    assert not time(torch.linspace(0, 60, 7)).any()


def test_the_explicit_model_starts_at_the_mean_lips() -> None:
    lip = make_lip("explicit")
    mean = torch.rand(3, HEIGHT, WIDTH)
    lip.start(mean, torch.randn(SPOKEN_SIZE, 3, HEIGHT, WIDTH))
    assert torch.equal(lip.pixel_painter()(some_codes(lip, 1))[0], mean)


def test_audio_net_hears_sixteen_steps_about_each_moment() -> None:
    torch.manual_seed(0)
    net = AudioNet().eval()
    mel = torch.randn(1, 80, 80)
    before = net(mel)
    heard = []
    for row in range(0, 80, 2):
        changed = mel.clone()
        changed[:, row] += 1.0
        if not torch.equal(net(changed)[0, 10], before[0, 10]):
            heard.append(row)
    assert heard == list(range(40 - 16, 40 + 16, 2))
    assert before.shape == (1, 20, 64)


def test_the_layers_of_the_papers_network_are_as_large_as_the_papers() -> None:
    def size(*modules: nn.Module) -> int:
        return sum(parameter.numel() for module in modules for parameter in module.parameters())

    lip = PaperLipModel(WIDTH, HEIGHT)
    assert encode_position(torch.rand(5, 2)).shape == (5, 42)
    assert size(AudioNet(bands=29)) == 32_800
    assert size(lip.entrance) == size(lip.again) == 33_024
    assert size(lip.first, lip.before, lip.joint, lip.after) == 591_872
    assert size(lip.output) == 771


def test_folding_the_inputs_changes_no_number() -> None:
    lip = make_lip("paper")
    assert isinstance(lip, PaperLipModel)
    points, code = torch.rand(6, 2), torch.randn(6, 84)
    spoken, time = code[:, :64], code[:, 64:]

    def enter(entrance: Entrance) -> torch.Tensor:
        return entrance.position(encode_position(points)) + entrance.speech(spoken) + entrance.time(time)

    hidden = enter(lip.entrance)
    for layer in (lip.first, *lip.before):
        hidden = layer(hidden).relu()
    hidden = lip.joint(torch.cat([hidden, enter(lip.again)], dim=-1)).relu()
    for layer in lip.after:
        hidden = layer(hidden).relu()
    assert torch.allclose(torch.diagonal(lip.colour(points, code)).T, lip.output(hidden), atol=1e-5)


def test_the_decoder_fits_rectangles_of_any_size() -> None:
    for width, height in [(2, 2), (16, 16), (34, 50)]:
        lip = ExplicitLipModel(width, height)
        assert lip.pixel_painter()(torch.randn(1, SPOKEN_SIZE)).shape == (1, 3, height, width)


def test_cells_are_the_means_of_their_corners() -> None:
    corners = torch.randn(2, 3, HEIGHT + 1, WIDTH + 1)
    assert torch.equal(average_corners(corners), functional.avg_pool2d(corners, 2, stride=1))
