"""Colours of one light in another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from s2l_core.canonical.light import Light, LightNeighbours, fit_light, middles, relight
from s2l_core.canonical.regions import mouth_boxes
from s2l_core.footage import Footage, prepare
from s2l_core.jobs import Media
from s2l_core.media.audio import read_speech
from s2l_core.model.speaker import SpeakerModel
from s2l_core.mouth.line_codes import speech_track
from s2l_core.mouth.occlusion import MouthFit, MouthFitter
from s2l_core.mouth.reliability import REASONS, find_reasons
from s2l_core.mouth.rendering import MouthRenderer

from .conftest import CLIP

Image = NDArray[np.float64]
Look = Callable[[Image], Image]

POSITIONS = middles(16, 12).flatten(0, 1)
EVERY = torch.ones(len(POSITIONS))
LUMA = np.array([0.2126, 0.7152, 0.0722])


def skin() -> Tensor:
    """Cells (1, 3, m) of somebody's skin, lips and stubble."""
    random = torch.Generator().manual_seed(3)
    x, y = POSITIONS.T
    light = 0.62 + 0.1 * x - 0.08 * y + 0.05 * torch.randn(len(x), generator=random)
    cells = torch.tensor([1.1, 0.85, 0.7])[:, None] * light
    lips = (x.abs() < 0.5) & (y.abs() < 0.25)
    cells[:, lips] *= torch.tensor([0.85, 0.55, 0.6])[:, None]
    return cells.clamp(0, 1)[None]


def saturated(image: Image, share: float) -> Image:
    grey = (image @ LUMA)[..., None]
    return grey + share * (image - grey)


def gel(image: Image) -> Image:
    """Red from the left."""
    share = np.linspace(1, 0, image.shape[1])[:, None]
    return image * (1 + share * [0.5, -0.25, -0.35])


LOOKS: dict[str, Look] = {
    "same": lambda image: image,
    "30 %": lambda image: 0.3 * image,
    "45 %": lambda image: 0.45 * image,
    "60 %": lambda image: 0.6 * image,
    "+20 %": lambda image: 1.2 * image,
    "log": lambda image: np.log(1 + 20 * image) / np.log(21),
    "flat": lambda image: 0.12 + 0.55 * image**0.55,
    "gamma 0.6": lambda image: image**0.6,
    "gamma 1.6": lambda image: image**1.6,
    "black and white": partial(saturated, share=0.0),
    "saturation 0.3": partial(saturated, share=0.3),
    "saturation 1.6": partial(saturated, share=1.6),
    "warm": lambda image: image * [1.1, 0.95, 0.7],
    "cold": lambda image: image * [0.75, 0.95, 1.2],
    "crushed blacks": lambda image: (image - 0.1) / 0.9,
    "contrast": lambda image: 0.8 / (1 + np.exp(-5 * (image - 0.5))),
    "gel": gel,
}


@settings(max_examples=40, deadline=None)
@given(
    gains=st.tuples(*[st.floats(0.3, 1.2)] * 3),
    offset=st.floats(0.0, 0.15),
    gamma=st.floats(0.6, 1.6),
    saturation=st.floats(0.0, 1.6),
    covered=st.integers(0, 30),
)
def test_known_light_is_found_though_some_cells_are_covered(
    gains: tuple[float, ...], offset: float, gamma: float, saturation: float, covered: int
) -> None:
    learnt = skin()
    graded = saturated(learnt[0].T.double().numpy() ** gamma, saturation) * gains + offset
    expected = torch.from_numpy(graded.clip(0, 1).T).float()[None]
    seen = expected.clone()
    seen[..., :covered] = 0.06
    light, errors = fit_light(seen, learnt, EVERY, POSITIONS)
    clear = (expected > 0.02).all(dim=1) & (expected < 0.98).all(dim=1)
    assume(clear[..., covered:].float().mean() > 0.5)
    lit, back = relight(learnt, light.to_footage, POSITIONS), relight(expected, light.to_speaker, POSITIONS)
    assert (lit - expected).abs().mean(dim=1)[clear].mean() < 0.02
    assert errors < 0.1
    grey = (back - learnt).mean(dim=1)[clear]  # what has no colour does not tell which one it had
    assert grey.abs().mean() < 0.04


def test_small_differences_are_the_look_of_one_light() -> None:
    learnt = skin()
    noise = 0.01 * torch.randn(4, *learnt.shape[1:], generator=torch.Generator().manual_seed(1))
    light, _ = fit_light(1.01 * learnt + noise, learnt.expand(4, -1, -1), EVERY, POSITIONS)
    assert light.is_same
    assert torch.equal(relight(learnt, light.of(np.array([2])).to_footage, POSITIONS), learnt)


@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_channel_that_is_clipped_everywhere_is_so_in_the_lips(channel: int, level: float) -> None:
    seen = 0.7 * skin()
    seen[:, channel] = level
    light, errors = fit_light(seen, skin(), EVERY, POSITIONS)
    assert (relight(skin(), light.to_footage, POSITIONS) - seen).abs().max() < 0.02
    assert errors < 0.05


def test_a_negative_is_no_light() -> None:
    assert fit_light(1 - skin(), skin(), EVERY, POSITIONS)[1] == 1.0


def average(levels: NDArray[np.float64], trust: Tensor | None = None, shots: Tensor | None = None) -> Tensor:
    """Levels (n,) of skin that all of 16 patches have, averaged with the frames around at 25 a second."""
    values = torch.from_numpy(levels).float()
    count = len(values)
    shots = torch.zeros(count) if shots is None else shots
    around = LightNeighbours(values[:, None, None].expand(-1, 3, 16), torch.arange(count) / 25, shots)
    return around.average(values[:, None], torch.ones(count) if trust is None else trust)[:, 0]


def test_a_lamp_that_is_switched_on_stays_a_step() -> None:
    levels = np.where(np.arange(60) < 30, 0.3, 0.6)
    assert average(levels).numpy() == pytest.approx(levels, abs=1e-4)


def test_a_dissolve_stays_a_ramp_and_a_flash_a_flash() -> None:
    ramp = np.linspace(0.6, 0.3, 60)
    assert average(ramp).numpy() == pytest.approx(ramp, abs=0.015)
    flash = np.where(np.arange(60) == 20, 0.8, 0.5)
    assert average(flash).numpy() == pytest.approx(flash, abs=1e-4)


def test_noise_is_averaged_away_in_one_shot() -> None:
    levels = 0.5 + 0.005 * np.random.default_rng(2).normal(size=100)
    assert np.diff(average(levels)).std() < 0.1 * np.diff(levels).std()
    shots = (torch.arange(100) >= 50).float()
    levels[50:] += 0.02
    assert average(levels, shots=shots)[49] < 0.505 < 0.515 < average(levels, shots=shots)[50]


def test_frames_that_are_not_trusted_take_the_light_of_their_neighbours() -> None:
    levels = np.where(np.abs(np.arange(60) - 30) < 5, 0.51, 0.5)
    trust = torch.from_numpy(np.where(levels > 0.505, 1e-4, 1.0)).float()
    assert average(levels, trust).numpy() == pytest.approx(np.full(60, 0.5), abs=1e-3)


class Scene(NamedTuple):
    """A speaker, and some frames of footage from 0 to 1, with the codes of what is said in them."""

    speaker: SpeakerModel
    footage: Footage
    images: list[Image]
    indices: NDArray[np.int64]
    speech: Tensor


@pytest.fixture(scope="module")
def scene(hasty_speaker: str) -> Scene:
    media = Media(str(CLIP), 0.0, 12.0)
    footage, speaker = prepare(media), SpeakerModel.load(hasty_speaker)
    indices = np.arange(75, 99, 3)
    wanted = set(indices.tolist())
    images = [frame.image / 255 for index, frame in zip(range(99), footage.frames(), strict=False) if index in wanted]
    return Scene(speaker, footage, images, indices, speech_track(speaker, read_speech(media)))


def graded(scene: Scene, look: Look) -> list[NDArray[np.uint8]]:
    return [(look(image).clip(0, 1) * 255).round().astype(np.uint8) for image in scene.images]


def fit(scene: Scene, images: list[NDArray[np.uint8]]) -> MouthFit:
    fitter = MouthFitter(scene.speaker, scene.footage)
    return fitter.fit(fitter.sample_cells(images, scene.indices), scene.indices)


def chins(scene: Scene, images: list[NDArray[np.uint8]]) -> Image:
    """Mean colours (n, 3) of what is pasted below the lips."""
    boxes = mouth_boxes(scene.speaker.face, scene.footage.track)[scene.indices].round().astype(int)
    return np.stack(
        [
            image[bottom : bottom + (bottom - top) // 4, (3 * left + right) // 4 : (left + 3 * right) // 4].mean((0, 1))
            for image, (left, top, right, bottom) in zip(images, boxes, strict=True)
        ]
    )


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_lips_take_on_the_look_of_the_footage(scene: Scene, look: Look) -> None:
    images = graded(scene, look)
    fitted = fit(scene, images)
    light = Light.same(len(scene.footage.times))
    light.put(scene.indices, fitted.light)
    renderer = MouthRenderer(scene.speaker, scene.footage, light)
    codes = renderer.codes(images, scene.indices, scene.speech, scene.footage.times[scene.indices])
    with torch.no_grad():
        lips = scene.speaker.lip.pixel_painter()(codes)
    dubbed = renderer.render(images, scene.indices, lips)
    off = (chins(scene, dubbed) - chins(scene, images)) / 255
    assert np.abs(off).max(axis=1).mean() < 0.02
    assert fitted.light_errors.max() < 0.1
    assert light.is_same == (look is LOOKS["same"])


def half_in_shadow(image: Image) -> Image:
    result = image.copy()
    result[:, : image.shape[1] // 2] *= 0.15
    return result


@pytest.mark.parametrize("look", [lambda image: 1 - image, half_in_shadow], ids=["negative", "shadow"])
def test_frames_in_light_that_cannot_be_fitted_keep_their_pixels(scene: Scene, look: Look) -> None:
    fitted = fit(scene, graded(scene, look))
    seen = np.ones(len(scene.indices), bool)
    found = find_reasons(seen, ~seen, fitted.misfits, fitted.light_errors)
    assert [REASONS[number] for number in found] == ["other light"] * len(found)
