"""The networks of "Lip movements generation at a glance": shapes, widths, and what each of the losses teaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from s2l_core.glance.batches import Batch
from s2l_core.glance.correlation import CorrelationNetworks, contrast, correlation_loss
from s2l_core.glance.discriminator import Discriminator
from s2l_core.glance.flow import FlowNetwork, dis_flow
from s2l_core.glance.generator import Generator
from s2l_core.glance.objective import LossWeights, Networks
from s2l_core.glance.perceptual import LipAutoencoder, perceptual_loss
from s2l_core.glance.pixel import pixel_loss

WIDTH = 1 / 16
NO_LOSS = LossWeights(0.0, 0.0, 0.0, 0.0)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def batch(count: int = 2) -> Batch:
    video = torch.rand(count, 3, 16, 64, 64) * 2 - 1
    return Batch(video[:, :, 0], torch.randn(count, 1, 64, 128), video, torch.randn(count, 2, 15, 64, 64))


# ---- Shapes and widths


def test_a_picture_and_the_sound_of_sixteen_become_sixteen_pictures() -> None:
    windows = batch()
    drawn = Generator(WIDTH)(windows.picture, windows.mel)
    assert drawn.shape == windows.video.shape
    assert drawn.abs().max() <= 1


def test_the_encoders_meet_in_sixteen_moments_of_sixteen_rows() -> None:
    windows, generator = batch(), Generator(WIDTH)
    assert generator.audio_encoder(windows.mel).shape == (2, 16, 16, 16)  # channels, moments, bands
    assert generator.identity_encoder(windows.picture).shape == (2, 16, 16, 16)  # channels, rows, columns


@pytest.mark.parametrize("width", [1 / 8, 1 / 2])
def test_first_weights_keep_the_variance_and_draw_grey(width: float) -> None:
    windows, generator = batch(4), Generator(width)
    for features in (generator.audio_encoder(windows.mel), generator.identity_encoder(windows.picture)):
        assert 0.2 < float(features.square().mean()) < 5
    assert float(generator(windows.picture, windows.mel).abs().mean()) < 0.3


def test_a_picture_does_not_depend_on_the_others_of_its_batch() -> None:
    windows, generator = batch(2), Generator(WIDTH).train()
    together = generator(windows.picture, windows.mel)
    assert torch.allclose(generator(windows.picture[:1], windows.mel[:1])[0], together[0], atol=1e-5)


@pytest.mark.parametrize(("width", "millions"), [(1.0, 16.7), (0.5, 16.7 / 4), (0.25, 16.7 / 16)])
def test_parameters_grow_with_the_square_of_the_width(width: float, millions: float) -> None:
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in Generator(width).parameters())
    assert count == pytest.approx(millions * 1e6, rel=0.05)


def test_the_last_convolution_is_the_papers_in_three_dimensions() -> None:
    last = Generator(WIDTH).last
    features = torch.randn(1, 5, last.each.in_channels, 8, 8)
    kernel = last.each.weight.unflatten(0, (7, 3)).permute(1, 2, 0, 3, 4)
    wanted = torch.nn.functional.conv3d(features.transpose(1, 2), kernel, last.bias, padding=3)
    torch.testing.assert_close(last(features), wanted, atol=1e-4, rtol=1e-4)


# ---- Optical flow


def test_the_flow_of_a_shifted_picture_is_its_shift() -> None:
    random = np.random.default_rng(0)
    picture = np.kron(random.integers(0, 255, (8, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    flow = dis_flow(np.stack([picture, np.roll(picture, 2, axis=1)]))
    assert flow.shape == (1, 2, 64, 64)
    assert float(np.median(flow[0, 0])) == pytest.approx(2.0, abs=0.3)
    assert float(np.median(flow[0, 1])) == pytest.approx(0.0, abs=0.3)


def test_the_flow_network_has_a_flow_for_each_step() -> None:
    assert FlowNetwork()(batch().video).shape == (2, 2, 15, 64, 64)


# ---- Correlation loss


def test_the_correlation_loss_reaches_the_generator() -> None:
    networks, windows = Networks(WIDTH), batch()
    for parameter in networks.generator.parameters():  # residual blocks begin with weights that are 0
        torch.nn.init.normal_(parameter, std=0.05)
    sound = networks.generator.audio_encoder(windows.mel)
    drawn = networks.generator.draw(networks.generator.identity_encoder(windows.picture), sound)
    flow = networks.flow(drawn)
    networks.generator_loss(windows, sound, drawn, flow, replace(NO_LOSS, correlation=1.0)).backward()
    moved = [parameter.grad is not None and bool(parameter.grad.any()) for parameter in networks.generator.parameters()]
    assert sum(moved) / len(moved) > 0.9
    assert all(parameter.grad is None for parameter in networks.correlation.parameters())


@pytest.mark.parametrize("derivative", [True, False])
def test_there_is_a_cosine_for_each_window(derivative: bool) -> None:
    windows = batch()
    cosines = CorrelationNetworks(WIDTH, derivative)(torch.randn(2, 16, 16, 16), windows.video, windows.flow)
    assert cosines.shape == (2,) and cosines.abs().max() <= 1
    assert 0 <= correlation_loss(cosines) <= 2


def test_correlation_networks_learn_to_tell_wrong_sound() -> None:
    networks, windows = CorrelationNetworks(WIDTH), batch(4)
    loudness = torch.randn(4, 1, 16, 1).cumsum(dim=2)
    sound = loudness.expand(-1, 16, -1, 16)
    flow = windows.flow * 0 + loudness.diff(dim=2)[:, 0, :, 0][:, None, :, None, None]
    optimiser = torch.optim.Adam(networks.parameters(), 3e-3)
    for _ in range(60):
        right, wrong = (networks(each, windows.video, flow) for each in (sound, sound.roll(1, 0)))
        optimiser.zero_grad()
        contrast(right, wrong).backward()
        optimiser.step()
    assert correlation_loss(networks(sound, windows.video, flow)) < 0.3
    assert correlation_loss(networks(sound.roll(1, 0), windows.video, flow)) > 0.7


# ---- Discriminator


@pytest.mark.parametrize("sees_flow", [True, False])
def test_only_a_discriminator_of_three_streams_sees_flow(sees_flow: bool) -> None:
    judge, windows = Discriminator(WIDTH, sees_flow), batch()
    verdicts = [judge(windows.mel, windows.video, flow) for flow in (windows.flow, windows.flow + 1)]
    assert verdicts[0].shape == (2,)
    assert bool((verdicts[0] != verdicts[1]).all()) == sees_flow


class KnowsPairs(Discriminator):
    """Accepts real videos with their own sound, which here have the same sign."""

    def forward(self, mel: torch.Tensor, video: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        return 10 * (mel[:, 0, 0, 0] * video[:, 0, 0, 0, 0]).sign()


def test_mismatched_pairs_that_are_accepted_raise_the_discriminators_loss() -> None:
    sound, flow = torch.ones(1, 1, 64, 128), torch.zeros(1, 2, 15, 64, 64)
    real, drawn = (torch.ones(1, 3, 16, 64, 64), flow), (-torch.ones(1, 3, 16, 64, 64), flow)
    judge = KnowsPairs(WIDTH)
    assert judge.loss(sound, -sound, real, drawn) < 1e-3
    assert float(judge.loss(sound, sound, real, drawn)) == pytest.approx(0.5 * 10, abs=0.01)  # accepted, weighted


# ---- Perceptual and pixel loss, and the sum


def test_losses_of_equal_videos_are_zero() -> None:
    encoder, video = LipAutoencoder(WIDTH).encoder, batch().video
    assert float(pixel_loss(video, video)) == 0
    assert float(perceptual_loss(encoder, video, video)) == 0
    assert float(perceptual_loss(encoder, -video, video)) > 0


@pytest.mark.parametrize("name", ["correlation", "pixel", "perceptual", "adversarial"])
def test_each_loss_is_switched_by_its_weight(name: str) -> None:
    networks, windows = Networks(WIDTH), batch()
    nothing = networks.loss(windows, NO_LOSS)
    assert networks.loss(windows, replace(NO_LOSS, **{name: 1.0})) > nothing


def test_each_network_learns_from_its_own_loss_alone() -> None:
    networks, windows = Networks(WIDTH), batch()
    networks.loss(windows, LossWeights(adversarial=1.0, pixel=0.0, perceptual=0.0, correlation=0.0)).backward()
    of_judge = [
        parameter.grad.clone() for parameter in networks.discriminator.parameters() if parameter.grad is not None
    ]
    networks.zero_grad()
    networks.loss(windows, LossWeights(adversarial=9.0, pixel=5.0, perceptual=1.0, correlation=1.0)).backward()
    again = [parameter.grad for parameter in networks.discriminator.parameters() if parameter.grad is not None]
    for before, after in zip(of_judge, again, strict=True):
        torch.testing.assert_close(before, after, atol=1e-4, rtol=1e-2)
    assert all(parameter.grad is None for parameter in networks.autoencoder.parameters())
