"""The matte of a person, and what it cuts out of frames."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest

from s2l_core.errors import MatteUnavailable
from s2l_core.face import matte as matte_module
from s2l_core.face.matte import open_matting
from s2l_core.geometry.camera import Rectangle
from s2l_core.jobs import Media
from s2l_core.media.video import read_frames
from s2l_core.whole_head.cutting import background_in, cut

CLIP = Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4"
HEAD = Rectangle(60, 10, 260, 300)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return next(read_frames(Media(str(CLIP)))).image


@pytest.fixture
def reopened() -> None:
    open_matting.cache_clear()


def test_a_person_is_cut_out_of_the_background(picture: np.ndarray) -> None:
    matte = open_matting().matte(picture)
    assert matte.shape == picture.shape[:2]
    assert matte[:15].max() == 0.0
    assert matte[150:250, 150:230].min() == 1.0  # the face
    assert matte[-5:, 150:230].min() > 0.99  # the shirt
    assert 0.3 < matte.mean() < 0.7


def test_the_surroundings_of_a_head_are_looked_at_in_detail(picture: np.ndarray) -> None:
    """In a large picture, the outline is as accurate as in a small one only there."""
    large = np.full((1152, 1152, 3), picture[:8].mean(axis=(0, 1)), np.uint8)
    large[:384, :384] = picture
    wanted = open_matting().matte(picture)[20:300, 40:340]
    found = open_matting().matte(large, HEAD)[20:300, 40:340]
    coarse = open_matting().matte(large)[20:300, 40:340]
    assert np.abs(found - wanted).mean() < 0.5 * np.abs(coarse - wanted).mean()


@pytest.mark.parametrize("head", [Rectangle(-900, 0, 100, 100), Rectangle(380, 380, 500, 1), Rectangle(0, 0, 384, 384)])
def test_surroundings_that_are_elsewhere_change_nothing(picture: np.ndarray, head: Rectangle) -> None:
    np.testing.assert_array_equal(open_matting().matte(picture, head), open_matting().matte(picture))


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (64, 48)])
def test_every_size_of_picture_has_a_matte(size: tuple[int, int]) -> None:
    matte = open_matting().matte(np.full((*size, 3), 90, np.uint8))
    assert matte.shape == size
    assert ((matte >= 0) & (matte <= 1)).all()


def test_other_weights_are_refused(reopened: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matte_module, "_SHA256", "0" * 64)
    with pytest.raises(MatteUnavailable, match="damaged"):
        open_matting()


def test_a_missing_package_gets_a_sentence_that_says_how_to_install_it(
    reopened: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(MatteUnavailable, match=r"mediapipe==0\.10\.21") as caught:
        open_matting()
    assert caught.value.code == "matte_unavailable"


def test_colours_at_the_edge_are_those_of_the_person_alone() -> None:
    """A grey disc before a blue wall, with a soft edge."""
    rows, columns = np.mgrid[:120, :120] - 60
    matte = np.clip((40 - np.hypot(rows, columns)) / 6 + 0.5, 0, 1).astype(np.float32)
    plate = np.full((120, 120, 3), (20, 60, 230), np.uint8)
    mixed = matte[..., None] * 128 + (1 - matte[..., None]) * plate
    layers = cut(mixed.round().astype(np.uint8), matte, plate, 80.0)
    ring = (matte > 0.02) & (matte < 1)
    assert np.abs(layers.person[ring] - 128 / 255).max() < 0.06
    background = background_in(matte, 80.0)
    assert (background[matte > 0.02] < 0.02).all()
    assert (background[np.hypot(rows, columns) > 58] > 0.9).all()


def test_a_frame_without_a_person_is_all_background() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    layers = cut(picture, np.zeros((40, 50), np.float32), picture, 30.0)
    assert (background_in(layers.matte, 30.0) == 1).all()
    assert np.isfinite(layers.person).all()


def test_a_frame_full_of_a_person_keeps_its_colours() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    picture = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)
    layers = cut(picture, np.ones((40, 50), np.float32), np.zeros_like(picture), 30.0)
    np.testing.assert_allclose(layers.person[3:-3, 3:-3], picture[3:-3, 3:-3] / 255, atol=1e-6)
    assert (background_in(layers.matte, 30.0) < 1e-6).all()
