"""The look of a face: what it explains, and what it must not tell."""

from __future__ import annotations

import numpy as np
import torch

from s2l_core.model.look import LookModel, principal_axes, speech_context


def test_principal_axes_are_orthonormal_and_ordered_whichever_way_the_values_are_shaped() -> None:
    generator = torch.Generator().manual_seed(0)
    for count, length in ((30, 200), (200, 30)):
        values = torch.randn(count, length, generator=generator) * torch.linspace(1, 3, length)
        axes, deviations = principal_axes(values - values.mean(dim=0), 5)
        assert torch.allclose(axes.T @ axes, torch.eye(5), atol=1e-4)
        assert torch.equal(deviations, deviations.sort(descending=True).values)
        projected = (values - values.mean(dim=0)) @ axes
        assert torch.allclose(projected.std(dim=0, correction=0), deviations, rtol=1e-3)


def test_axes_beyond_the_rank_are_zero() -> None:
    line = torch.linspace(-1, 1, 9)[:, None] * torch.tensor([[1.0, 2.0, 2.0]])
    axes, deviations = principal_axes(line, 5)
    assert axes.shape == (3, 5) and deviations.shape == (5,)
    assert not axes[:, 1:].any()


def fitted(drift_share: float) -> tuple[LookModel, dict[str, np.ndarray]]:
    """A look model on made-up footage: codes follow the light, which the surroundings show, and the lips, which the
    surroundings betray as much as ``drift_share`` leaves room for.
    """
    random = np.random.default_rng(0)
    count = 600
    light = np.cumsum(random.normal(0, 0.1, count))
    lips = np.sin(np.arange(count) * 0.9) + 0.3 * random.normal(size=count)
    surroundings = np.outer(light, random.normal(size=60)) * drift_share + np.outer(lips, random.normal(size=60))
    border = np.outer(light, random.normal(size=40)) * drift_share + np.outer(lips, random.normal(size=40))
    shapes = np.outer(lips, random.normal(size=20)) + 0.01 * random.normal(size=(count, 20))
    codes = np.stack([light, lips], axis=1) - np.mean([light, lips], axis=1)
    data = {
        "surroundings": surroundings + 0.01 * random.normal(size=surroundings.shape),
        "border": border + 0.01 * random.normal(size=border.shape),
        "shapes": shapes,
        "codes": codes,
        "speech": random.normal(size=(count, 13)),
    }
    data = {name: values.astype(np.float32) for name, values in data.items()}
    for name in ("surroundings", "border"):
        data[name] = (128 + 12 * data[name]).round().clip(0, 255).astype(np.uint8)
    model = LookModel(60, 40, 20, 2)
    model.fit(**data)
    return model, data | {"light": light, "lips": lips}


def offsets(model: LookModel, data: dict[str, np.ndarray]) -> np.ndarray:
    return model.of_stored(*(data[name] for name in ("surroundings", "border", "shapes"))).numpy()


def test_the_look_explains_the_slow_light_but_not_the_driven_mouth() -> None:
    model, data = fitted(drift_share=1.0)
    light, lips = offsets(model, data).T
    assert np.corrcoef(light, data["light"])[0, 1] > 0.95
    assert abs(np.corrcoef(lips, data["lips"])[0, 1]) < 0.2


def test_frames_without_a_face_get_no_offset() -> None:
    model, data = fitted(drift_share=1.0)
    data["shapes"][3] = np.nan
    result = offsets(model, data)
    assert not result[3].any()
    assert np.isfinite(result).all() and result[2].any()


def test_speech_context_reaches_240_milliseconds_to_both_sides() -> None:
    mel = np.zeros((200, 80), np.float32)
    mel[76], mel[124], mel[75], mel[125] = 1.0, 2.0, 3.0, 4.0
    context = speech_context(mel, np.array([1.0])).reshape(13, 80)
    scaled = (mel - mel.mean(axis=0)) / mel.std()
    assert np.allclose(context[[0, -1]], scaled[[76, 124]])
    assert np.allclose(context[1:-1], scaled[0])
