"""The picture of a speaking face: what moves, what stays, and how lips and skin are moved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from s2l_core.errors import LandmarksUnavailable
from s2l_core.jobs import Media
from s2l_core.media.single_picture import SinglePicture, read_single_picture
from s2l_core.stills.face_grid import make_grid
from s2l_core.stills.lip_slit import Slit, find_slit
from s2l_core.stills.motion_field import CONTROLS, make_field
from s2l_core.stills.portrait import Portrait, find_portrait
from s2l_core.stills.skin_warp import SkinWarp, SkinWarper
from s2l_core.stills.speaking_face import SpeakingFace, on_grid

from .conftest import CLIP

CLOSED, OPEN = Media(str(CLIP), 0.2), Media(str(CLIP), 20.6)
REST = np.zeros((41, 2))


def shape(opening: float, widening: float = 0.0) -> NDArray[np.float64]:
    """Offsets of lips that open and widen by shares of the width of the mouth; the chin goes along."""
    angle = np.pi * np.arange(20) / 10  # from the left corner over the upper lip to the right one, and back
    bow = np.abs(np.sin(angle)) ** 1.5
    offsets = np.zeros((41, 2))
    for first in (0, 20):
        offsets[first : first + 20, 0] = -widening * np.cos(angle) / 2
        offsets[first : first + 20, 1] = opening * np.where(np.arange(20) < 11, -0.2, 0.8) * bow
    offsets[40, 1] = 0.7 * opening
    return offsets


@pytest.fixture(scope="module")
def source() -> SinglePicture:
    return read_single_picture(CLOSED)


@pytest.fixture(scope="module")
def portrait(source: SinglePicture) -> Portrait:
    return find_portrait(source.image, CLOSED, "bundled", "cpu")


@pytest.fixture(scope="module")
def face(source: SinglePicture, portrait: Portrait) -> SpeakingFace:
    return SpeakingFace(source, portrait)


def enlarged(source: SinglePicture, width: int, height: int, dtype: Any = np.uint8) -> SinglePicture:
    image = np.asarray(cv2.resize(source.image, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    picture = image if dtype == np.uint8 else image.astype(np.uint16) * 257
    return replace(source, picture=picture, image=image)


def test_closed_lips_are_the_picture_itself(source: SinglePicture, face: SpeakingFace) -> None:
    assert np.array_equal(face.paint(REST), source.picture)


def test_only_pixels_of_the_mask_change(source: SinglePicture, face: SpeakingFace) -> None:
    frame = face.paint(shape(0.4, -0.15))
    changed = (frame != source.picture).any(axis=2)
    assert changed.mean() > 0.02
    assert not changed[face.mask == 0].any()
    box = face.box
    changed[box.top : box.top + box.height, box.left : box.left + box.width] = False
    assert not changed.any()


def test_nose_and_eyes_hold_still(source: SinglePicture, face: SpeakingFace, portrait: Portrait) -> None:
    frame = face.paint(shape(0.4))
    for landmark in (1, 33, 263, 168):
        x, y = portrait.points[landmark].astype(int)
        assert np.array_equal(frame[y - 2 : y + 3, x - 2 : x + 3], source.picture[y - 2 : y + 3, x - 2 : x + 3])


def test_an_open_mouth_is_dark_with_bright_teeth(face: SpeakingFace, portrait: Portrait) -> None:
    frame = face.paint(shape(0.4))
    left, right = portrait.points[[61, 291]]
    middle, width = (left + right) / 2, right[0] - left[0]
    column = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[:, round(middle[0] - 0.1 * width)]
    inside = column[round(middle[1] - 0.05 * width) : round(middle[1] + 0.25 * width)].astype(int)
    assert inside.max() > 110 and inside.min() < 50


def test_the_chin_follows_the_jaw(face: SpeakingFace, source: SinglePicture) -> None:
    opened = read_of(face.paint(shape(0.4)), source)
    assert opened.points[152, 1] - find_portrait(source.image, CLOSED, "bundled", "cpu").points[152, 1] > 5.0


def read_of(frame: NDArray[np.uint8], source: SinglePicture) -> Portrait:
    return find_portrait(frame, CLOSED, "bundled", "cpu")


def test_landmarks_see_the_opening_that_was_asked_for(face: SpeakingFace, source: SinglePicture) -> None:
    openings = []
    for asked in (0.0, 0.2, 0.4):
        points = read_of(face.paint(shape(asked)), source).points
        openings.append(np.linalg.norm(points[14] - points[13]) / np.linalg.norm(points[291] - points[61]))
    assert openings[0] < 0.06 < openings[1] < openings[2]
    assert openings[2] == pytest.approx(0.4, abs=0.12)


def prepared(source: SinglePicture, portrait: Portrait) -> tuple[Slit, SkinWarper, float]:
    grid = make_grid(portrait, np.ones(2))
    points = grid.to_grid(portrait.points)
    slit = find_slit(points, on_grid(source.image, grid, np.ones(2)))
    return slit, SkinWarper(make_field(points, slit), slit), slit.right - slit.left


def test_lips_without_height_are_not_those_of_a_face(source: SinglePicture, portrait: Portrait) -> None:
    grid = make_grid(portrait, np.ones(2))
    points = grid.to_grid(portrait.points)
    points[:, 1] = 60.0
    with pytest.raises(LandmarksUnavailable):
        find_slit(points, on_grid(source.image, grid, np.ones(2)))


def test_skin_does_not_fold(source: SinglePicture, portrait: Portrait) -> None:
    _, warper, width = prepared(source, portrait)
    rng = np.random.default_rng(0)
    for _ in range(12):
        warp = warper.warp(width * shape(rng.uniform(0.0, 0.45), rng.uniform(-0.25, 0.15)))
        assert least_jacobian(warp) > 0.0


def test_skin_beyond_the_corners_is_whole_and_the_opening_ends_in_a_point(
    source: SinglePicture, portrait: Portrait
) -> None:
    slit, warper, width = prepared(source, portrait)
    warp = warper.warp(width * shape(0.4))
    centres = np.arange(warp.hole.shape[1]) + 0.5
    depth = warp.hole.max(axis=0)
    beyond = (centres < slit.left - 1.0) | (centres > slit.right + 1.0)
    assert np.array_equal(warp.upper[:, beyond], warp.lower[:, beyond])
    seen = np.flatnonzero(depth > 0.0)
    assert depth[seen[[0, -1]]].max() < 0.1 * depth.max()


def least_jacobian(warp: SkinWarp) -> float:
    """The least factor by which the backward map scales areas of skin, away from the slit."""
    least = []
    for shift, own, other in ((warp.upper, warp.above, warp.under), (warp.lower, warp.under, warp.above)):
        (xy, xx), (yy, yx) = np.gradient(shift[..., 0]), np.gradient(shift[..., 1])
        determinant = (1 + xx) * (1 + yy) - xy * yx
        least.append(determinant[(own > 1.0) & (own > other)].min())
    return float(min(least))


def test_a_mouth_that_is_open_in_the_picture_closes() -> None:
    source = read_single_picture(OPEN)
    portrait = find_portrait(source.image, OPEN, "bundled", "cpu")
    before = np.linalg.norm(portrait.points[14] - portrait.points[13])
    closed = find_portrait(SpeakingFace(source, portrait).paint(REST), OPEN, "bundled", "cpu")
    assert before > 6.0
    assert np.linalg.norm(closed.points[14] - closed.points[13]) < 0.35 * before


def test_the_same_shape_gives_the_same_picture(source: SinglePicture, portrait: Portrait, face: SpeakingFace) -> None:
    assert np.array_equal(face.paint(shape(0.3)), SpeakingFace(source, portrait).paint(shape(0.3)))


def test_16_bits_stay_16_bits(source: SinglePicture, face: SpeakingFace, portrait: Portrait) -> None:
    deep = SpeakingFace(enlarged(source, 384, 384, np.uint16), portrait).paint(shape(0.3))
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257.0 - face.paint(shape(0.3))).max() < 3.0


def test_alpha_moves_with_the_skin(source: SinglePicture, portrait: Portrait) -> None:
    alpha = np.full((*source.image.shape[:2], 1), 255, np.uint8)
    alpha[:40] = 0
    frame = SpeakingFace(replace(source, picture=np.concatenate([source.image, alpha], axis=2)), portrait).paint(
        shape(0.3)
    )
    assert frame.shape[2] == 4 and not frame[:40, :, 3].any() and frame[60:, :, 3].all()


def test_odd_sizes_and_4k_keep_what_is_outside(source: SinglePicture) -> None:
    square = enlarged(source, 2160, 2160)
    wide = np.pad(square.image, ((0, 0), (840, 840), (0, 0)))  # the head in the middle
    for large in (enlarged(source, 383, 385), replace(square, picture=wide, image=wide)):
        portrait = find_portrait(large.image, CLOSED, "bundled", "cpu")
        face = SpeakingFace(large, portrait)
        assert np.array_equal(face.paint(REST), large.picture)
        changed = (face.paint(shape(0.3)) != large.picture).any(axis=2)
        assert changed.any() and not changed[face.mask == 0].any()


def test_pixels_that_are_not_square_are_moved_as_they_are_shown(source: SinglePicture, portrait: Portrait) -> None:
    height, width = source.image.shape[:2]
    narrow = replace(source, picture=cv2.resize(source.image, (width // 2, height)))
    frame = SpeakingFace(narrow, portrait).paint(shape(0.4))
    shown = find_portrait(np.asarray(cv2.resize(frame, (width, height)), np.uint8), CLOSED, "bundled", "cpu").points
    assert np.linalg.norm(shown[14] - shown[13]) / np.linalg.norm(shown[291] - shown[61]) > 0.25


def test_the_controls_are_the_lips_and_the_chin() -> None:
    assert len(CONTROLS) == 41 and CONTROLS[-1] == 152
